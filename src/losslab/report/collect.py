"""From records to the tables of a report. Nothing but records is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from losslab.errors import BadRequest, nearest
from losslab.records.record import Record
from losslab.report import checks, resampling, rows, twins
from losslab.report.done import paragraph
from losslab.report.formatting import listed
from losslab.report.labels import labelled
from losslab.report.protocol import protocol, provenance, selection
from losslab.report.results import Results
from losslab.report.setting_words import axis
from losslab.schema import canonical, metric_references
from losslab.schema.metric_facts import MARGIN, METRICS
from losslab.stats.margins import Margin
from losslab.study import trials as study_trials
from losslab.study import tuning
from losslab.study.recipe import ONE_SETTING, Study, from_mark


@dataclass(frozen=True)
class ReportOptions:
    """What a report is asked to compare, where it is not what the study says: a metric, an epoch, a reference, a margin; and mixing."""

    metric: str = ""
    epoch: str = ""
    reference: str = ""
    mix: bool = False
    margin: str = ""


def results(records: Sequence[Record], asked: ReportOptions | None = None, current: Study | None = None) -> Results:
    """The tables of a study or of a plain sweep.

    `current`: the study as it was asked for last, where its records belong to more than one form of it.
    Raises BadRequest for no records, for records of several tasks, and, unless mixing is asked for, for records of several
    studies or commits and for runs that are there twice; also for a metric or a reference that they do not have.
    """
    asked = asked or ReportOptions()
    names = {_name(record) for record in records}
    records, notes = _checked(records, asked.mix)
    if len(names) == 1 and names != {""}:
        return _of_study(records, asked, current, notes)
    return _of_sweep(records, asked, notes)


def _name(record: Record) -> str:
    return str(record.study["study"]["name"]) if record.study else ""


def _checked(records: Sequence[Record], mix: bool) -> tuple[list[Record], list[str]]:
    """The records, each run once, and what a reader must know about them."""
    if not records:
        raise BadRequest("There are no records to report on.")
    tasks = sorted({record.task for record in records})
    if len(tasks) > 1:
        raise BadRequest(
            f"The records belong to different tasks ({', '.join(tasks)}); report on one task's folder at a time."
        )
    notes = []
    studies = sorted({_name(record) or "a plain sweep" for record in records})
    commits = sorted({str(record.commit) for record in records})
    for what, found in (("studies", studies), ("commits of losslab", commits)):
        if len(found) > 1 and not mix:
            raise BadRequest(
                f"The records belong to different {what} ({', '.join(found)}); --mix reports on them together."
            )
        if len(found) > 1:
            notes.append(f"Mixed on request (--mix): the records belong to different {what} ({', '.join(found)}).")
    if versions := listed(checks.several_versions(records) or [""]):
        said = f"were made from different versions of {versions}"
        if not mix:
            raise BadRequest(
                f"The records {said}; overwrite=true trains the old ones again, --mix reports on them together."
            )
        notes.append(f"Mixed on request (--mix): the records {said}.")
    if len(studies) > 1:  # one comparison of runs, to which trials do not belong
        records = [replace(record, study=None) for record in records if _part(record)[0] != "tune"]
    distinct = {(*_part(record), canonical.run_id_as_read(record.config)): record for record in records}
    if copies := len(records) - len(distinct):
        if not mix:
            twice = Counter(canonical.run_id_as_read(record.config) for record in records).most_common(1)[0][0]
            raise BadRequest(f"The run {twice} is there twice; remove the copy, or leave copies out with --mix.")
        notes.append(f"{copies} copies of runs are left out.")
    return list(distinct.values()), notes


def _part(record: Record) -> tuple[str, str]:
    return (record.study["phase"], record.study["loss"]) if record.study else ("", "")


def _of_study(records: list[Record], asked: ReportOptions, current: Study | None, notes: list[str]) -> Results:
    """The tables of a study, from records that carry it."""
    records = [_renamed(record) for record in records]
    forms = {str(part["study"]): part["study"] for record in records if (part := record.study)}
    if current is None and len(forms) > 1:
        raise BadRequest(
            "The records belong to different forms of one study, and no study.yaml beside them says which was the last."
        )
    study = current or from_mark(next(iter(forms.values())))
    made = {text: study.made(mark) for text, mark in forms.items()}
    where_run = list(study.tunings())
    where = {"tune": where_run, "confirm": [study.label(setting) for setting in study.settings()]}
    kept = [
        record
        for record in records
        if (part := record.study) and made[str(part["study"])] and part["loss"] in study.losses
        if part["at" if part["phase"] == "tune" else "setting"] in where[part["phase"]]
    ]
    if left := len(records) - len(kept):
        notes.append(f"{left} runs below the folder belong to an earlier form of this study and are left out.")
    metric, epoch, reference = (
        asked.metric or study.metric,
        asked.epoch or study.epoch,
        asked.reference or study.reference,
    )
    _check_metric(study.base["task"], metric)
    _check_reference(reference, study.losses)
    phases = {phase: [record for record in kept if _part(record)[0] == phase] for phase in ("tune", "confirm")}
    phases["tune"].sort(key=lambda record: _in_order(record, study.losses, where_run))
    trials = study_trials.rows(phases["tune"], metric, epoch)
    choices = tuning.choose(study, study_trials.rows(phases["tune"], study.metric, study.epoch), trials)
    if old := {id(record) for record in checks.superseded(phases["confirm"], choices, study)}:
        phases["confirm"] = [record for record in phases["confirm"] if id(record) not in old]
        notes.append(f"{len(old)} runs at learning rates that earlier trials had chosen are left out.")
    found = [(*where, *rows.of_run(record, metric, epoch)) for *where, record in _compared(phases["confirm"])]
    runs = rows.with_missing(pd.DataFrame(found, columns=rows.RUNS), study)
    settings = pd.DataFrame(study.settings(), index=where["confirm"])
    labels = [record.study["setting"] for record in phases["confirm"] if record.study]
    same = twins.twins(settings, phases["confirm"], labels)
    notes += checks.missing(runs)
    notes += checks.unpaired(phases["confirm"], labels)
    notes += resampling.sentences(phases["confirm"], labels)
    notes += twins.sentences(same)
    notes += checks.not_as_chosen(runs, choices, study) if "tuned" in study.rates else []
    notes += checks.on_an_edge(choices, study)
    if "optimizer.lr" not in study.axes:
        notes += checks.far_rates([_part(record)[1] for record in phases["confirm"]], phases["confirm"])
    notes += checks.same(_compared(phases["confirm"]))
    overlap = resampling.overlap(phases["confirm"])
    target, axes = _target(phases["confirm"]), _axes(settings, phases["confirm"])
    return Results(
        name=study.name,
        question=study.question,
        task=study.task,
        metric=metric,
        better=metric_references.of_task(study.base["task"])[metric],
        epoch=epoch,
        reference=reference,
        losses=study.losses,
        conditions=study.rates,
        settings=settings,
        runs=runs,
        trials=trials.assign(params=trials["params"].map(rows.in_words)),
        choices=choices.assign(params=choices["params"].map(rows.in_words)),
        curves=rows.curves(_compared(phases["confirm"]), metric),
        failures=rows.failures(kept, metric, epoch),
        protocol=protocol(study, kept, epoch) + resampling.protocol(overlap),
        overlap=overlap,
        target=target,
        done=paragraph(phases["confirm"], len(study.losses), axes, study, target, epoch),
        axes=axes,
        margin=_margin(asked.margin or study.margin, metric),
        twins=same,
        notes=notes,
        provenance=provenance(kept, study),
    )


def _renamed(record: Record) -> Record:
    """A record with today's label of the only setting, which earlier versions called otherwise."""
    part = record.study or {}
    old = {key: ONE_SETTING for key in ("setting", "at") if part.get(key) == "all equal"}
    return replace(record, study=part | old) if old else record


