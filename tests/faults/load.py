"""Thousands of runs: in one fused command, and as records in one folder that a sweep finds done and a report reads."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile

from faults import children, traced
from faults.tally import Tally
from losslab import compose
from losslab.records.run_folder import write_config
from losslab.records.store import checkpoints
from losslab.schema import canonical
from losslab.training.run import run

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("data.rows=200", "trainer.max_epochs=20", "trainer=cpu", "model.hidden=[8]", "logger=none")
LOSSES = ("mse", "l1", "huber", "smoothl1")
LIMIT = 60.0  # seconds of CPU time
MOST_MEMORY = (
    1536  # MiB that a process may take; torch, Lightning and pandas take a third of it before a record is read
)
MORE_HANDLES, MORE_THREADS = 2, 1  # that a process may have at its busiest beyond what it had after a tenth of its time


def inject(count: int, seed: int, folder: Path) -> list[Tally]:
    """Trains a fifth of `count` runs in one command; lays `count` records into a folder, asks for their runs again and for the report."""
    return [fused(count // 5, seed, folder / "fused"), *records(count, seed, folder / "records")]


def fused(count: int, seed: int, folder: Path) -> Tally:
    """Trains `count` runs in one command, whose handles and threads must not grow with the runs that are over."""
    started = time.perf_counter()
    sweep = ["-m", f"loss={','.join(LOSSES)}", f"seed=range({seed},{seed + count // len(LOSSES)})", *SMALL]
    command = [*traced.COMMAND, *sweep, "trainer.max_epochs=5", f"hydra.sweep.dir={folder}"]
    seen: list[tuple[int, int]] = []
    said = []
    with children.start(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout
        for line in process.stdout:  # one for each run that is over
            said.append(line)
            if line.startswith("trained "):
                seen.append(usage(process.pid))
    done = re.search(r"^\d+ runs in .*: (\d+) done\.$", "".join(said), re.M)
    trained = int(done[1]) if done else 0
    early, most = seen[len(seen) // 10], tuple(map(max, zip(*seen, strict=True)))
    grown = most[0] > early[0] + MORE_HANDLES or most[1] > early[1] + MORE_THREADS
    print(f"fused: at most {most[0]} handles, {most[1]} threads; after a tenth of the runs {early}", file=sys.stderr)
    return Tally(
        "runs in one fused command",
        count,
        count,
        lost=count - trained + int(process.returncode != 0) + int(grown),
        tracebacks="".join(said).count("Traceback"),
        seconds=time.perf_counter() - started,
    )


def usage(process: int) -> tuple[int, int]:
    """Open files and threads of a process; zeros where it is over."""
    place = Path(f"/proc/{process}")
    try:
        return len(list((place / "fd").iterdir())), len(list((place / "task").iterdir()))
    except OSError:
        return 0, 0


def records(count: int, seed: int, folder: Path) -> list[Tally]:
    """Lays `count` records into a folder, asks for their runs again, and for the report; a minute of CPU time each is the limit."""
    seeds = -(-count // len(LOSSES))
    fill(folder, seeds, seed)
    sweep = ["-m", f"loss={','.join(LOSSES)}", f"seed=range({seed},{seed + seeds})", *SMALL]
    rows = []
    for what, command in (
        ("records that a sweep finds done", ["train.py", *sweep, f"hydra.sweep.dir={folder}"]),
        (
            "records that a report reads",
            ["-c", "import sys; from losslab.cli.main import main; sys.exit(main())", "report", str(folder)],
        ),
    ):
        ended, seconds, peak = _ended([sys.executable, "-W", "ignore", *command])
        print(f"{what}: memory at most {peak:.0f} MiB", file=sys.stderr)
        told = re.search(r"^(\d+) had finished already", ended.stdout, re.M)
        over = int(told[1]) if told else 0 if command[0] == "train.py" else seeds * len(LOSSES)
        rows.append(
            Tally(
                what,
                seeds * len(LOSSES),
                seeds * len(LOSSES),
                lost=int(ended.returncode != 0 or seconds > LIMIT or peak > MOST_MEMORY),
                doubled=seeds * len(LOSSES) - over,
                tracebacks=ended.stderr.count("Traceback"),
                seconds=seconds,
            )
        )
    return rows


def _ended(command: list[str]) -> tuple[subprocess.CompletedProcess[str], float, float]:
    """What a command gave, its CPU time in seconds, which others on the machine do not add to, and its most memory in MiB."""
    peak = 0.0
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        process = children.start(command, cwd=ROOT, stdout=out, stderr=err)
        while not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            peak = max(peak, _most_memory(process.pid))
            time.sleep(0.02)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        ended = subprocess.CompletedProcess(command, process.returncode, out.read(), err.read())
    return ended, used.ru_utime + used.ru_stime, peak


def _most_memory(process: int) -> float:
    """The most memory that a process has held since its program began, in MiB; `ru_maxrss` counts that of its parent, too."""
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{process}/status").read_text(encoding="utf-8"), re.M)
    except OSError:
        return 0.0
    return int(found[1]) / 2**10 if found else 0.0


def fill(folder: Path, seeds: int, first: int) -> None:
    """A run of each loss, and copies of its folder for other seeds, whose metrics differ as those of seeds do."""
    for loss in LOSSES:
        request = compose(f"loss={loss}", *SMALL)
        made = folder / "made"
        run(request, made, bar=False)
        record = json.loads((made / "record.json").read_text(encoding="utf-8"))
        for seed in range(first, first + seeds):
            asked = request | {"seed": seed}
            place = folder / canonical.run_id(asked)
            (place / "checkpoints").mkdir(parents=True)
            for path in checkpoints(made):
                os.link(path, place / "checkpoints" / path.name)
            metrics = {
                name: value * (1 + (seed * 7919 % 1000) / 5000) if value else value
                for name, value in record["metrics"].items()
            }
            pairing = record["pairing"] | dict.fromkeys(("split", "corruption", "init", "order"), f"{seed:016x}")
            changed = record | {"seed": seed, "config": asked, "metrics": metrics, "pairing": pairing}
            (place / "record.json").write_text(json.dumps(changed, indent=2), encoding="utf-8")
            write_config(place, asked)
        shutil.rmtree(made)
