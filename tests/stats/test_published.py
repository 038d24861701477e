"""The rules by which a published number or difference is said to have come out again."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from losslab.stats.published import CANNOT_TELL, NOT_REPRODUCED, REPRODUCED, VERDICTS, of_effect, of_value

NUMBERS = st.floats(-1e3, 1e3)
WIDTHS = st.floats(1e-3, 1e3)


@settings(deadline=None)
@given(NUMBERS, WIDTHS, NUMBERS, WIDTHS, WIDTHS)
def test_a_wider_interval_decides_no_more(
    published: float, margin: float, low: float, width: float, more: float
) -> None:
    """What a narrow interval leaves open, a wider one around it does not decide; nor does it turn a verdict round."""
    for rule in (of_value, of_effect):
        narrow = rule(published, margin, low, low + width)
        wide = rule(published, margin, low - more, low + width + more)
        assert {narrow, wide} <= set(VERDICTS)
        assert wide in (narrow, CANNOT_TELL)


@settings(deadline=None)
@given(NUMBERS, WIDTHS, NUMBERS, WIDTHS)
def test_verdicts_are_the_same_with_the_losses_the_other_way_round(
    published: float, margin: float, low: float, width: float
) -> None:
    high = low + width
    assert of_effect(published, margin, low, high) == of_effect(-published, margin, -high, -low)
    assert of_value(published, margin, low, high) == of_value(-published, margin, -high, -low)


@settings(deadline=None)
@given(NUMBERS, WIDTHS)
def test_ours_that_is_the_published_number_reproduces_it(published: float, margin: float) -> None:
    assert of_value(published, margin, published, published) == REPRODUCED
    assert of_effect(published, margin, published, published) == REPRODUCED
    assert of_value(published, margin, published + 2 * margin, published + 3 * margin) == NOT_REPRODUCED


@pytest.mark.parametrize(
    ("published", "low", "high", "verdict"),
    [
        (5.0, 0.2, 9.0, REPRODUCED),  # told from 0, in its direction
        (5.0, -0.2, 9.0, CANNOT_TELL),
        (5.0, 0.2, 0.9, NOT_REPRODUCED),  # told from 0, and smaller than what matters
        (5.0, -9.0, -0.2, NOT_REPRODUCED),  # the other direction
        (-5.0, -9.0, -0.2, REPRODUCED),
        (0.5, -0.9, 0.9, REPRODUCED),  # no difference that matters, then and now
        (0.5, -0.9, 1.1, CANNOT_TELL),
        (0.5, 1.1, 3.0, NOT_REPRODUCED),
        (0.5, -3.0, -1.1, NOT_REPRODUCED),
        (math.inf, 0.1, 9.0, REPRODUCED),  # an order without a number
        (math.inf, -9.0, -0.1, NOT_REPRODUCED),
        (5.0, math.nan, math.nan, CANNOT_TELL),
    ],
)
def test_a_difference_is_judged_by_its_direction_and_the_margin(
    published: float, low: float, high: float, verdict: str
) -> None:
    assert of_effect(published, 1.0, low, high) == verdict
