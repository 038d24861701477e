"""The coefficients of a linear model on a shipped table, from its predictions: further metrics of a run on all rows.

    data.split=whole model=linear "task.metrics='losslab.data.coefficients:slope1(data=stackloss, better=min)'"

Inputs are standardised for training; published tables have coefficients of the inputs as they are. A linear model's predictions
are an affine function of the inputs, so least squares gives its coefficients without error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from losslab.data.base import SOURCES, Data

MOST = 9  # inputs of a table whose slopes have a name


def intercept(pred: Tensor, target: Tensor, data: str, log: bool = False) -> float:
    """The prediction where all inputs are 0; see `coefficient`."""
    return coefficient(0, pred, target, data, log)


def coefficient(number: int, pred: Tensor, target: Tensor, data: str, log: bool = False) -> float:
    """A coefficient of a linear model, in units of the target per unit of the input.

    NaN where the rows are not those of the table, all in their order, as with another split than `data.split=whole`.

    Args:
        number: 0 for the intercept, from 1 on the slope of that input.
        pred: predictions [n, 1], in units of the target.
        target: targets [n, 1], by which the rows are recognised.
        data: the name of a shipped table.
        log: the model is linear in the logarithm of what it predicts, as for counts.

    >>> from losslab.data import coefficients
    >>> rows = coefficients.table("stars")
    >>> round(coefficients.coefficient(1, 7 - 0.5 * rows.inputs, rows.targets, "stars"), 4)
    -0.5
    """
    rows = table(data)
    if target.shape != rows.targets.shape or not torch.equal(target.cpu().float(), rows.targets):
        return math.nan
    inputs = torch.cat([torch.ones(len(pred), 1, dtype=torch.float64), rows.inputs.double()], 1)
    fitted = pred.detach().cpu().double()
    found = torch.linalg.lstsq(inputs, fitted.log() if log else fitted, driver="gelsd").solution
    return float(found[number, 0])


@lru_cache(maxsize=4)
def table(data: str) -> Data:
    """All rows of a shipped table."""
    found = SOURCES.of(data)()
    assert isinstance(found, Data)
    return found


def _slope(number: int) -> Callable[..., float]:
    def slope(pred: Tensor, target: Tensor, data: str, log: bool = False) -> float:
        """The slope of one input; see `coefficient`."""
        return coefficient(number, pred, target, data, log)

    return slope


slope1, slope2, slope3, slope4, slope5, slope6, slope7, slope8, slope9 = map(_slope, range(1, MOST + 1))
