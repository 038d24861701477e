"""A study: tune each loss, then compare all on fresh seeds. Finished runs are not repeated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from losslab import errors
from losslab.errors import halting
from losslab.events import ComparisonStarted, Listener, TuningStarted, ignore
from losslab.records import files
from losslab.records.environment import commit
from losslab.records.files import write_whole
from losslab.records.locks import STUDY, locked
from losslab.records.record import Record
from losslab.records.store import whole_records
from losslab.schema import canonical
from losslab.schema.executor import LOCAL
from losslab.study import tuning
from losslab.study.recipe import NAME, Study, last_asked
from losslab.sweep import engines
from losslab.sweep.engines import Engine
from losslab.sweep.jobs import Job
from losslab.sweep.runner import train_all


def conduct(
    study: Study,
    folder: Path,
    mix: bool = False,
    listen: Listener = ignore,
    spread: bool = False,
    executor: Mapping[str, Any] = LOCAL,
) -> tuple[dict[Path, Record], list[Record]]:
    """Does what of a study is not done yet; returns the records of its trials and comparison by folder, and those that had finished before.

    spread: whether its runs may be trained in several processes; see `train_all`.
    executor: where its stacks are trained; see `losslab.schema.executor`.

    Raises BadRequest, before anything is trained, where the folder holds runs that are not of this study, or, unless `mix`,
    of another commit, and where another process conducts a study there; Halted where space or handles end.
    """
    with halting(), locked([folder / NAME], STUDY), engines.opened(executor, folder) as engine:
        return _conduct(study, folder, mix, listen, spread, engine)


def _conduct(
    study: Study, folder: Path, mix: bool, listen: Listener, spread: bool, engine: Engine | None
) -> tuple[dict[Path, Record], list[Record]]:
    if not study.base["overwrite"]:
        check_folder(folder, study, mix)
    folder.mkdir(parents=True, exist_ok=True)
    if last_asked(folder) is None and (folder / NAME).exists():
        files.quarantine(folder / NAME, "the study is described anew")
    write_whole(folder / NAME, yaml.safe_dump(study.mark(), sort_keys=False, allow_unicode=True))
    records: dict[Path, Record] = {}  # by folder: a search may ask twice for one run
    finished: list[Record] = []

    def train(jobs: list[Job]) -> Iterable[Record]:
        outcome = train_all(jobs, listen, spread, engine)
        records.update(zip((job.folder for job in jobs), outcome.records, strict=True))
        finished.extend(outcome.finished)
        return outcome.records

    choices = None
    if "tuned" in study.rates:
        asked = study.tuning["trials"] + study.tuning["refine"]
        listen(TuningStarted(len(study.losses), asked, study.tuning["seeds"], study.repeats))
        choices = tuning.tune(study, folder, train)
    jobs = comparison(study, folder, choices)
    listen(ComparisonStarted(study.seeds, len(jobs)))
    train(jobs)
    return records, finished


def comparison(study: Study, folder: Path, choices: pd.DataFrame | None) -> list[Job]:
    """The runs that are compared. Where a loss's own rate is the shared one, and its values the defaults, one run serves both."""
    rows = [] if choices is None else choices.to_dict("records")
    chosen = {(row["loss"], row["at"]): (row["lr"], row["params"]) for row in rows}
    jobs: list[Job] = []
    for setting in study.settings():
        for loss in study.losses:
            for seed in study.fresh_seeds:
                conditions: dict[str, tuple[list[str], dict[str, object]]] = {}
                for condition in study.rates:
                    at = study.tuned_at(study.tuning_setting(setting), study.repeat_of(seed))
                    own = chosen[loss, at] if condition == "tuned" else (None, None)
                    request = study.request(loss, setting, seed, *own)
                    conditions.setdefault(canonical.id_of(request), ([], request))[0].append(condition)
                for names, request in conditions.values():
                    part = {"phase": "confirm", "loss": loss, "setting": study.label(setting), "arms": names}
                    jobs.append(study.job(folder, request, len(jobs), **part))
    return jobs


def plan_comparison(study: Study, folder: Path, listen: Listener, executor: Mapping[str, Any]) -> None:
    """Plans the comparison of a study, each loss with its defaults, and trains nothing; the listener is given a SweepPlanned."""
    jobs: list[Job] = []
    for setting in study.settings():
        for loss in study.losses:
            for seed in study.fresh_seeds:
                part = {"phase": "confirm", "loss": loss, "setting": study.label(setting)}
                jobs.append(study.job(folder, study.request(loss, setting, seed), len(jobs), **part))
    with engines.opened(executor, folder) as engine:
        train_all(jobs, listen, True, engine, dry_run=True)


def check_folder(folder: Path, study: Study, mix: bool) -> None:
    """Raises BadRequest if runs below a folder belong to another study or sweep, or, unless `mix`, to another commit of losslab."""
    records, _ = whole_records(folder)  # corrupt ones are done again
    for record in records:
        if record.study is None or record.study["study"]["name"] != study.name:
            whose = f"the study '{record.study['study']['name']}'" if record.study else "a plain sweep"
            raise errors.BadRequest(
                f"{folder} holds runs of {whose}; choose another folder for this study with hydra.sweep.dir=DIR."
            )
    others = {record.commit for record in records} - {commit()}
    if others and not mix:
        raise errors.BadRequest(
            f"{folder} holds runs of losslab at commit {', '.join(sorted(map(str, others)))}, and this is {commit()}; choose another "
            "folder with hydra.sweep.dir=DIR, train them anew with overwrite=true, or take them for runs of this one with study.mix=true."
        )
