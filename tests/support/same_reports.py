"""One small study, trained by some executor; and what of it must not depend on which."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from losslab import read_records
from losslab.cli import train

STUDY = ["study=fair", "study.losses=[mse,huber]", "+study.axes.corruption.fraction=[0,0.2]", "study.seeds=2"]
STUDY += ["study.tuning.trials=2", "study.tuning.seeds=1", "study.tuning.widen=1", "study.tuning.refine=0"]
STUDY += ["trainer.max_epochs=4", "data.rows=200", "trainer=cpu", "model.hidden=[8]", "logger=none"]
_TIME = re.compile(r"[\d.,]+ (s in all|seconds|minutes|hours)")
_OF_WHERE = ("seconds", "device")


def left_by(folder: Path, *words: str) -> tuple[dict[str, Any], str]:
    """The records of the study by the names of their folders, and its report; without time, host and paths."""
    assert train.train([*STUDY, *words, f"hydra.sweep.dir={folder}"]) == 0
    records = {f"{record.study}{record.config}": record for record in read_records(folder)}
    plain = {name: {k: v for k, v in vars(record).items() if k not in _OF_WHERE} for name, record in records.items()}
    text = (folder / "report.md").read_text().replace(str(folder), "FOLDER")
    return plain, _TIME.sub("", text)
