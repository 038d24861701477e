"""What a run leaves: one record.json. Reports read records and nothing else."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from losslab import torn
from losslab.config import WHERE_AND_HOW, of_user, run_id
from losslab.machine import raise_if_ended
from losslab.shapes import matches, misshapen
from losslab.values import as_text

NAME = "record.json"
HASHES = ("data", "split", "corruption", "init", "order")  # by which runs prove that they saw the same


@dataclass(frozen=True)
class Record:
    """One run and what came of it.

    status: done, diverged (the loss or a prediction was not finite; `reason` names the epoch), skipped (its parts do not
    fit one another) or failed (an error; `reason` holds it).
    selection: the metric that chose the best epoch, its better direction, and whether the validation split was clean (an
    oracle, where the training split is not) or corrupted.
    metrics: `best/test/<name>`, `last/test/<name>` and the same for val; None where not finite.
        Also `constant/test/<name>`: what the best constant prediction gets, by the training targets.
    curves: what was measured after each epoch, by name: `train/loss`, `val/<name>`; None where not finite.
    pairing: a hash for each name in HASHES; equal hashes mean equal tensors. Empty where nothing was trained. Also
        `weights`, where rows do not count the same, and `source/...`, one for each file of the user's own; see config.of_user.
    study: of which study this is a run and which part of it; None outside a study.
    """

    status: str
    reason: str | None
    task: str
    loss: str
    loss_params: dict[str, Any]
    data: dict[str, Any]
    model: dict[str, Any]
    optimizer: dict[str, Any]
    corruption: dict[str, Any]
    seed: int
    config: dict[str, Any]
    selection: dict[str, str] = field(default_factory=dict)
    epochs: int = 0
    best_epoch: int | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    curves: dict[str, list[float | None]] = field(default_factory=dict)
    pairing: dict[str, str] = field(default_factory=dict)
    fused: int = 1
    seconds: dict[str, float] = field(default_factory=dict)
    device: str = ""
    traceback: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    commit: str | None = None
    study: dict[str, Any] | None = None

    @staticmethod
    def of(
        request: Mapping[str, Any], status: str, reason: str | None = None, traceback: str | None = None, **rest: Any
    ) -> Record:
        """A record of a request, with where and by what it was run filled in."""
        loss = dict(request["loss"])
        rest["curves"] = _columns(rest.get("curves", []))
        parts = {
            group: rest.pop(group, {}) | dict(request[group]) for group in ("data", "model", "optimizer", "corruption")
        }
        rest["metrics"] = {
            name: value if math.isfinite(value) else None for name, value in rest.get("metrics", {}).items()
        }
        return Record(
            status=status,
            reason=reason and as_text(reason),
            traceback=traceback and as_text(traceback),
            task=request["task"]["name"],
            loss=loss.pop("name"),
            loss_params=loss,
            seed=request["seed"],
            config=dict(request),
            versions=versions(),
            commit=commit(),
            **parts,
            **rest,
        )

    def metric_names(self) -> list[str]:
        """The names of the neutral metrics, the one that selects the best epoch first; none where nothing was trained."""
        return [name.removeprefix("best/test/") for name in self.metrics if name.startswith("best/test/")]

    def write(self, folder: Path) -> Path:
        """Writes record.json whole or not at all; where it is, the run is over."""
        path = folder / NAME
        plain = dict(vars(self))
        curves = (
            f"    {json.dumps(name)}: {json.dumps(values, allow_nan=False)}"
            for name, values in plain.pop("curves").items()
        )
        text = json.dumps(plain, indent=2, allow_nan=False).removesuffix("\n}")
        write_whole(
            path, text + ',\n  "curves": {\n' + ",\n".join(curves) + "\n  }\n}\n"
        )  # a line each, not one a number
        return path


def _columns(epochs: Sequence[Mapping[str, float]]) -> dict[str, list[float | None]]:
    """What was measured epoch by epoch, as a list for each name, in six digits."""
    names = dict.fromkeys(name for epoch in epochs for name in epoch)
    values = {name: [epoch.get(name, math.nan) for epoch in epochs] for name in names}
    return {
        name: [float(f"{value:.6g}") if math.isfinite(value) else None for value in column]
        for name, column in values.items()
    }


def write_whole(path: Path, content: str | bytes, lasting: bool = True) -> None:
    """Puts a file in its place only once it is complete; if it is to be `lasting`, on the disk."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            if lasting:
                file.flush()
                os.fsync(file.fileno())  # some milliseconds
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def read_record(folder: Path) -> Record | None:
    """The record in a folder, or None where there is none. Raises ValueError for a file that is not a whole record."""
    path = Path(folder) / NAME
    try:
        text = path.read_bytes()
        content = json.loads(text)
        if b"\\u" in text:  # it may be half a surrogate pair, which no file can hold as text
            json.dumps(content, ensure_ascii=False).encode()
        later = {"curves", "study"} - content.keys()  # earlier versions did not write them
        whole = {key: content[key] for key in (f.name for f in fields(Record)) if key not in later}
        _check_shape(whole)
        return Record(**whole)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} is torn; the same request, run again, sets it aside and trains its run anew."
        ) from error


