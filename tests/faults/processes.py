"""Several processes that ask for the same runs, or for some of the same, in one folder at the same time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np

from faults import children, traced
from faults.tally import Tally
from losslab import read_records

SMALL = "data.rows=200 trainer.max_epochs=4 trainer=cpu model.hidden=[8] logger=none hydra.sweep.dir=all"
# what each process asks for: runs that others ask for, too, stacked or not, and other runs; as losses and their seeds
SWEEPS = (
    ("-m loss=mse,l1 seed=0,1,2", {"mse": (0, 1, 2), "l1": (0, 1, 2)}),
    ("-m loss=mse,l1 seed=0,1,2", {"mse": (0, 1, 2), "l1": (0, 1, 2)}),
    ("-m loss=l1,huber seed=2,3 fused.size=1", {"l1": (2, 3), "huber": (2, 3)}),
    ("-m loss=huber seed=7,8", {"huber": (7, 8)}),
    ("seed=1 hydra.run.dir=all/ID", {"mse": (1,)}),
)
STATEMENT = re.compile(r"^train\.py: .* is locked by process \d+ on \S+; wait for its end, .*\.$")


def inject(count: int, seed: int, folder: Path) -> list[Tally]:
    """Starts `count` processes, five at a time, and kills one of them; again, until all is done. Each run must be trained once."""
    started = time.perf_counter()
    draw = np.random.default_rng(seed)
    lost = doubled = tracebacks = stray = runs = 0
    for number in range(-(-count // len(SWEEPS))):
        place = folder / str(number)
        place.mkdir(parents=True)
        said: list[tuple[str, str, int]] = []
        sweeps = SWEEPS[:count]
        victim = int(draw.integers(len(sweeps)))
        pending = [line for line, _ in sweeps]
        for attempt in range(20):
            processes = [_start(line, place) for line in pending]
            if not attempt:
                time.sleep(float(draw.uniform(2, 8)))
                os.kill(processes[victim].pid, signal.SIGKILL)
            ended = [
                (line, *process.communicate(), process.returncode)
                for line, process in zip(pending, processes, strict=True)
            ]
            said += [(out, err, status) for _, out, err, status in ended]
            pending = [line for line, *_, status in ended if status]
            if not pending:
                break
        wanted = {(loss, s) for _, asked in sweeps for loss, seeds in asked.items() for s in seeds}
        records = read_records(place / "all")
        runs += len(wanted)
        lost += len(pending) + len(wanted ^ {(record.loss, record.seed) for record in records})
        lost += sum(record.status != "done" for record in records)
        trained = re.findall(r"^trained (\S+)$", "\n".join(out for out, *_ in said), re.M)
        doubled += len(trained) - len(set(trained))
        tracebacks += sum("Traceback" in err for _, err, _ in said)
        lost += sum(status == 2 and not STATEMENT.match(err.strip()) for _, err, status in said)
        stray += sum(path.name.startswith(".") for path in place.rglob("*"))
    seconds = time.perf_counter() - started
    return [Tally("processes on the same runs at once", count, runs, lost, doubled, tracebacks, stray, seconds)]


def _start(line: str, place: Path) -> subprocess.Popen[str]:
    from losslab import compose
    from losslab.schema import canonical

    name = canonical.run_id(compose("seed=1", *[word for word in SMALL.split() if not word.startswith("hydra")]))
    words = f"{line} {SMALL}".replace("all/ID", f"all/{name}").split()
    command = [*traced.COMMAND, *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return children.start(command, cwd=place, **pipes)
