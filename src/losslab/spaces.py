"""The spaces in which predictions and targets meet: the shapes and types that each takes, and what a valid value is.

A model gives raw outputs; the task turns them into the space that the loss reads. N samples, K classes, C columns, D outputs.

| space | pred | target | losses |
| --- | --- | --- | --- |
| class_logits | [N, K, ...], K of two or more | class indices [N, ...] of any integer type, or shares [N, K, ...] | [N, ...] |
| class_probs | [N, K, ...], K of two or more | shares of the classes [N, K, ...] | [N, ...] |
| binary_logit, binary_prob | [N], [N, 1], [N, C], ... | the same shape, in [0, 1]; integers and bool too | [N]: the mean over columns |
| values, rate, log_rate | [N], [N, D], ... | the same shape; integers too | [N]: the mean over outputs |
| values_and_scale | [N, D, 2]: value, log of its scale | [N, D] | [N]: the mean over outputs |
| quantiles | [N, D, Q] | [N, D] | [N]: the mean over outputs |
| cumulative_logits, conditional_logits | [N, K - 1] | class indices [N] of any integer type | [N] |
| label_logits | [N, C] | the same shape, in [0, 1]; integers and bool too | [N] |
| mask_logits | [N, H, W] | the same shape, in [0, 1]; integers and bool too | [N] |
| boxes | [N, 4] or [..., N, 4] | the same shape | [N] or [..., N] |

Shapes that differ are refused and never broadcast.
"""

from __future__ import annotations

from contextlib import suppress

import torch
from torch import Tensor

from losslab.schema.space_words import WORDS
from losslab.space_kinds import Boxes, Classes, Counts, Numbers, NumbersAndScale, Space, YesOrNo, type_of
from losslab.space_kinds import Meeting as Meeting
from losslab.structured_spaces import LabelSets, Masks, OrderedClasses, Quantiles

_KINDS: dict[str, type[Space]] = {
    "classes": Classes,
    "yes or no": YesOrNo,
    "numbers": Numbers,
    "counts": Counts,
    "boxes": Boxes,
    "quantiles": Quantiles,
    "ordered classes": OrderedClasses,
    "labels": LabelSets,
    "pixels": Masks,
}
SPACES = {name: _KINDS[words.kind](name) for name, words in WORDS.items()}
SPACES["values_and_scale"] = NumbersAndScale("values_and_scale")


def meet(space: str, pred: Tensor, target: Tensor) -> Meeting:
    """Checks shapes and types, and brings both into the form that loss functions take. Reads no values, so it never waits for the device.

    Raises:
        ValueError: shapes or types that do not fit; the sentence says what would.
    """
    if not pred.is_floating_point():
        raise ValueError(f"pred is {type_of(pred)}, and a loss needs floating point; give pred.float().")
    if pred.ndim == 0:
        raise ValueError("pred and target need a first axis, the samples; these are single numbers.")
    return SPACES[space].meet(pred, target)


def check_values(space: str, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> None:
    """Raises ValueError for a prediction, a target or a weight outside its space. Does not wait for the device.

    On a GPU the indexing below fails on the device itself, as an index of torch's own does, and names no row.
    """
    checks = SPACES[space].checks(target, SPACES[space].classes(pred), pred, weight)
    if pred.device.type == "cpu" and not torch.compiler.is_compiling():
        with suppress(RuntimeError):  # inside torch.vmap no value can be read
            if all(check.holds() for check in checks):
                return
    right = torch.stack([within for check in checks for within in check.at_once()]).all()
    try:
        right.new_zeros(1).index_select(0, (~right).long().reshape(1))
    except (IndexError, RuntimeError) as error:
        failed: Exception = error
    else:
        return
    with suppress(RuntimeError):  # inside torch.vmap no value can be read
        for check in checks:
            check.refuse()
    raise ValueError(f"A prediction, a target or a weight lies outside the space '{space}'.") from failed


def check_target(space: str, target: Tensor, classes: int | None = None) -> None:
    """Raises ValueError for the first target that lies outside the space. Reads every value, and so waits for the device."""
    for check in SPACES[space].checks(target, classes):
        check.refuse()