# what reports read inside the settings of a record: what is there wherever the setting is not empty, and what may be there
_INNER: dict[str, dict[str, Any]] = {
    "data": {"name": str},
    "model": {"name": str},
    "optimizer": {"name": str, "lr": float},
    "corruption": {"name": str},
    "selection": {"metric": str, "better": str, "validation": str},
    "pairing": dict.fromkeys(HASHES, str),
    "study": {"study": dict[str, Any], "phase": str, "loss": str},
    "config": {"data": dict[str, Any]},
}
_INNER_AT_TIMES: dict[str, dict[str, Any]] = {
    "data": {"rows_in": dict[str, int]},
    "model": {"parameters": int},
    "corruption": {"rows_hit": dict[str, int], "splits": list[str]},
}
_IN_PHASE: dict[str, dict[str, Any]] = {
    "tune": {"at": str, "trial": int},
    "confirm": {"setting": str, "arms": list[str]},
}
_MAY_BE_EMPTY = ("selection", "pairing", "study")  # nothing was trained; outside a study


def _check_shape(content: Mapping[str, Any]) -> None:
    """Raises TypeError where a value is not of its type, and KeyError where it is not there."""
    if wrong := misshapen(content, Record):
        raise TypeError(f"{wrong} is not of its type")
    for group, inner in _INNER.items():
        if content.get(group) or group not in _MAY_BE_EMPTY:
            _check_inner(content[group], inner)
    for group, inner in _INNER_AT_TIMES.items():
        _check_inner(content[group], {key: hint for key, hint in inner.items() if key in content[group]})
    if part := content.get("study"):
        _check_inner(part, _IN_PHASE[part["phase"]])
        _check_inner(part["study"], {"name": str})


def _check_inner(values: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    for key, hint in hints.items():
        if not matches(values[key], hint):
            raise TypeError(f"{key} is not of its type")


def hyperparameters(record: Record) -> tuple[dict[str, Any], dict[str, float]]:
    """For TensorBoard's HParams tab: what decides the result, and the test metrics, `test/best/<name>` and `test/last/<name>`."""
    settings = {key: value for key, value in record.config.items() if key not in WHERE_AND_HOW}
    if record.study:
        settings |= {"study": {key: value for key, value in record.study.items() if key in ("phase", "loss")}}
    metrics = {
        f"test/{which}/{name}": value
        for which in ("best", "last")
        for name in record.metric_names()
        if (value := record.metrics[f"{which}/test/{name}"]) is not None
    }
    return flatten(settings), metrics


def finished(folder: Path, request: Mapping[str, Any]) -> Record | None:
    """The record of this request in a folder, if its run is over and need not be repeated.

    That is so where it trained to an end, from the same files of the user's as are here now.
    """
    record = _ended(folder, request)
    return None if record is None or _changed(record, request) else record


def outdated(folder: Path, request: Mapping[str, Any]) -> list[str]:
    """The files of the user's that are not as they were when the run of this request in a folder trained to its end."""
    record = _ended(folder, request)
    return [] if record is None else _changed(record, request)


def _changed(record: Record, request: Mapping[str, Any]) -> list[str]:
    return [what for what, digest in of_user(request).items() if record.pairing.get(what) != digest]


def _ended(folder: Path, request: Mapping[str, Any]) -> Record | None:
    """The record of this request in a folder, if it trained to an end.

    A record is forced onto the disk and checkpoints are not, so after a power cut these may be cut off; then there is none.
    """
    try:
        record = read_record(folder)
    except ValueError:
        torn.set_aside(Path(folder) / NAME, "its run is done again")
        return None
    if record is None or record.status not in ("done", "diverged") or request["overwrite"]:
        return None
    then, now = (
        {key: value for key, value in asked.items() if key not in WHERE_AND_HOW} for asked in (record.config, request)
    )
    try:
        same = then == now or run_id(record.config) == run_id(request)  # an id takes a millisecond
    except ValueError:  # its request is none of this version's
        return None
    return record if same and not any(map(torn.is_cut, checkpoints(folder))) else None


def set_cut_aside(folder: Path) -> None:
    """Sets checkpoints aside that were cut off. The record that lies beside them goes first: its run is done again."""
    cut = [path for path in checkpoints(folder) if torn.is_cut(path)]
    if cut:
        (Path(folder) / NAME).unlink(missing_ok=True)
    for path in cut:
        torn.set_aside(path, "its run begins anew")


def checkpoints(folder: Path) -> list[Path]:
    """Where a run leaves the weights of its best and of its last epoch."""
    return [Path(folder) / "checkpoints" / f"{name}.ckpt" for name in ("best", "last")]


def read_records(folder: Path) -> list[Record]:
    """All records below a folder, in the order of their paths. Raises ValueError for one that is torn."""
    found = (read_record(path.parent) for path in sorted(Path(folder).rglob(NAME)))
    return [record for record in found if record is not None]


def whole_records(folder: Path) -> tuple[list[Record], list[Path]]:
    """The records below a folder that are whole, in the order of their paths, and the paths of torn ones."""
    whole, others = [], []
    for path in sorted(Path(folder).rglob(NAME)):
        try:
            record = read_record(path.parent)
        except ValueError:
            others.append(path)
        else:
            whole += [record] if record else []
    return whole, others


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted names; `name` keys give their group's own name, lists become text."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix.rstrip(".") if key == "name" else f"{prefix}{key}"] = (
                str(value) if isinstance(value, list) else value
            )
    return flat


@cache
def versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide a result."""
    packages = ("losslab", "torch", "pytorch-lightning", "torchmetrics", "hydra-core")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


@cache
def commit() -> str | None:
    """The commit of the code that runs, with a plus sign where files differ from it; None where git does not hold this code."""
    here = Path(__file__).resolve()

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here.parent), *words], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)  # a package installed inside somebody's repository is not theirs
        return git("describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*") or None
    except (OSError, subprocess.SubprocessError) as error:
        raise_if_ended(error)  # else other code would seem to have begun what this code goes on with
        return None
