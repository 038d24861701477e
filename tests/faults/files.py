"""Files that a crash left half-written: each is cut or garbled at a random place, and the run asked for again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import numpy as np

from faults.tally import Tally
from losslab import Record, compose
from losslab.cli.messages import warnings_shown
from losslab.records.run_folder import RUN_FILES
from losslab.records.store import read_record
from losslab.schema import canonical
from losslab.training import callbacks
from losslab.training.run import run

KINDS = (  # of a run that is over, or was stopped; whether bits are flipped as well, which in a text may make another valid one
    ("over", "record.json", False),
    ("over", "checkpoints/last.ckpt", False),  # whoever loads it later meets flipped bits; a cut end is looked for
    ("over", "checkpoints/best.ckpt", False),
    ("stopped", "config.yaml", False),
    ("stopped", "checkpoints/last.ckpt", True),
    ("stopped", "checkpoints/best.ckpt", True),
    (
        "stopped",
        "events.out.tfevents.*",
        True,
    ),  # nothing is read of it: the curves are written anew from the checkpoint
)
ASKED = ("data.rows=200", "trainer.max_epochs=6", "trainer=cpu", "model.hidden=[8]", "logger.figures=0")


def inject(count: int, seed: int, folder: Path) -> list[Tally]:
    """Tears `count` files, each kind in turn; every run must end as an undisturbed one."""
    started = time.perf_counter()
    draw = np.random.default_rng(seed)
    request = compose(*ASKED)
    name = canonical.run_id(request)
    whole = run(request, folder / "over" / name, bar=False)
    _stop_after(3, lambda: run(request, folder / "stopped" / name, bar=False))
    lost = doubled = tracebacks = stray = 0
    for number in range(count):
        state, kind, garble = KINDS[number % len(KINDS)]
        copy = folder / "corrupt" / name
        shutil.copytree(folder / state / name, copy)
        cut = tear(next(copy.glob(kind)), draw, garble)
        said = StringIO()
        with redirect_stderr(said), warnings_shown():
            again = run(request, copy, bar=False)
        noticed = said.getvalue().count(" is corrupt: it is moved to ") == 1
        lost += (
            not same(again, whole) or read_record(copy) is None or (cut and not noticed and "tfevents" not in kind)
        )  # some bits mean nothing
        tracebacks += "Traceback" in said.getvalue()
        wanted = {path for pattern in RUN_FILES for path in copy.glob(pattern)}
        left = {path for path in copy.rglob("*") if path.is_file()} - wanted
        stray += len(left) - noticed
        shutil.rmtree(copy)
    seconds = time.perf_counter() - started
    return [Tally("files cut or garbled", count, count, lost, doubled, tracebacks, stray, seconds)]


def tear(path: Path, draw: np.random.Generator, garble: bool) -> bool:
    """Cuts a file at a random place or, if `garble`, in half of the cases flips bits of up to 64 bytes; whether it was cut."""
    content = bytearray(path.read_bytes())
    place = int(draw.integers(len(content) - 2))  # the end of the last line is no loss
    if garble and draw.random() < 0.5:
        end = place + int(draw.integers(1, 65))
        content[place:end] = bytes(byte ^ (1 << int(draw.integers(8))) for byte in content[place:end])
        path.write_bytes(content)
        return False
    path.write_bytes(content[:place])
    return True


def same(one: Record, other: Record) -> bool:
    """Whether two records hold the same result, to the bit."""
    return all(
        getattr(one, key) == getattr(other, key)
        for key in ("status", "metrics", "curves", "pairing", "best_epoch", "epochs", "config")
    )


def _stop_after(epochs: int, train: Callable[[], object]) -> None:
    """Trains until a checkpoint of the first few epochs is written, then stops as Ctrl-C does."""
    save = callbacks.LastCheckpoint.on_train_epoch_end

    def save_and_stop(self: callbacks.LastCheckpoint, fitter: object, module: object) -> None:
        self.saved = -1e9
        save(self, fitter, module)
        if fitter.current_epoch + 1 == epochs:
            raise KeyboardInterrupt

    with patch.object(callbacks.LastCheckpoint, "on_train_epoch_end", save_and_stop):
        try:
            train()
        except KeyboardInterrupt:
            return
    raise AssertionError("the run was not stopped")