def _in_order(record: Record, losses: list[str], where_run: list[str]) -> tuple[int, int, int]:
    """Where the trial of a record stands in its study."""
    part = record.study or {}
    return losses.index(part["loss"]), where_run.index(part["at"]), part["trial"]


def _compared(records: Iterable[Record]) -> Iterator[tuple[str, str, str, Record]]:
    """Arm, loss, setting and record of each run that is compared; one that serves two conditions comes twice."""
    for record in records:
        if record.study:
            for condition in record.study["arms"]:
                yield condition, record.study["loss"], record.study["setting"], record


def _of_sweep(records: list[Record], asked: ReportOptions, notes: list[str]) -> Results:
    """The tables of a plain sweep: losses are told apart by whatever of them differs, settings by whatever else does."""
    trained = [record for record in records if record.selection]
    if not trained:
        raise BadRequest(f"None of the {len(records)} runs trained; their records say why.")
    task = trained[0].task
    metric, epoch = asked.metric or trained[0].selection["metric"], asked.epoch or "best"
    of_task = {"name": task} | trained[0].config["task"]
    _check_metric(of_task, metric)
    named = labelled(records)
    records, losses, where_run = named.records, named.losses, [str(label) for label in named.settings.index]
    compared = [run for run in zip(losses, where_run, records, strict=True) if run[2].status != "skipped"]
    labels = list(dict.fromkeys(loss for loss, _, _ in compared))
    reference = asked.reference or labels[0]
    _check_reference(reference, labels)
    settings = named.settings
    settings = settings[~settings.index.duplicated() & settings.index.isin([setting for _, setting, _ in compared])]
    found = [("asked", loss, setting, *rows.of_run(record, metric, epoch)) for loss, setting, record in compared]
    runs = pd.DataFrame(found, columns=rows.RUNS)
    asked_for = [("asked", *run) for run in compared]
    overlap = resampling.overlap(trained)
    target, axis_words = _target(trained), _axes(settings, trained)
    same = twins.twins(settings, records, where_run)
    notes += [*checks.uneven(runs), *checks.unpaired(records, where_run), *resampling.sentences(records, where_run)]
    notes += twins.sentences(same)
    if "optimizer.lr" not in settings:
        notes += checks.far_rates([loss for loss, _, _ in compared], [record for _, _, record in compared])
    return Results(
        name="",
        question="",
        task=task,
        metric=metric,
        better=metric_references.of_task(of_task)[metric],
        epoch=epoch,
        reference=reference,
        losses=labels,
        conditions=["asked"],
        settings=settings,
        runs=runs,
        curves=rows.curves(asked_for, metric),
        failures=rows.failures(records, metric, epoch, where_run, losses),
        protocol=selection(trained, epoch) + resampling.protocol(overlap),
        overlap=overlap,
        target=target,
        done=paragraph([record for _, _, record in compared], len(labels), axis_words, None, target, epoch),
        axes=axis_words,
        margin=_margin(asked.margin, metric),
        twins=same,
        notes=[*notes, *checks.same(asked_for)],
        provenance=provenance(records, None),
    )


