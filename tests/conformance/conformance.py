"""Each loss equals its references in value and gradient. A plain `pytest` does not collect this: `make conformance` does."""

from collections.abc import Callable

import pytest
import torch
from mpmath import mp, mpf
from torch import Tensor

from conformance.of_robust import adaptive
from conformance.references import DIGITS
from conformance.row import Row
from conformance.table import ROWS
from losslab import losses
from losslab.losses.base import Loss, Sum

ONE_EACH = {row.loss: row for row in ROWS if row.has_gradient()}.values()


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_equals_its_reference(row: Row) -> None:
    apart = row.apart()
    assert apart.value <= row.tolerance
    assert not apart.gradient > row.tolerance  # it is NaN where the reference gives none


@pytest.mark.parametrize("row", ONE_EACH, ids=str)
def test_a_loss_that_is_off_by_a_thousandth_is_found_out(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    _change(monkeypatch, lambda value: 1.001 * value)
    apart = row.apart()
    assert apart.value > row.tolerance
    assert apart.gradient > row.tolerance


@pytest.mark.parametrize("row", ONE_EACH, ids=str)
def test_a_gradient_that_is_off_by_a_thousandth_is_found_out(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    _change(monkeypatch, lambda value: 1.001 * value - 0.001 * value.detach())
    apart = row.apart()
    assert apart.value <= row.tolerance
    assert apart.gradient > row.tolerance


def _change(monkeypatch: pytest.MonkeyPatch, how: Callable[[Tensor], Tensor]) -> None:
    """Every loss becomes a wrong one."""
    for kind in (Loss, Sum):
        monkeypatch.setattr(kind, "per_sample", _changed(kind.per_sample, how))


def _changed(original: Callable[..., Tensor], how: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda *given: how(original(*given))


@pytest.mark.parametrize(("alpha_logit", "log_scale"), [(0.0, 0.0), (2.0, -1.0), (-2.0, 1.5)])
def test_barron_adaptive_learns_by_the_derivatives_of_its_formula(alpha_logit: float, log_scale: float) -> None:
    """Central differences of the formula in 70 digits, as it integrates anew for each alpha."""
    error, step = 1.7, mpf(10) ** -12
    loss = losses.get("barron_adaptive")
    with torch.no_grad():
        loss.alpha_logit.fill_(alpha_logit)
        loss.log_scale.fill_(log_scale)
    loss(torch.tensor([error], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)).backward()
    with mp.workdps(DIGITS):
        at = mpf(alpha_logit), mpf(log_scale)
        for place, found in enumerate((loss.alpha_logit.grad, loss.log_scale.grad)):
            up, down = (
                adaptive(*(one + way * (place == k) for k, one in enumerate(at)), mpf(error)) for way in (step, -step)
            )
            assert found.item() == pytest.approx(float((up - down) / (2 * step)), rel=2e-6)  # they are float32
