"""Whether the seeds of a comparison tested on rows of their own, and what the intervals can therefore say."""

from __future__ import annotations

from collections.abc import Sequence

from losslab.records.record import Record
from losslab.schema import cards, check

ONE_SPLIT = (
    "Every seed tested on the same rows. So the intervals say how much training varies, and not how other rows would "
    "turn out."
)


def one_split(records: Sequence[Record]) -> bool:
    """Whether several seeds test on the same rows, other than data of which all rows are train, val and test at once.

    They do where they have one split, and where the data themselves name the rows for testing, though others are drawn anew.
    """
    trained = [record for record in records if record.pairing and not _in_all_parts(record)]
    return len({record.seed for record in trained}) > 1 and len(set(map(_test_rows, trained))) == 1


def overlap(records: Sequence[Record]) -> float:
    """Test rows of a seed for each training row, where these stand for other rows of the same kind; else 0.

    So it is for data of the user's, and for folds. Each seed then draws its split from the same rows, and training sets that
    share rows give results that are alike: a plain t test over such seeds calls too many losses different. Where all seeds have
    one split there is nothing to correct by.
    """
    resampled = [record for record in records if record.pairing and _resampled(record)]
    if not resampled or one_split(resampled):
        return 0.0
    shares = [rows["test"] / rows["train"] for record in resampled if (rows := record.data.get("rows_in"))]
    return sum(shares) / len(shares) if shares else 0.0


def sentences(records: Sequence[Record], settings: Sequence[str]) -> list[str]:
    """A sentence where all seeds of a setting have one split."""
    of_setting: dict[str, list[Record]] = {}
    for record, setting in zip(records, settings, strict=True):
        of_setting.setdefault(setting, []).append(record)
    return [ONE_SPLIT] if any(map(one_split, of_setting.values())) else []


def protocol(share: float) -> list[str]:
    """How the intervals take account of rows that seeds share."""
    if not share:
        return []
    return [
        "All seeds draw their splits from the same rows, so they are not independent. Their t intervals and tests are corrected for "
        f"that (Nadeau and Bengio, 2003), with {share:.2g} test rows for each training row. They speak of other rows of the same "
        "kind. The sign test, where a run diverged, has no such correction."
    ]


def _test_rows(record: Record) -> str:
    """What stands for the rows that a run tested on; an earlier version noted the whole split alone."""
    data = record.config.get("data", {})
    named = data.get("parts") or data.get("test_path")
    return record.pairing.get("test_rows") or str(named or record.pairing["split"])


def _resampled(record: Record) -> bool:
    data = record.config.get("data", {})
    return bool("path" in data or data.get("folds"))


def _in_all_parts(record: Record) -> bool:
    """Whether it is data of which all rows are train, val and test at once, as in a simulation."""
    data = record.config.get("data", {})
    return data.get("name", "") in cards.names("data") and check.one_split(data)
