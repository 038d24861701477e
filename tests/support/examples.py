"""Valid predictions and targets for each space, losses made ready for four classes, and the data sets that are there."""

from typing import Any

from losslab import errors, losses
from losslab.catalogue.contract_inputs import extremes as extremes
from losslab.catalogue.contract_inputs import sample as sample
from losslab.schema import cards, requirements

COUNTS = [40.0, 30.0, 20.0, 10.0]  # samples of each of four classes
SHARES = [0.4, 0.3, 0.2, 0.1]  # of the samples, with each of four labels


def made(name: str, space: str, **params: Any) -> Any:
    """A loss that is ready for `sample`: one that needs the class counts gets some."""
    values = cards.card("loss", name).values
    needs = {key: given for key, given in (("counts", COUNTS), ("shares", SHARES)) if key in values}
    return losses.get(name, space=space, **(needs | params))


def installed() -> list[str]:
    """The data sets whose files are there: all but those of a package that is not installed, and those that are fetched."""
    there = []
    for name in cards.names("data"):
        card = cards.card("data", name)
        try:
            requirements.check(card.values, card.about)
        except errors.BadRequest:
            continue
        there.append(name)
    return there
