"""Whether finished or stopped runs were made by the current code and from the current data."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from losslab.records.environment import commit, versions
from losslab.records.record import Record

_LOG = logging.getLogger(__name__)


def stamp(pairings: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """What a checkpoint must have in common with a run that resumes from it: commit, versions, and hashes of what the runs are made of."""
    return {"commit": commit(), "versions": versions(), "pairings": [dict(pairing) for pairing in pairings]}


def is_of(checkpoint: Mapping[str, Any], wanted: Mapping[str, Any], what: object) -> bool:
    """Whether a checkpoint bears this stamp; says so where it does not. Half a run by other code would be no run of either."""
    if checkpoint.get("origin") == wanted:
        return True
    _LOG.warning(f"{what} was begun by other code or on other data, and begins anew.")
    return False


def warn_of_outdated(runs: Iterable[Sequence[str]]) -> None:
    """Logs how many finished runs are trained again because files of the user's have changed; `runs`: which files, for each run."""
    runs = [files for files in runs if files]
    if runs:
        what = ", ".join(dict.fromkeys(file.removeprefix("source/") for files in runs for file in files))
        _LOG.warning(
            f"{_runs(len(runs))} from files of yours that have changed since or were not noted ({what}), and "
            f"{'are' if len(runs) > 1 else 'is'} trained again."
        )


def changes(finished: Sequence[Record], records: Iterable[Record]) -> list[str]:
    """A sentence for each way in which earlier finished runs, among all `records` of a sweep, differ from what would be trained now."""
    return [*of_code(finished), *_of_data(finished, records)]


def of_code(finished: Sequence[Record]) -> list[str]:
    """The sentence on runs that had finished and are of other code."""
    now = versions() | {"commit": commit()}
    differing: dict[str, set[str]] = defaultdict(set)
    count = 0
    for record in finished:
        then = record.versions | {"commit": record.commit}
        others = {name: str(then[name]) for name in now if then.get(name) and then[name] != now[name]}
        count += bool(others)
        for name, other in others.items():
            differing[name].add(other)
    if not count:
        return []
    what = ", ".join(f"{name} {' and '.join(sorted(others))}, now {now[name]}" for name, others in differing.items())
    return [f"{_runs(count)} by other code ({what}); overwrite=true trains them again."]


def _of_data(finished: Sequence[Record], records: Iterable[Record]) -> list[str]:
    """The sentence on finished runs whose data, known by a hash of their rows, are not those of runs that were trained now."""
    old = {id(record) for record in finished}
    now: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if id(record) not in old and record.pairing:
            now[_request(record)].add(record.pairing["data"])
    count = sum(
        bool(record.pairing and (here := now.get(_request(record))) and record.pairing["data"] not in here)
        for record in finished
    )
    return [f"{_runs(count)} on other data than are here now; overwrite=true trains them again."] if count else []


def _request(record: Record) -> str:
    return json.dumps(record.config["data"], sort_keys=True)


def _runs(count: int) -> str:
    return f"{count} finished {'runs' if count > 1 else 'run'} {'were' if count > 1 else 'was'} trained"
