"""All rows."""

from itertools import chain

from conformance import (
    of_boxes,
    of_classes,
    of_likelihoods,
    of_logits,
    of_margins,
    of_noisy_labels,
    of_rates,
    of_robust,
    of_structured,
    of_values,
)
from conformance.row import Row

_FILES = (
    of_values,
    of_robust,
    of_likelihoods,
    of_classes,
    of_logits,
    of_margins,
    of_rates,
    of_boxes,
    of_noisy_labels,
    of_structured,
)
ROWS: list[Row] = list(chain.from_iterable(file.ROWS for file in _FILES))
