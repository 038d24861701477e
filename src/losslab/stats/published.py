"""Whether a published number, or a published difference of two losses, came out again: the rules, stated in advance."""

from __future__ import annotations

import math

REPRODUCED, NOT_REPRODUCED, CANNOT_TELL = "reproduced", "not reproduced", "cannot tell"
LEFT_OUT = "needs what the paper leaves out"  # in the place of "not reproduced", where a card names it
VERDICTS = (REPRODUCED, NOT_REPRODUCED, CANNOT_TELL, LEFT_OUT)


def of_value(published: float, within: float, low: float, high: float) -> str:
    """The verdict on one published number.

    Reproduced where the whole interval of ours lies at most `within` from it, not reproduced where the whole interval lies farther
    off, else not to be told. An end that is not finite tells nothing.

    >>> of_value(52.7, 5.0, 50.1, 55.0), of_value(52.7, 5.0, 60.0, 63.0), of_value(52.7, 5.0, 55.0, 60.0)
    ('reproduced', 'not reproduced', 'cannot tell')
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return CANNOT_TELL
    least, most = published - within, published + within
    if least <= low and high <= most:
        return REPRODUCED
    return NOT_REPRODUCED if high < least or most < low else CANNOT_TELL


def of_effect(published: float, margin: float, low: float, high: float) -> str:
    """The verdict on a published difference of two losses, from the interval of ours; `margin`: the smallest difference that matters.

    A published difference above the margin is reproduced where the interval excludes 0 in its direction and reaches beyond the
    margin. It is not where the whole interval is below the margin in that direction. A published difference of at most the margin is
    reproduced where the whole interval is within the margin on both sides, and is not where the whole interval is beyond it.

    >>> of_effect(26.0, 1.0, 18.0, 22.0), of_effect(26.0, 1.0, -0.4, 0.3), of_effect(26.0, 1.0, -2.0, 9.0)
    ('reproduced', 'not reproduced', 'cannot tell')
    >>> of_effect(0.2, 1.0, -0.4, 0.3), of_effect(0.2, 1.0, -9.0, -4.0)
    ('reproduced', 'not reproduced')
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return CANNOT_TELL
    if published < 0:
        published, low, high = -published, -high, -low
    if published > margin:
        if high <= margin:
            return NOT_REPRODUCED
        return REPRODUCED if low > 0 else CANNOT_TELL
    if -margin <= low and high <= margin:
        return REPRODUCED
    return NOT_REPRODUCED if low > margin or high < -margin else CANNOT_TELL
