"""Numbers that 32 bits cannot hold are refused in a sentence before anything is made."""

import pytest

from losslab import compose
from losslab.config import BadRequest


@pytest.mark.parametrize(
    "word", ["data.noise=1e39", "corruption.magnitude=1e39", "data.noise=1e300", "optimizer.lr=1e39", "penalty.l2=1e39"]
)
def test_a_number_that_32_bits_cannot_hold_is_refused(word: str) -> None:
    with pytest.raises(BadRequest, match="must be a number that fits into 32 bits"):
        compose(word)
