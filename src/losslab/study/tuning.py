"""Tuning on one budget: each loss gets the same number of trials, and the setting that did best on validation is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from losslab.interrupts import check
from losslab.jobs import Job
from losslab.record import Record
from losslab.shapes import matches
from losslab.study import space
from losslab.study.plan import Setting, Study, fixed, loss_setting
from losslab.values import BadRequest

if TYPE_CHECKING:
    import pandas as pd

_ROUND = 4  # trials of each loss that a search by Optuna asks for at once


@dataclass(frozen=True)
class Trial:
    """One setting of one loss that is tried; `at` is the label of the place."""

    loss: str
    at: str
    number: int
    lr: float
    params: dict[str, Any]


class Search(Protocol):
    """What says which trials come next."""

    def ask(self, seen: pd.DataFrame) -> list[Trial]:
        """The next trials, for all losses and places; none at the end. `seen`: the rows of `rows` so far."""


def tune(study: Study, folder: Path, train: Callable[[list[Job]], Iterable[Record]]) -> pd.DataFrame:
    """Trains all trials below `folder` and returns what was chosen, as `choose` does."""
    import pandas as pd

    search: Search = Optuna(study) if study.tuning["search"] == "optuna" else Points(study)
    places = {study.label(place): place for place in study.places()}
    seen = pd.DataFrame()
    while trials := search.ask(seen):
        check()
        jobs: list[Job] = []
        for trial in trials:
            part = {"phase": "tune", "loss": trial.loss, "at": trial.at, "trial": trial.number}
            for seed in study.tuning_seeds:
                request = study.request(trial.loss, places[trial.at], seed, trial.lr, trial.params)
                jobs.append(study.job(folder, request, len(jobs), **part))
        seen = pd.concat([seen, rows(list(train(jobs)), study.metric, study.epoch)], ignore_index=True)
    return choose(study, seen)


def rows(records: Sequence[Record], metric: str, epoch: str) -> pd.DataFrame:
    """One row a run of a trial: loss, at, trial, lr, params (a mapping of what was tuned), seed, status, value.

    Raises BadRequest for a record without a value of what was tuned.
    """
    import pandas as pd

    columns = ("loss", "at", "trial", "lr", "params", "seed", "status", "value")
    found = []
    for record in records:
        part = record.study or {}
        params = {dimension.key: record.loss_params.get(dimension.key) for dimension in dimensions(part["loss"])}
        for key, tuned in params.items():
            if not matches(tuned, float | str):
                raise BadRequest(
                    f"The record of a trial of {part['loss']} holds {tuned!r} for '{key}', which cannot be."
                )
        value = record.metrics.get(f"{epoch}/val/{metric}") if record.status == "done" else None
        status = "diverged" if record.status == "done" and value is None else record.status
        lr = record.optimizer["lr"]
        found.append((part["loss"], part["at"], part["trial"], lr, params, record.seed, status, value))
    return pd.DataFrame(found, columns=columns).astype({"value": float})


def means(seen: pd.DataFrame) -> pd.DataFrame:
    """One row a trial: loss, at, trial, lr, params, value (mean over the seeds, NaN where a run is not done), lost (such runs)."""
    import pandas as pd

    found = []
    for (loss, at, trial, lr), runs in seen.groupby(["loss", "at", "trial", "lr"], sort=False):
        lost = int((runs["status"] != "done").sum())
        value = runs["value"].mean() if not lost else float("nan")
        found.append((loss, at, trial, lr, runs["params"].iloc[0], value, lost))
    return pd.DataFrame(found, columns=("loss", "at", "trial", "lr", "params", "value", "lost"))


def choose(study: Study, seen: pd.DataFrame, shown: pd.DataFrame | None = None) -> pd.DataFrame:
    """For each loss and place the trial with the best mean on validation; one whose runs are not all done comes after all others.

    Columns: loss, at, lr, params, value, trials, diverged (trials with a run that is not done), edge (in words, or "").
    `shown`: the same runs with another metric, of which `value` then is; what is chosen stays.
    """
    import pandas as pd

    table = means(seen).assign(shown=means(seen if shown is None else shown)["value"])
    found = []
    for (loss, at), trials in table.groupby(["loss", "at"], sort=False):
        best = _best(study, trials)
        edges = []
        if side := _side(best["lr"], table.loc[table["at"] == at, "lr"]):
            edges.append(f"the {side} learning rate that was tried")
        for dimension in dimensions(str(loss)):
            side = dimension.edge(best["params"][dimension.key])
            if side and dimension.widened(side):  # an end of what is valid has nothing beyond it
                edges.append(f"{dimension.key} at the {side} edge of its range")
        diverged = int((trials["lost"] > 0).sum())
        found.append((loss, at, best["lr"], best["params"], best["shown"], len(trials), diverged, "; ".join(edges)))
    return pd.DataFrame(found, columns=("loss", "at", "lr", "params", "value", "trials", "diverged", "edge"))


def dimensions(loss: str) -> list[space.Dimension]:
    """The hyperparameters that are tuned for a loss as a study names it; the learning rate left out."""
    return space.of_loss(loss_setting(loss)["name"], fixed(loss))


def _rates(study: Study, place: Setting) -> space.Dimension:
    """The range of learning rates at a place."""
    return space.of_optimizer(study.request(study.losses[0], place, 0)["optimizer"]["name"])


def _best(study: Study, trials: pd.DataFrame) -> pd.Series[Any]:
    """The best of some trials of one loss; the earlier of two that are equal."""
    cost = trials["value"] * (1 if study.better == "min" else -1)
    return trials.assign(cost=cost).sort_values(["lost", "cost"], kind="stable").iloc[0]


def _side(rate: float, rates: pd.Series[float]) -> str:
    """'lowest' or 'highest', where a rate is the outermost that was tried."""
    return "lowest" if rate == rates.min() else "highest" if rate == rates.max() else ""


class Points:
    """Quasi-random points (Sobol, 1967), scrambled: the first coordinate is the learning rate, the same for all losses.

    Where the best rate of a loss is the outermost that was tried, all losses get a quarter as many trials again beyond it.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.rates = {study.label(place): _rates(study, place) for place in study.places()}
        self.used = dict.fromkeys(self.rates, 0)  # points
        self.widened = dict.fromkeys(self.rates, 0)
        self.first = int(study.tuning["trials"])
        self.more = max(1, self.first // 4)
        most = self.first + 2 * self.more * study.tuning["widen"]
        widest = max(len(dimensions(loss)) for loss in study.losses)
        self.points = space.points(most, 1 + widest, study.base["seed"])

    def ask(self, seen: pd.DataFrame) -> list[Trial]:
        """All trials; after them those beyond the edges that did best."""
        if not len(seen):
            return [trial for at, rates in self.rates.items() for trial in self._trials(at, rates, self.first)]
        asked = []
        for at, table in means(seen).groupby("at", sort=False):
            chosen = [_best(self.study, trials)["lr"] for _, trials in table.groupby("loss")]
            sides = {_side(rate, table["lr"]) for rate in chosen} - {""}
            if sides and self.widened[str(at)] < self.study.tuning["widen"]:
                self.widened[str(at)] += 1
                asked += [trial for side in sorted(sides) for trial in self._beyond(str(at), side)]
        return asked

    def _beyond(self, at: str, side: str) -> list[Trial]:
        """Trials beyond one side of the range of a place, which is wider from now on."""
        rates = self.rates[at]
        piece = rates.widened("lower" if side == "lowest" else "upper")
        if piece is None:
            return []
        self.rates[at] = replace(rates, low=min(rates.low, piece.low), high=max(rates.high, piece.high))
        return self._trials(at, piece, self.more)

    def _trials(self, at: str, rates: space.Dimension, count: int) -> list[Trial]:
        """The next points of a place, for all losses."""
        start = self.used[at]
        self.used[at] += count
        return [
            Trial(
                loss,
                at,
                number,
                rates.at(share),
                {d.key: d.at(x) for d, x in zip(dimensions(loss), rest, strict=False)},
            )
            for loss in self.study.losses
            for number, (share, *rest) in enumerate(self.points[start : self.used[at]], start)
        ]


class Optuna:
    """A search of each loss's own by Optuna's tree-structured Parzen estimator (Bergstra et al., 2011), some trials at a time."""

    def __init__(self, study: Study) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = study
        direction: Literal["minimize", "maximize"] = "minimize" if study.better == "min" else "maximize"
        self.searches: dict[tuple[str, str], Any] = {}
        self.spaces: dict[tuple[str, str], list[space.Dimension]] = {}
        for place in study.places():
            for loss in study.losses:
                key = (loss, study.label(place))
                digest = hashlib.sha256(f"{study.base['seed']}/{key}".encode()).digest()
                sampler = optuna.samplers.TPESampler(
                    seed=int.from_bytes(digest[:4], "big"),
                    n_startup_trials=max(2, study.tuning["trials"] // 2),
                    constant_liar=True,
                )
                self.searches[key] = optuna.create_study(direction=direction, sampler=sampler)
                self.spaces[key] = [_rates(study, place), *dimensions(loss)]

    def ask(self, seen: pd.DataFrame) -> list[Trial]:
        """The next few trials of every search, once it has been told what came of those before."""
        if len(seen):
            self._tell(means(seen))
        asked = []
        for key, search in self.searches.items():
            for _ in range(min(_ROUND, self.study.tuning["trials"] - len(search.trials))):
                trial = search.ask()
                lr, *params = (_suggested(trial, dimension) for dimension in self.spaces[key])
                names = [dimension.key for dimension in self.spaces[key][1:]]
                asked.append(Trial(*key, trial.number, lr, dict(zip(names, params, strict=True))))
        return asked

    def _tell(self, table: pd.DataFrame) -> None:
        """Tells the searches of trials that are over; one with a lost run has failed."""
        from optuna.trial import TrialState

        for trial in table.itertuples():
            search = self.searches[str(trial.loss), str(trial.at)]
            if not search.trials[trial.trial].state.is_finished():
                search.tell(trial.trial, *((None, TrialState.FAIL) if trial.lost else (trial.value,)))


def _suggested(trial: Any, dimension: space.Dimension) -> Any:
    """A value of a dimension that Optuna suggests."""
    if dimension.kind == "choice":
        return trial.suggest_categorical(dimension.key, list(dimension.choices))
    if "int" in dimension.kind:
        return trial.suggest_int(
            dimension.key, int(dimension.low), int(dimension.high), log=dimension.kind == "log int"
        )
    return float(
        f"{trial.suggest_float(dimension.key, dimension.low, dimension.high, log=dimension.kind == 'log'):.4g}"
    )
