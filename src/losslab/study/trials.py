"""The trials of a tuning: settings that are tried, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from losslab.errors import BadRequest
from losslab.records.record import Record
from losslab.schema import cards, loss_terms, search_space
from losslab.study.recipe import Setting, Study, fixed, loss_setting

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Trial:
    """One trial: a learning rate and hyperparameters of one loss; `at` is the label of the setting in which it is tuned."""

    loss: str
    at: str
    number: int
    lr: float
    params: dict[str, Any]


def rows(records: Sequence[Record], metric: str, epoch: str) -> pd.DataFrame:
    """One row a run of a trial: loss, at, trial, lr, params (a mapping of what was tuned), seed, status, value, dimensions.

    Raises BadRequest for a record without a value of what was tuned.
    """
    import pandas as pd

    columns = ("loss", "at", "trial", "lr", "params", "seed", "status", "value", "dimensions")
    found, own = [], cache(dimensions)
    for record in records:
        part = record.study or {}
        tuned = own(part["loss"]) if (noted := _noted(part)) is None else noted
        params = {dimension.key: record.loss_params.get(dimension.key) for dimension in tuned}
        for key, value in params.items():
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                raise BadRequest(
                    f"The record of a trial of {part['loss']} holds {value!r} for '{key}', which cannot be."
                )
        value = record.metrics.get(f"{epoch}/val/{metric}") if record.status == "done" else None
        status = "diverged" if record.status == "done" and value is None else record.status
        lr = record.optimizer["lr"]
        found.append((part["loss"], part["at"], part["trial"], lr, params, record.seed, status, value, tuned))
    return pd.DataFrame(found, columns=columns).astype({"value": float})


def means(seen: pd.DataFrame) -> pd.DataFrame:
    """One row a trial: loss, at, trial, lr, params, value (mean over the seeds, NaN where a run is not done), lost (such runs), runs."""
    each = seen.assign(lost=seen["status"] != "done").groupby(["loss", "at", "trial", "lr"], sort=False)
    found = each.agg(params=("params", "first"), value=("value", "mean"), lost=("lost", "sum"), runs=("lost", "size"))
    return found.assign(value=found["value"].where(found["lost"] == 0)).reset_index()


def dimensions(loss: str) -> list[search_space.Dimension]:
    """The hyperparameters that are tuned for a loss as a study names it; the learning rate left out."""
    return search_space.of_loss(loss_setting(loss)["name"], fixed(loss))


def search_of_user(loss: str) -> dict[str, Any]:
    """What the records of trials note of a loss from outside, whose card may not be there when they are read."""
    named = [name for _, name, _ in loss_terms.parse(loss)]
    if all(cards.card("loss", name).shipped for name in named):
        return {}
    return {"searched": search_space.stated(loss_setting(loss)["name"], fixed(loss))}


def _noted(part: Mapping[str, Any]) -> list[search_space.Dimension] | None:
    """The dimensions that the record of a trial notes; None where it notes none."""
    searched = part.get("searched")
    try:
        return None if searched is None else search_space.of_texts(searched)
    except (TypeError, AttributeError) as error:
        raise BadRequest(
            f"The record of a trial of {part['loss']} holds a search space that cannot be read."
        ) from error


def finalists(study: Study, seen: pd.DataFrame) -> pd.DataFrame:
    """The best trials of each loss and tuning, as in `means`."""
    table = means(seen)
    cost = table["value"] * (1 if study.better == "min" else -1)
    ordered = table.assign(cost=cost).sort_values(["lost", "cost"], kind="stable")
    return ordered.groupby(["loss", "at"], sort=False).head(study.tuning["finalists"])


def rate_range(study: Study, setting: Setting) -> search_space.Dimension:
    """The range of learning rates at a setting."""
    return search_space.of_optimizer(study.request(study.losses[0], setting, 0)["optimizer"]["name"])


def best_trial(study: Study, trials: pd.DataFrame) -> pd.Series[Any]:
    """The best of some trials of one loss, of those with the most runs; the earlier of two that are equal."""
    trials = trials[trials["runs"] == trials["runs"].max()]
    cost = trials["value"] * (1 if study.better == "min" else -1)
    return trials.assign(cost=cost).sort_values(["lost", "cost"], kind="stable").iloc[0]


def side_of(rate: float, rates: pd.Series[float]) -> str:
    """'lowest' or 'highest', where a rate is the outermost that was tried."""
    return "lowest" if rate == rates.min() else "highest" if rate == rates.max() else ""
