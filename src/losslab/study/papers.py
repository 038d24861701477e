"""Published tables: what the recipes under conf/experiment/paper/ say of the papers whose settings they train. No torch here.

about:
  paper:
    table: Wei et al. (2020), Combating noisy labels by agreement, table 1   # where the numbers stand
    read: in a copy of the table    # how they came here; "from memory" where nothing was at hand
    unit: "%"                       # of the numbers; 100 times ours
    within: 5                       # how far, in that unit, ours may lie off and still be the published number
    differs: [3000 pictures of MNIST instead of 60000]
    left_out: []                    # what the result depends on and the paper does not say
    cells:
      - {loss: cross_entropy, at: {fraction: 0.5}, value: 52.66}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from losslab.errors import BadRequest
from losslab.schema import cards, metric_references
from losslab.study.recipe import Study

GROUP = "paper/"  # what the names of these recipes begin with


@dataclass(frozen=True)
class Cell:
    """One published number: of a loss, in a setting (its label), by a metric."""

    loss: str
    setting: str
    metric: str
    value: float


@dataclass(frozen=True)
class Paper:
    """A published table.

    Attributes:
        table: paper and table.
        read: how its numbers came here.
        unit: of the numbers, as shown.
        scale: what our metrics are multiplied by to have that unit.
        within: how far ours may lie off, in that unit, and still be the published number.
        cells: its numbers.
        orders: pairs of losses of which the paper says that the first is better, without a number.
        differs: what of its setting could not be had.
        left_out: what the result depends on and the paper does not say.
        effects: whether differences of two losses are compared, beside the numbers themselves.
        once: why there is no second table after tuning; "" where there is one.
    """

    table: str
    read: str
    unit: str = ""
    scale: float = 1.0
    within: float = 0.0
    cells: tuple[Cell, ...] = ()
    orders: tuple[tuple[str, str], ...] = ()
    differs: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    effects: bool = True
    once: str = ""
    metrics: tuple[str, ...] = field(default=())


def names() -> list[str]:
    """The recipes for published tables, such as paper/stackloss."""
    return [name for name in cards.names("experiment") if name.startswith(GROUP)]


def of_study(study: Study) -> Paper | None:
    """The published table of a study; None for another study than these. Raises BadRequest for a card that does not fit its study."""
    if not study.name.startswith(GROUP) or study.name not in cards.names("experiment"):
        return None
    return read(cards.card("experiment", study.name).about.get("paper"), study)


def read(given: Any, study: Study) -> Paper:
    """A card, held to the study whose losses, settings and metrics it names.

    A study that was changed on the command line may lack a setting: then the cells of it are left out.
    Raises BadRequest for a word that no card has, a number that is none, and a loss, metric or axis that the study does not have.
    """
    where = f"The published table of {study.name}"
    if not isinstance(given, Mapping):
        raise BadRequest(f"{where} is missing: its recipe needs about.paper.")
    known = {key for key in Paper.__dataclass_fields__ if key != "metrics"}
    if wrong := [key for key in given if key not in known]:
        raise BadRequest(f"{where} has no entry '{wrong[0]}'. Valid: {', '.join(sorted(known))}.")
    if not given.get("table") or not given.get("read"):
        raise BadRequest(f"{where} must say which table it is (table) and how its numbers came here (read).")
    cells = tuple(cell for one in given.get("cells", ()) if (cell := _cell(one, study, where)))
    orders = tuple((str(one["better"]), str(one["than"])) for one in given.get("orders", ()))
    if lost := [loss for order in orders for loss in order if loss not in study.losses]:
        raise BadRequest(
            f"{where} names the loss '{lost[0]}', which the study does not train; leave study.losses as they are."
        )
    if not cells and not orders:
        raise BadRequest(f"{where} holds no number and no order.")
    rest = {key: given[key] for key in known & set(given) if key not in ("cells", "orders")}
    rest |= {key: tuple(map(str, given.get(key, ()))) for key in ("differs", "left_out")}
    metrics = tuple(dict.fromkeys([study.metric, *(cell.metric for cell in cells)]))
    return Paper(**rest, cells=cells, orders=orders, metrics=metrics)


def _cell(given: Mapping[str, Any], study: Study, where: str) -> Cell | None:
    """One number; None where the study was asked for without its setting."""
    loss, value = str(given.get("loss")), given.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadRequest(f"{where} has {value!r} for '{loss}', which is no number.")
    if loss not in study.losses:
        raise BadRequest(
            f"{where} names the loss '{loss}', which the study does not train; leave study.losses as they are."
        )
    metric = str(given.get("metric", study.metric))
    if metric not in (known := metric_references.of_task(study.base["task"])):
        raise BadRequest(f"{where} names the metric '{metric}'. Valid: {', '.join(known)}.")
    at = dict(given.get("at", {}))
    ends = {key.rsplit(".", 1)[-1]: key for key in study.axes}
    if wrong := [end for end in at if end not in ends]:
        raise BadRequest(f"{where} names '{wrong[0]}', which is no axis of the study.")
    fit = [setting for setting in study.settings() if all(setting[ends[end]] == value for end, value in at.items())]
    if len(fit) > 1:
        raise BadRequest(
            f"{where} has a number of '{loss}' that fits {len(fit)} settings; 'at' must name a value of each axis."
        )
    return Cell(loss, study.label(fit[0]), metric, float(value)) if fit else None
