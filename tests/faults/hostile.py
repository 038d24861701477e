"""Words and files that would do harm if losslab executed what is in them."""

from __future__ import annotations

import copy
import json
import pickle
import random
import time
from pathlib import Path
from typing import Any

from faults.answers import Answer, answer, watched
from faults.requests import tallied
from faults.tally import Tally
from losslab.cli import main, train

SMALL = ["data.rows=100", "data.batch_size=16", "trainer.max_epochs=1", "trainer=cpu", "logger=none"]
COMPARISONS = {  # by the folder of their runs
    "sweep": ["-m", "loss=mse,l1", "seed=0,1", "hydra.sweep.dir=sweep"],
    "study": [
        *("study=fair", "study.losses=[mse,huber]", "+study.axes.corruption.fraction=[0,0.2]", "study.seeds=2"),
        *("study.tuning.trials=2", "study.tuning.seeds=1", "study.tuning.widen=0", "hydra.sweep.dir=study"),
    ],
}
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}{%x%}[bold]|`"
ODD: list[Any] = [
    *(
        SCRIPT,
        "../../../mark",
        "/etc/passwd",
        "\x1b]0;x\x07",
        "\ud800",
        "a" * 100_000,
        "",
        None,
        True,
        -1,
        0,
        7.5,
        10**400,
        1e308,
    ),
    *([], {}, [[[]]], {"name": SCRIPT}, {"": {}}, [None], {"a": [1, {"b": SCRIPT}]}, "=cmd|' /C calc'!A0"),
]


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def words(folder: Path) -> list[list[str]]:
    """Command lines that must be refused; what they would run makes a file, which would be seen as stray."""
    touch = f"command: 'touch {folder / 'mark'}'"
    return [
        ["model._target_=os.system"],
        ["+x._target_=os.system"],
        ["+model._target_=os.system", f"+model.{touch.replace(': ', '=')}"],
        ["-m", "hydra.launcher._target_=os.system"],
        ["-m", "hydra.sweeper._target_=os.system"],
        ["-m", f"hydra.sweeper={{_target_: os.system, {touch}}}"],
        ["-m", f"hydra.launcher={{_target_: os.system, {touch}}}"],
        ["-m", f"+hydra.callbacks.x={{_target_: os.system, {touch}}}"],
        ["-m", f"++hydra.callbacks={{x: {{_target_: os.system, {touch}}}}}"],
        ["seed=${eval:1}"],
        ["seed=${oc.env:HOME}"],
        ["loss=sum", "loss.terms='huber(delta=!!python/object/apply:os.system [id]) + l1'"],
        ["--experimental-rerun", "config.pickle"],
        ["hydra.searchpath=[file:///tmp]"],
        ["--config-dir", "/nowhere"],
    ]


def inject(count: int, seed: int, folder: Path) -> list[Tally]:
    """Each hostile command line and file once, and `count` reports on hostile records."""
    folder.mkdir(parents=True, exist_ok=True)
    refused = tallied("hostile words", words(folder), lambda asked: answer(asked, folder), lambda _, a: a.status == 2)
    return [refused, files(count, seed, folder / "files")]


def files(count: int, seed: int, folder: Path) -> Tally:
    """Hostile checkpoints and settings in the folder of a run, and `count` reports on records with odd values in them.

    Lost is what was executed, what was not escaped in the report, and what was answered without a sentence.
    """
    began = time.perf_counter()
    folder.mkdir(parents=True)
    seen = []
    for asked in COMPARISONS.values():
        given = _train(folder, asked)
        seen.append(("comparison", given, given.status == 0))
    mark = folder / "mark"
    for name in ("last.ckpt", "best.ckpt"):
        place = folder / "lone" / name / "checkpoints"
        place.mkdir(parents=True)
        (place / name).write_bytes(pickle.dumps(Bomb(mark)))
        seen.append((name, _train(folder, [f"hydra.run.dir=lone/{name}"]), not mark.exists()))
    for number, text in enumerate([f"!!python/object/apply:os.system ['touch {mark}']", "[" * 3000, "a: &a [*a, *a]"]):
        place = folder / "lone" / str(number)
        place.mkdir(parents=True)
        (place / "config.yaml").write_text(text)
        given = _train(folder, [f"hydra.run.dir=lone/{number}"])
        seen.append(("config.yaml", given, given.status == 2 and not mark.exists()))
    whole = {
        place: {path: json.loads(path.read_text()) for path in (folder / place).rglob("record.json")}
        for place in COMPARISONS
    }
    draw = random.Random(seed)
    for number in range(count):
        place = list(COMPARISONS)[number % len(COMPARISONS)]
        made = _some_spoilt(whole[place], draw) if number % 4 < 3 else _mark_spoilt(whole[place], draw)
        for path, text in made.items():
            path.write_text(text)
        if number % 4 == 3:
            (folder / place / "study.yaml").unlink(missing_ok=True)
        given = watched(lambda place=place: main.main(["report", place]), folder)
        page = folder / place / "report.html"
        clean = not page.exists() or "<script>alert(1)" not in page.read_text(encoding="utf-8")
        seen.append(("record.json", given, given.status in (0, 2) and clean and not mark.exists()))
        page.unlink(missing_ok=True)
    return Tally(
        "hostile checkpoints, settings and records",
        tried=len(seen),
        lost=sum(not right for *_, right in seen),
        tracebacks=sum(bool(given.crash) for _, given, _ in seen),
        stray=int(mark.exists()),
        seconds=time.perf_counter() - began,
    )


def _some_spoilt(records: dict[Path, dict[str, Any]], draw: random.Random) -> dict[Path, str]:
    """The records as texts, a fifth of them with odd values; at times one that goes on without end."""
    made = {
        path: json.dumps(spoilt(record, draw) if draw.random() < 0.2 else record) for path, record in records.items()
    }
    if draw.random() < 0.1:
        made[next(iter(made))] = "[" * 50_000
    return made


def _mark_spoilt(records: dict[Path, dict[str, Any]], draw: random.Random) -> dict[Path, str]:
    """The records as texts, whose study is odd, and in all of them the same."""
    mark = spoilt(next(iter(records.values()))["study"]["study"], draw)
    return {path: json.dumps(record | {"study": record["study"] | {"study": mark}}) for path, record in records.items()}


def spoilt(record: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """A record, or a part of one, in which some values, anywhere in it, are odd ones."""
    made = copy.deepcopy(record)
    for _ in range(draw.randint(1, 2)):
        node: Any = made
        while True:
            key = draw.choice(list(node))
            if not (isinstance(node[key], dict) and node[key] and draw.random() < 0.7):
                break
            node = node[key]
        node[key] = draw.choice(ODD)
    return made


def _train(folder: Path, more: list[str]) -> Answer:
    return watched(lambda: train.train([*SMALL, *more]), folder)
