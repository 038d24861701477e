"""The smallest difference that matters: a number in units of the metric, or a share of a mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

from losslab.errors import BadRequest


@dataclass(frozen=True)
class Margin:
    """A smallest difference that matters.

    >>> Margin.read("5%").of(2.0), Margin.read("0.3").of(2.0)
    (0.1, 0.3)
    """

    size: float
    relative: bool

    @classmethod
    def read(cls, text: str) -> Margin:
        """Of "0.3", in units of the metric, or "5%", of the best mean of a setting. Raises BadRequest for what is none."""
        plain = str(text).strip()
        relative = plain.endswith("%")
        try:
            size = float(plain.removesuffix("%"))
        except ValueError:
            size = math.nan
        if not 0 <= size < math.inf:
            raise BadRequest(
                f"The smallest difference that matters is a number of at least 0, such as 0.05, or a share, such as 5%; '{text}' is "
                "neither."
            )
        return cls(size / 100 if relative else size, relative)

    def of(self, mean: float) -> float:
        """In units of the metric, where the best loss has this mean; 0 where the mean is not known."""
        return self.size * abs(mean) if self.relative and math.isfinite(mean) else 0.0 if self.relative else self.size
