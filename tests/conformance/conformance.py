"""Each loss equals its references in value and gradient. Not collected by a plain `pytest`, as it needs the extra `conformance`."""

from collections.abc import Callable

import pytest
from torch import Tensor

from conformance.inputs import given
from conformance.table import ROWS, Row
from losslab.losses.base import Loss, Sum


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_loss_equals_its_reference_in_value_and_gradient(row: Row) -> None:
    value, slope = row.differences(*given(row.space, row.unit, row.far))
    assert value <= row.tolerance
    assert slope <= row.tolerance


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_loss_that_is_off_by_a_thousandth_is_found_out(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (Loss, Sum):
        monkeypatch.setattr(kind, "per_sample", _off(kind.per_sample))
    value, slope = row.differences(*given(row.space, row.unit, row.far))
    assert value > row.tolerance
    assert slope > row.tolerance


def _off(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda *given: 1.001 * original(*given)
