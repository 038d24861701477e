"""Whether runs that are over were made by the code and from the data that are here now."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence

from losslab.record import Record, commit, versions


def changes(over: Sequence[Record], records: Iterable[Record]) -> list[str]:
    """A sentence on each way in which runs that were over, among all `records` of a sweep, are not what would be trained now."""
    return [*_of_code(over), *_of_data(over, records)]


def _of_code(over: Sequence[Record]) -> list[str]:
    now = versions() | {"commit": commit()}
    differing: dict[str, set[str]] = defaultdict(set)
    count = 0
    for record in over:
        then = record.versions | {"commit": record.commit}
        others = {name: str(then[name]) for name in now if then.get(name) and then[name] != now[name]}
        count += bool(others)
        for name, other in others.items():
            differing[name].add(other)
    if not count:
        return []
    what = ", ".join(f"{name} {' and '.join(sorted(others))}, now {now[name]}" for name, others in differing.items())
    return [f"{_runs(count)} by other code ({what}); overwrite=true trains them again."]


def _of_data(over: Sequence[Record], records: Iterable[Record]) -> list[str]:
    """Data are known by the hash of their rows; what is here now shows in the runs that were trained now."""
    old = {id(record) for record in over}
    here: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if id(record) not in old and record.pairing:
            here[_asked(record)].add(record.pairing["data"])
    count = sum(
        bool(record.pairing and (now := here.get(_asked(record))) and record.pairing["data"] not in now)
        for record in over
    )
    return [f"{_runs(count)} on other data than are here now; overwrite=true trains them again."] if count else []


def _asked(record: Record) -> str:
    return json.dumps(record.config["data"], sort_keys=True)


def _runs(count: int) -> str:
    return f"{count} {'runs that were' if count > 1 else 'run that was'} over {'were' if count > 1 else 'was'} trained"
