"""The third rule for the epoch: the one that is best on validation labels that are wrong like the training labels.

    python experiments/label_noise_contradiction/noisy_validation.py

Trains the MLP of the study for 40 epochs, without weight decay and at a constant rate, with half of the validation labels wrong, too.
That changes no step of the training. The records are put beside the page.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "runs/label_noise_contradiction_noisy"
COMMAND = [
    *("train.py", "-m", "task=multiclass", "data=mnist5k", "data.batch_size=128", "model=mlp", "trainer.max_epochs=40"),
    *("corruption=label_noise", "corruption.fraction=0.5", "corruption.splits=[train,val]", "optimizer.lr=0.003"),
    *("loss=cross_entropy,generalized_ce", "seed=range(5)", f"hydra.sweep.dir={RUNS}"),
]


def main() -> int:
    """Trains what is missing and copies the records. Returns the exit status."""
    losslab = Path(sys.executable).with_name("losslab")
    for command in ([sys.executable, *COMMAND], [str(losslab), "report", str(RUNS)]):
        if status := subprocess.run(command, cwd=ROOT, check=False).returncode:
            return status
    shutil.copy(RUNS / "records.parquet", Path(__file__).with_name("noisy_validation.parquet"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
