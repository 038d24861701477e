"""data.split=whole, and the coefficients of a linear model from its predictions on all rows."""

import math

import pytest
import torch

from losslab import compose
from losslab.data import coefficients, load
from losslab.errors import BadRequest

WHOLE = ["data=stackloss", "data.split=whole", "data.batch_size=21", "corruption=none"]


def test_every_row_of_a_whole_split_is_in_every_part() -> None:
    data, split = load(compose(*WHOLE)["data"], seed=3)
    assert all(torch.equal(split[part], torch.arange(21)) for part in ("train", "val", "test"))
    torch.testing.assert_close(data.inputs.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(data.inputs.std(0), torch.ones(3))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["data.folds=5"], "leave data.folds and data.test_seed away"),
        (["data.test_seed=1"], "leave data.folds and data.test_seed away"),
        (["corruption=outliers"], "use corruption=none"),
        (["data.batch_size=22"], "larger than the training split, which has 21 rows"),
    ],
)
def test_what_does_not_fit_a_whole_split_is_refused(more: list[str], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        compose(*WHOLE, *more)


@pytest.mark.parametrize("log", [False, True])
def test_coefficients_are_those_that_made_the_predictions(log: bool) -> None:
    rows = coefficients.table("stackloss")
    made = torch.tensor([-2.0, 0.03, -0.02, 0.015])
    linear = made[0] + rows.inputs @ made[1:, None]
    pred = linear.exp() if log else linear
    seen = (pred, rows.targets, "stackloss", log)
    found = [
        coefficients.intercept(*seen),
        coefficients.slope1(*seen),
        coefficients.slope2(*seen),
        coefficients.slope3(*seen),
    ]
    assert found == pytest.approx(made.tolist(), abs=1e-4)


def test_other_rows_than_those_of_the_table_have_no_coefficients() -> None:
    rows = coefficients.table("stackloss")
    turned = rows.targets.flip(0)
    assert math.isnan(coefficients.slope1(turned, turned, "stackloss"))
    assert math.isnan(coefficients.slope1(turned[:9], turned[:9], "stackloss"))
