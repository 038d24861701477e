"""Every study again: each recipe under conf/experiment/ from its command to the records and figures that stand beside its page.

    python experiments/rebuild.py [NAME ...]

Runs land in runs/NAME, as they do when the command is typed; what is over there is not repeated. pages.py then writes the page
from its template. redraw.py draws the figures of reports anew without training.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "experiments"
PAPERS = "paper/"  # recipes for published tables, which share docs/papers.md
AFTERWARDS = {  # what a page shows beside its records, measured or drawn by scripts of its own
    "bbox_losses": ["bbox_losses/simulator.py"],
    "bce_saturation": ["bce_saturation/saturation.py", "bce_saturation/runs.py"],
    "imbalance": ["figures.py imbalance"],
    "imbalance_long_tail": ["figures.py imbalance_long_tail"],
    "label_noise": ["figures.py label_noise"],
    "label_noise_contradiction": ["label_noise_contradiction/noisy_validation.py"],
    "leverage": ["figures.py leverage"],
    "taught_claims": ["taught_claims/claims.py"],
    "tuning_bank": ["tuning_bank/simulate.py"],
}


def main(names: Sequence[str]) -> int:
    """Rebuilds the studies with these names, all where there are none. Returns the exit status."""
    recipes = ROOT / "conf/experiment"
    known = sorted(path.relative_to(recipes).with_suffix("").as_posix() for path in recipes.rglob("*.yaml"))
    if unknown := [name for name in names if name not in known]:
        print(f"There is no recipe '{unknown[0]}'; the recipes are: {', '.join(known)}.", file=sys.stderr)
        return 2
    trained = []
    for name in names or known:  # all first: what is published changes files that git holds, and records would say so
        started = time.perf_counter()
        if train(name):
            trained.append(name)
        print(f"{name}: {(time.perf_counter() - started) / 60:.1f} minutes", flush=True)
    done = [name for name in trained if publish(name)]
    if failed := [name for name in names or known if name not in done]:
        print(f"Not rebuilt, for the reasons above: {', '.join(failed)}.", file=sys.stderr)
    return int(bool(failed))


def train(name: str) -> bool:
    """Trains one recipe and reports. Whether that went well."""
    losslab = Path(sys.executable).with_name("losslab")
    commands = [
        [sys.executable, "train.py", f"experiment={name}"],
        [str(losslab), "report", str(ROOT / "runs" / name)],
    ]
    return all(subprocess.run(command, cwd=ROOT, check=False).returncode == 0 for command in commands)


def publish(name: str) -> bool:
    """Puts records and figures of one recipe beside its page, and makes what the page shows beside them. Whether that went well."""
    runs, page = ROOT / "runs" / name, HERE / name / "README.md"
    if name.startswith(PAPERS):
        page.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(runs / "records.parquet", page.parent)
        return subprocess.run([sys.executable, "experiments/papers.py"], cwd=ROOT, check=False).returncode == 0
    page.parent.joinpath("figures").mkdir(parents=True, exist_ok=True)
    shown = page.read_text(encoding="utf-8") if page.exists() else ""
    for figure in (runs / "figures").glob("*.png"):
        if f"figures/{figure.name}" in shown or not shown:
            shutil.copy(figure, page.parent / "figures")
    shutil.copy(runs / "records.parquet", page.parent)
    afterwards = [*AFTERWARDS.get(name, []), f"pages.py {name}"]
    scripts = [[sys.executable, *f"experiments/{words}".split()] for words in afterwards]
    return all(subprocess.run(command, cwd=ROOT, check=False).returncode == 0 for command in scripts)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