def _target(records: Sequence[Record]) -> str:
    """What is predicted, as the data of all records name it, with its unit; else ""."""
    asked = [record.config.get("data", {}) for record in records]
    found = {(str(data.get("target", "")), str(data.get("unit", ""))) for data in asked}
    target, unit = found.pop() if len(found) == 1 else ("", "")
    return f"{target} ({unit})" if target and unit else target


def _axes(settings: pd.DataFrame, records: Sequence[Record]) -> dict[str, str]:
    """What each axis of the settings is called in words."""
    corruptions = list(dict.fromkeys(str(record.corruption["name"]) for record in records))
    return {str(key): axis(str(key), corruptions) for key in settings}


def _margin(text: str, metric: str) -> Margin:
    facts = METRICS.get(metric)
    return Margin.read(text or (facts.margin if facts else MARGIN))


def _check_metric(task: Mapping[str, Any], metric: str) -> None:
    known = metric_references.of_task(task)
    if metric not in known:
        raise BadRequest(
            f"There is no metric '{metric}' of task '{task['name']}'{nearest(metric, known)}. Valid: {', '.join(known)}."
        )


def _check_reference(reference: str, losses: Sequence[str]) -> None:
    if reference not in losses:
        raise BadRequest(
            f"The reference must be one of the losses compared ({', '.join(losses)}), and '{reference}' is not."
        )
