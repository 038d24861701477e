"""Hydra's range(start,stop,step), expanded in decimals; and the values of a sweep over one key.

Hydra adds the step in binary: its range(0,0.4,0.1) holds 0.4 as well, and its range(0.1,0.5,0.2) holds 0.30000000000000004.
"""

from __future__ import annotations

import itertools
import random
import re
from decimal import Decimal, localcontext
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.errors import HydraException

from losslab.errors import BadRequest
from losslab.hydra_internals import as_text, unshuffled

MOST = (
    100_000  # values of a sweep: more is a slip of the keyboard, and would fill the memory before anything is trained
)
_RANGE = re.compile(r"\brange\([^()]*\)")


def numbers(start: float, stop: float | None = None, step: float = 1) -> list[float]:
    """The numbers start, start + step, ... before stop, exact in decimals, equal ones once; range(n) starts at 0.

    Whole numbers stay whole where all three are. Raises BadRequest for a range that is empty, too long or without an end.
    """
    if stop is None:
        start, stop = 0, start
    whole = all(isinstance(number, int) for number in (start, stop, step))
    with localcontext(prec=60):
        first, end, each = (Decimal(repr(number)) for number in (start, stop, step))
        finite = all(number.is_finite() for number in (first, end, each))
        if not finite or not each or not 0 < (end - first) / each <= MOST:
            raise BadRequest(
                f"range({start},{stop},{step}) must name a range of at most {MOST:,} steps that lead from its start to its end."
            )
        count = int(((end - first) / each).to_integral_value("ROUND_CEILING"))
        found = [first + number * each for number in range(count)]
    return list(dict.fromkeys(int(number) if whole else float(number) for number in found))


def parser(loader: ConfigLoader | None = None) -> OverridesParser:
    """Hydra's parser of overrides with `numbers` for its ranges, so that what sorts, shuffles or casts one works on them."""

    def expanded(start: float, stop: float | None = None, step: float = 1) -> ChoiceSweep:
        return ChoiceSweep(list=list(numbers(start, stop, step)))

    functions = create_functions()
    functions.functions["range"] = expanded
    return OverridesParser(functions, loader)


def choices(sweep: Override) -> list[str]:
    """The values of a discrete sweep, which `parser` has read, as overrides of one value each; equal values count once.

    A shuffled sweep has the same order each time, so that a command that is repeated asks for the same.
    """
    sweep, shuffled = unshuffled(sweep)
    found = {_meaning(value): value for value in reversed(list(itertools.islice(sweep.sweep_iterator(), MOST + 1)))}
    values = list(reversed(found.values()))
    if shuffled:
        random.Random(0).shuffle(values)
    return [f"{sweep.get_key_element()}={as_text(value)}" for value in values]


def listed(text: str) -> list[Any] | None:
    """The numbers of a range that stands as a word in a file, as 'range(0, 0.4, 0.1)'; None for any other word.

    Raises BadRequest for a range that is wrong in itself.
    """
    if not _RANGE.search(text):
        return None
    try:
        sweep = parser().parse_override(f"x={text}")
    except HydraException as error:
        raise refusal(error) or BadRequest(f"'{text}' cannot be read; write range(START,STOP,STEP).") from error
    return [parser().parse_override(choice).value() for choice in choices(sweep)]


def spread(text: str) -> list[str]:
    """Text that holds ranges, as 'huber(delta=range(0.5,2,0.5))', once for each of their values."""
    found = _RANGE.search(text)
    if not found:
        return [text]
    values = listed(found[0]) or []
    return [one for value in values for one in spread(f"{text[: found.start()]}{value}{text[found.end() :]}")]


def refusal(error: BaseException | None) -> BadRequest | None:
    """The refusal that made Hydra's parser fail, where there is one."""
    while error and not isinstance(error, BadRequest):
        error = error.__cause__
    return error if isinstance(error, BadRequest) else None


def _meaning(value: Any) -> Any:
    """What tells one value from another, however it is written: 0.1, 1e-1 and .1 are one."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if number else value.text if isinstance(value, QuotedString) else as_text(value)
