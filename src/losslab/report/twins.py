"""Settings that are one: they differ in how the data are corrupted, and nothing is, as at a share of 0 on either side."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from losslab.records.record import HASHES, Record
from losslab.report.formatting import name


def twins(settings: pd.DataFrame, records: Sequence[Record], labels: Sequence[str]) -> dict[str, str]:
    """From each setting that trains on the very data of an earlier one, to that one.

    Args:
        settings: as in `Results.settings`.
        records: the runs that are compared.
        labels: the setting of each.
    """
    seen: dict[str, set[tuple[str, ...]]] = {}
    for record, label in zip(records, labels, strict=True):
        if record.pairing:
            seen.setdefault(label, set()).add((str(record.seed), *(record.pairing.get(key, "") for key in HASHES)))
    others = [key for key in settings if not str(key).startswith("corruption")]
    first: dict[tuple[object, ...], str] = {}
    found = {}
    for label, *values in settings[others].itertuples(name=None):
        if label in seen:
            earlier = first.setdefault((*values, frozenset(seen[label])), str(label))
            if earlier != label:
                found[str(label)] = earlier
    return found


def sentences(found: dict[str, str]) -> list[str]:
    """What a reader must know of them."""
    return [
        f"{name(label)} trains on the same data as {name(earlier)}, so claims count it once."
        for label, earlier in found.items()
    ]
