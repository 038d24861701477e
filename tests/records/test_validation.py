"""A record is read as it was written, or refused: never a wrong value, and never another exception than ValueError."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from losslab import Record, compose, read_records
from losslab.records.store import read_record

GONE = object()
REQUEST = compose("trainer=cpu")
WHOLE: dict[str, Any] = vars(
    Record.of(
        REQUEST,
        "done",
        metrics={"best/test/mae": 1.5, "last/test/mae": 2},
        selection={"metric": "mae", "better": "min", "validation": "clean"},
        pairing=dict.fromkeys(("data", "split", "corruption", "init", "order", "source/model"), "0123"),
        curves=[{"train/loss": 1.0}, {"train/loss": float("nan")}],
        study={"study": {"name": "s"}, "phase": "confirm", "loss": "mse", "setting": "one setting", "arms": ["tuned"]},
    )
)


def changed(path: str, value: Any) -> dict[str, Any]:
    made = copy.deepcopy(WHOLE)
    *outer, last = path.split("|")
    inner = made
    for key in outer:
        inner = inner[key]
    if value is GONE:
        del inner[last]
    else:
        inner[last] = value
    return made


def read(content: Any, folder: Path) -> Record | None:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / "record.json").write_bytes(text)
    return read_record(folder)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = read(WHOLE, tmp_path)
    assert found is not None
    assert vars(found) == WHOLE
    assert found.pairing["source/model"] == "0123", "what is not among the fixed names is kept"
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        assert read(json.dumps(WHOLE).encode(encoding), tmp_path) == found, "as an editor may leave it"
    assert read(WHOLE | {"of a later version": 1}, tmp_path) == found
    assert repr(found) == repr(Record(**WHOLE)), "settings keep their order, which is that of the columns of a report"


def test_what_earlier_versions_did_not_write_is_filled_in(tmp_path: Path) -> None:
    old = {key: value for key, value in WHOLE.items() if key not in ("curves", "study")}
    found = read(old, tmp_path)
    assert found is not None
    assert (found.curves, found.study) == ({}, None)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("status", GONE),
        ("metrics", GONE),
        ("seed", True),
        ("seed", 1.5),
        ("seed", "1"),
        ("seed", 2**63),
        ("reason", 3),
        ("data|name", GONE),
        ("data|name", 3),
        ("optimizer|lr", True),
        ("optimizer|lr", "0.1"),
        ("optimizer|lr", float("nan")),
        ("metrics|best/test/mae", True),
        ("metrics|best/test/mae", float("inf")),
        ("metrics|best/test/mae", "1.5"),
        ("curves|train/loss", [1.0, "2"]),
        ("pairing|init", GONE),
        ("pairing|init", None),
        ("pairing|source/model", 3),
        ("selection|of the user's", None),
        ("selection|better", None),
        ("study|phase", "another"),
        ("study|arms", "tuned"),
        ("study|setting", GONE),
        ("study|study", {}),
        ("config|data", []),
        ("corruption", "none"),
        ("versions|torch", 2),
    ],
)
def test_what_is_not_of_its_type_is_refused(path: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is corrupt") as refused:
        read(changed(path, value), tmp_path)
    assert str(refused.value).count("\n") == 0


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[1]",
        json.dumps(WHOLE).encode()[:-9],
        json.dumps(WHOLE).encode() + b"x",
        json.dumps(changed("device", "\ud800")).encode(),
        b'{"loss_params": ' + b'{"a": ' * 9999 + b"1" + b"}" * 9999 + b"}",
        b'{"seed": ' + b"9" * 9999 + b"}",
    ],
    ids=["empty", "null", "a list", "cut", "more", "half a surrogate pair", "deep", "many digits"],
)
def test_what_is_no_record_is_refused(text: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is corrupt"):
        read(text, tmp_path)
    with pytest.raises(ValueError, match="is corrupt"):
        read_records(tmp_path)
