"""Where tuning looks: what a card states under `about.search`, as dimensions, and quasi-random points in them.

    log [0.1, 10]     evenly on the scale of the logarithm, both ends inclusive; above 0
    [0, 5]            evenly
    int [1, 8]        whole numbers; also log int [1, 100]
    v1 | v3           one of these words or numbers

Nothing here imports torch; scipy is imported where it is used, as it is slow to import.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from losslab.errors import BadRequest
from losslab.schema import canonical, cards, loss_terms
from losslab.schema.ranges import ends, inside

Kind = Literal["log", "uniform", "int", "log int", "choice"]

Side = Literal["lower", "upper", ""]

MOST = 16  # dimensions that points can have

_RANGE = re.compile(r"(?P<kind>log int|log|int|)\s*\[(?P<low>[^,\[\]]+),(?P<high>[^,\[\]]+)\]")

_CHOICES = re.compile(r"[\w.+-]+(\s*\|\s*[\w.+-]+)+")


@dataclass(frozen=True)
class Dimension:
    """One hyperparameter to be tuned, and where.

    Attributes:
        key: its name in the card.
        kind: how its range is divided.
        low: the least value; of choices 0.
        high: the greatest; of choices the number of the last, counted from 0.
        choices: words or numbers to choose from; empty for a range.
        valid: the range outside which the key has no meaning, as in `about.ranges`, such as "(0, inf)"; "" where none is known.
    """

    key: str
    kind: Kind
    low: float
    high: float
    choices: tuple[float | str, ...] = ()
    valid: str = ""

    @property
    def in_words(self) -> str:
        """The dimension in words: "delta 0.1 to 10 (log)"."""
        if self.choices:
            *first, last = map(str, self.choices)
            return f"{self.key} {', '.join(first)} or {last}"
        how = {"log": " (log)", "int": " (whole)", "log int": " (log, whole)"}.get(self.kind, "")
        return f"{self.key} {self.low:g} to {self.high:g}{how}"

    def at(self, share: float) -> Any:
        """The value at a share of the dimension, in [0, 1].

        Floats are rounded to 4 significant digits, so that equal values are equal texts. Whole numbers and choices have an
        equal part of [0, 1] each (of a `log int` as much as they have of the logarithm); 1 gives the last.
        """
        half = 0.5 if self._whole else 0
        first, last = self._scale(self.low - half), self._scale(self.high + half)
        value = min(max(self._rounded(self._value(first + share * (last - first))), self.low), self.high)
        return self.choices[int(value)] if self.choices else value

    def edge(self, value: float | str) -> Side:
        """The side on which a value lies in the outermost sixteenth of the range, on its scale; "" inside, and for choices."""
        if self.choices or isinstance(value, str):
            return ""
        if self._log and value <= 0:
            return "lower"
        first, last = self._scale(self.low), self._scale(self.high)
        share = (self._scale(value) - first) / (last - first)
        return "lower" if share <= 1 / 16 else "upper" if share >= 15 / 16 else ""

    def widened(self, side: Side) -> Dimension | None:
        """What lies beyond one side, half as wide on its scale as the range is: the new piece without the old.

        It ends where the valid range of the key does; where that end is not itself valid, half the way to it. None where
        nothing is left, and for choices.
        """
        if self.choices or not side:
            return None
        half = (self._scale(self.high) - self._scale(self.low)) / 2
        step = 1 if self._whole else 0
        if side == "upper":
            low, high = self.high + step, self._reach(self.high, half)
        else:
            low, high = self._reach(self.low, -half), self.low - step
        return replace(self, low=low, high=high) if low < high else None

    def near(self, value: Any, width: float) -> Dimension:
        """The part of the dimension round a value, `width` of its scale wide; of choices the value alone."""
        if self.choices:
            return replace(self, choices=(value,), low=0.0, high=0.0)
        half = width * (self._scale(self.high) - self._scale(self.low)) / 2
        low, high = (self._rounded(self._value(self._scale(value) + way)) for way in (-half, half))
        return replace(self, low=max(low, min(self.low, value)), high=min(high, max(self.high, value)))

    def _reach(self, end: float, way: float) -> float:
        """Where one gets from an end of the range without leaving what is valid."""
        far = self._rounded(self._value(self._scale(end) + way))
        if not self.valid or inside(far, self.valid):
            return far
        bound = ends(self.valid)[0 if way < 0 else 1]
        return self._rounded(bound if inside(bound, self.valid) else (end + bound) / 2)

    @property
    def _log(self) -> bool:
        return self.kind in ("log", "log int")

    @property
    def _whole(self) -> bool:
        return self.kind in ("int", "log int", "choice")

    def _scale(self, value: float) -> float:
        return math.log(value) if self._log else value

    def _value(self, place: float) -> float:
        return math.exp(place) if self._log else place

    def _rounded(self, value: float) -> float:
        if self._whole:
            return max(math.floor(value + 0.5), 1 if self._log else -math.inf)
        return float(f"{value:.4g}")


def parse(key: str, text: Any, valid: str = "") -> Dimension:
    """A dimension from its notation (see the top of this file). Raises BadRequest for what cannot be read or holds nothing."""
    said = f"The search space of '{key}', {text!r},"
    text = text.strip() if isinstance(text, str) else ""
    if _CHOICES.fullmatch(text):
        choices = tuple(loss_terms.value(part.strip()) for part in text.split("|"))
        if len(set(choices)) < len(choices):
            raise BadRequest(f"{said} must name each choice once.")
        return Dimension(key, "choice", 0, len(choices) - 1, choices, valid)
    found = _RANGE.fullmatch(text)
    numbers = [_number(found[end]) for end in ("low", "high")] if found else []
    if not found or not all(map(math.isfinite, numbers)):
        raise BadRequest(
            f"{said} cannot be read; write it as 'log [0.1, 10]', '[0, 5]', 'int [1, 8]', 'log int [1, 100]' or 'v1 | v3'."
        )
    low, high = numbers
    kind = cast(Kind, found["kind"] or "uniform")
    if low >= high:
        raise BadRequest(f"{said} must run from a smaller number to a larger one.")
    if "log" in kind and low <= 0:
        raise BadRequest(f"{said} must begin above 0, as its scale is the logarithm.")
    if "int" in kind:
        if not (low.is_integer() and high.is_integer()):
            raise BadRequest(f"{said} must run between whole numbers.")
        low, high = int(low), int(high)
    return Dimension(key, kind, low, high, (), valid)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def of_loss(name: str, fixed: Iterable[str] = ()) -> list[Dimension]:
    """The dimensions of a loss as its card states them, without the keys that are fixed; none for a sum.

    Raises BadRequest for a loss that is not there, and for a card whose search space leaves what the loss takes.
    """
    found = of_texts(stated(name, fixed))
    for dimension in found:
        for value in dimension.choices or (dimension.low, dimension.high):
            canonical.check_hyperparameters(name, {dimension.key: value})
    return found


def stated(name: str, fixed: Iterable[str] = ()) -> dict[str, list[str]]:
    """What the card of a loss states of each key that is tuned: where, and the range of what is valid ("" where none is stated)."""
    about, kept = cards.card("loss", name).about, set(fixed)
    ranges = about.get("ranges", {})
    return {key: [text, ranges.get(key, "")] for key, text in about.get("search", {}).items() if key not in kept}


def of_texts(texts: Mapping[str, Sequence[str]]) -> list[Dimension]:
    """Dimensions from what `stated` gives."""
    return [parse(key, *each) for key, each in texts.items()]


def of_optimizer(name: str) -> Dimension:
    """The learning rates to be tried with an optimizer, as its card states them. Raises BadRequest where it states none."""
    search = cards.card("optimizer", name).about.get("search", {})
    if "lr" not in search:
        raise BadRequest(
            f"The optimizer '{name}' states no learning rates to try; its card needs search: {{lr: \"log [1e-4, 1e-1]\"}} under about."
        )
    return parse("lr", search["lr"], cards.card("", "config").about["ranges"]["optimizer.lr"])
