"""Published records are read back as they were written, so that figures can be drawn anew without training."""

import importlib
from pathlib import Path

import pandas as pd
import pytest

from losslab.report import collect, export
from support.made_up_studies import asked, conducted


def test_a_row_of_the_published_table_is_the_record_again(tmp_path: Path) -> None:
    redraw = importlib.import_module("redraw")
    study = asked("+study.axes.corruption.fraction=[0,0.2]", "study.seeds=2", "study.tuning.trials=2")
    records = conducted(study)
    table = pd.read_parquet(export.save(records, tmp_path / "records.parquet"))
    read = [redraw.record_of(row, study.mark()) for row in table.to_dict("records")]
    for record, again in zip(records, read, strict=True):
        assert again.config == record.config
        assert (again.loss, again.loss_params, again.study) == (record.loss, record.loss_params, record.study)
        assert again.metrics == record.metrics
    made, before = collect.results(read, None, study), collect.results(records, None, study)
    assert made.runs.equals(before.runs)
    assert made.done == before.done


@pytest.mark.slow
def test_every_published_study_says_what_was_done() -> None:
    redraw = importlib.import_module("redraw")
    for name in ("outliers_first_look", "bbox_losses", "bce_saturation"):
        done = redraw.published(name).done
        assert done.startswith("Each of ")
        assert "Command: `python train.py" in done
