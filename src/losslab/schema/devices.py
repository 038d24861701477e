"""How many devices train one run: `trainer.devices`. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from losslab.errors import BadRequest
from losslab.schema.cards import of_this_process


def count(request: Mapping[str, Any]) -> int:
    """How many devices train a run together, each in a process of its own."""
    return int(request["trainer"].get("devices", 1))


def check(request: Mapping[str, Any]) -> None:
    """Raises BadRequest where a run could not be shared by so many devices, whichever they are."""
    asked, batch = count(request), request["data"]["batch_size"]
    if asked > batch:
        raise BadRequest(
            f"trainer.devices={asked} gives each device a part of every batch, and data.batch_size={batch} has fewer rows; ask for "
            "fewer devices or larger batches."
        )
    if asked > 1 and of_this_process():
        raise BadRequest(
            f"trainer.devices={asked} trains in other processes, which know no function that was registered in this one; put it into "
            "a file, and name it as in loss=my_losses.py:NAME."
        )


def refuse_for_many(request: Mapping[str, Any]) -> None:
    """Raises BadRequest where one of many runs asks for several devices."""
    if (asked := count(request)) > 1:
        raise BadRequest(
            f"trainer.devices={asked} is for one run, and this is a sweep or a study, whose runs train side by side; leave it away "
            "(executor= sends them to several machines)."
        )
