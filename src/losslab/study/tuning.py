"""Tuning on one budget: each loss gets the same number of trials, and the setting that did best on validation is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from losslab.records.record import Record
from losslab.safe_points import check
from losslab.study.recipe import Study
from losslab.study.searchers import Optuna, Points, Search
from losslab.study.trials import Trial, best_trial, finalists, means, rows, search_of_user, side_of
from losslab.sweep.jobs import Job

if TYPE_CHECKING:
    import pandas as pd


def tune(study: Study, folder: Path, train: Callable[[list[Job]], Iterable[Record]]) -> pd.DataFrame:
    """Trains all trials below `folder` and returns what was chosen, as `choose` does."""
    import pandas as pd

    search: Search = Optuna(study) if study.tuning["search"] == "optuna" else Points(study)
    seen = pd.DataFrame()
    while trials := search.ask(seen):
        check()
        seen = pd.concat([seen, _trained(study, folder, trials, train)], ignore_index=True)
    if study.tuning["finalists"] > 1:
        best = [
            Trial(row["loss"], row["at"], row["trial"], row["lr"], row["params"])
            for row in finalists(study, seen).to_dict("records")
        ]
        seen = pd.concat([seen, _trained(study, folder, best, train, final=True)], ignore_index=True)
    return choose(study, seen)


def _trained(
    study: Study,
    folder: Path,
    trials: Iterable[Trial],
    train: Callable[[list[Job]], Iterable[Record]],
    final: bool = False,
) -> pd.DataFrame:
    """The runs of some trials, as `rows` gives them; `final`: on the further seeds of the best trials."""
    places = study.tunings()
    jobs: list[Job] = []
    for trial in trials:
        part: dict[str, Any] = {"phase": "tune", "loss": trial.loss, "at": trial.at, "trial": trial.number}
        part |= search_of_user(trial.loss)
        setting, repeat = places[trial.at]
        for seed in study.tuning_seeds(repeat, final):
            request = study.request(trial.loss, setting, seed, trial.lr, trial.params, repeat)
            jobs.append(study.job(folder, request, len(jobs), **part))
    return rows(list(train(jobs)), study.metric, study.epoch)


def choose(study: Study, seen: pd.DataFrame, shown: pd.DataFrame | None = None) -> pd.DataFrame:
    """For each loss and setting the trial with the best mean on validation; one whose runs are not all done comes after all others.

    Columns: loss, at, lr, params, value, trials, diverged (trials with a run that is not done), edge (in words, or "").
    `shown`: the same runs with another metric, of which `value` then is; what is chosen stays.
    """
    import pandas as pd

    table = means(seen).assign(shown=means(seen if shown is None else shown)["value"])
    tuned = dict(zip(seen["loss"], seen["dimensions"], strict=True))
    found = []
    for (loss, at), trials in table.groupby(["loss", "at"], sort=False):
        best = best_trial(study, trials)
        tied = int((trials["value"] == best["value"]).sum()) > 1  # as of models that give one answer to all rows
        edges = []
        if not tied and (side := side_of(best["lr"], table.loc[table["at"] == at, "lr"])):
            edges.append(f"the {side} learning rate that was tried")
        for dimension in [] if tied else tuned[loss]:
            side = dimension.edge(best["params"][dimension.key])
            if side and dimension.widened(side):  # an end of what is valid has nothing beyond it
                edges.append(f"{dimension.key} at the {side} edge of its range")
        diverged = int((trials["lost"] > 0).sum())
        found.append((loss, at, best["lr"], best["params"], best["shown"], len(trials), diverged, "; ".join(edges)))
    return pd.DataFrame(found, columns=("loss", "at", "lr", "params", "value", "trials", "diverged", "edge"))
