"""Runs that lie together in the files of their stacks are the runs that would lie in folders, wherever they are read."""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from losslab import Record, compose, read_records
from losslab.cli import main as cli_main
from losslab.cli import train as cli_train
from losslab.records import stacks
from losslab.sweep import runner, training
from support.event_files import curves

ASKED = ["-m", "loss=mse,huber", "seed=0,1,2", "data.rows=200", "trainer=cpu", "trainer.max_epochs=3"]
ASKED += ["model.hidden=[8]", "fused.size=4"]


def train(folder: Path, *more: str) -> int:
    return cli_train.train([*ASKED, *more, f"hydra.sweep.dir={folder}"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sweep in two folders: `apart`, a folder for each run, and `together`."""
    folder = tmp_path_factory.mktemp("store")
    for name, store in (("apart", "folders"), ("together", "stacks")):
        assert train(folder / name, f"store={store}") == 0
    return folder


@pytest.fixture
def sweep(made: Path, tmp_path: Path) -> Path:
    """A copy of the runs that lie together."""
    return Path(shutil.copytree(made / "together", tmp_path / "together"))


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def plain(folder: Path) -> list[dict[str, Any]]:
    """Records without what differs from one time to the next."""
    records = [dict(vars(record)) for record in read_records(folder)]
    for record in records:
        del record["seconds"]
        record["config"] = {key: value for key, value in record["config"].items() if key != "store"}
    return records


def run_folders(folder: Path) -> list[Path]:
    return [path.parent for path in sorted(folder.rglob("record.json"))]


def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many runs each stack had that is trained from now on."""
    counts: list[int] = []

    def count(requests: Sequence[dict[str, Any]], prepare=training.prepare_all) -> Any:
        counts.append(len(requests))
        return prepare(requests)

    monkeypatch.setattr(training, "prepare_all", count)
    return counts


def test_a_few_files_hold_what_folders_would(made: Path) -> None:
    kinds = sorted(Path(name).suffix for name in names(made / "together") if name.startswith("stacks/"))
    assert kinds == [".jsonl", ".jsonl", ".pt", ".pt"], "two stacks"
    assert not run_folders(made / "together")
    assert plain(made / "together") == plain(made / "apart")
    assert len(plain(made / "together")) == 6


def test_extracting_makes_the_folders_that_would_have_been(
    made: Path, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli_main.main(["runs", "extract", str(sweep)]) == 0
    assert capsys.readouterr().out == "Made 6 folders.\n"
    expected, found = run_folders(made / "apart"), run_folders(sweep)
    assert [folder.name for folder in found] == [folder.name for folder in expected]
    assert plain(sweep) == plain(made / "apart"), "each run once"
    for one, other in zip(found, expected, strict=True):
        configs = [yaml.safe_load((folder / "config.yaml").read_text()) | {"store": ""} for folder in (one, other)]
        assert configs[0] == configs[1]
        for name in ("best", "last"):
            kept = [torch.load(folder / f"checkpoints/{name}.ckpt", weights_only=True) for folder in (one, other)]
            assert kept[0]["epoch"] == kept[1]["epoch"]
            assert kept[0]["state_dict"].keys() == kept[1]["state_dict"].keys()
            assert all(torch.equal(kept[0]["state_dict"][key], value) for key, value in kept[1]["state_dict"].items())
        drawn = [curves(folder) for folder in (one, other)]
        assert drawn[0].Tags() == drawn[1].Tags()
        assert drawn[0].Tags()["histograms"]
        for kind, read in (("scalars", "Scalars"), ("histograms", "Histograms")):
            for tag in drawn[0].Tags()[kind]:
                each = [
                    [str(vars(event) | {"wall_time": 0}) for event in getattr(events, read)(tag)] for events in drawn
                ]
                assert each[0] == each[1]
    assert cli_main.main(["runs", "extract", found[0].name[-8:], str(sweep)]) == 2, "no such run below runs/"
    assert cli_main.main(["runs", "extract", str(found[0])]) == 0
    assert capsys.readouterr().out == "1 run has a folder already.\n"


def test_the_same_command_trains_nothing_again(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts, before = trained(monkeypatch), names(sweep)
    assert train(sweep) == 0
    assert counts == []
    assert train(sweep, "seed=0,1,2,3", "store=stacks") == 0
    assert counts == [2], "the runs of the new seed alone"
    assert {name for name in before if name.startswith("stacks/")} < names(sweep)
    assert len(read_records(sweep)) == 8


def test_overwriting_trains_all_anew(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts, before = trained(monkeypatch), read_records(sweep)
    assert train(sweep, "overwrite=true", "store=folders") == 0
    assert sum(counts) == 6
    assert not (sweep / "stacks").exists()
    assert [record.metrics for record in read_records(sweep)] == [record.metrics for record in before]


@pytest.mark.parametrize("harm", ["a record", "the end of the records", "the weights", "no records at all"])
def test_what_is_corrupt_is_moved_aside_and_its_runs_alone_are_done_again(
    harm: str, sweep: Path, made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sorted((sweep / "stacks").glob("*.jsonl"))[0]
    lines = path.read_text().splitlines()
    changed = path
    if harm == "a record":
        lines[1] = lines[1].replace('"status": "done"', '"status": 3')
        path.write_text("\n".join(lines) + "\n")
    elif harm == "the end of the records":
        path.write_text("\n".join(lines)[:-30])
    elif harm == "no records at all":
        path.write_bytes(b"\x00\xff" * 50)
    else:
        changed = stacks.weights_beside(path)
        changed.write_bytes(changed.read_bytes()[:-30])
    expected = {"a record": 1, "the end of the records": 1}.get(harm, len(lines))
    with pytest.raises(ValueError, match=r"jsonl is corrupt") if harm != "the weights" else monkeypatch.context():
        read_records(sweep)
    counts = trained(monkeypatch)
    assert train(sweep, "store=stacks") == 0
    said = capsys.readouterr().err
    assert f"is corrupt: it is moved to {changed.name}.corrupt" in said
    assert counts == ([expected] if expected > 1 else [])
    found, expected = (
        [value for one in plain(of) for value in one["metrics"].values()] for of in (sweep, made / "apart")
    )
    assert found == pytest.approx(expected, rel=1e-4)


def test_stacks_are_the_store_of_large_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_MANY", 5)
    assert train(tmp_path / "six") == 0
    assert not run_folders(tmp_path / "six")
    assert train(tmp_path / "folders", "store=folders") == 0
    assert len(run_folders(tmp_path / "folders")) == 6
    monkeypatch.setattr(runner, "_MANY", 6)
    assert train(tmp_path / "five") == 0
    assert len(run_folders(tmp_path / "five")) == 6


def test_a_run_that_trains_alone_has_a_folder(tmp_path: Path) -> None:
    assert train(tmp_path, "store=stacks", "fused.size=1", "seed=0") == 0
    assert len(run_folders(tmp_path)) == 2
    assert not (tmp_path / "stacks").exists()


def test_runs_are_listed_compared_and_removed(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli_main.main(["runs", str(sweep), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {run["status"] for run in listed} == {"done"}
    assert len(listed) == 6
    one, other = listed[0]["folder"], listed[1]["folder"]
    assert cli_main.main(["runs", "compare", one, other]) == 0
    assert "best/test/mae" in capsys.readouterr().out
    assert cli_main.main(["runs", "remove", one, "--yes"]) == 0
    assert one not in {str(folder) for folder in stacks.records_below(sweep)[0]}
    assert len(read_records(sweep)) == 5
    assert cli_main.main(["runs", "remove", str(sweep), "--yes"]) == 0
    assert not (sweep / "stacks").exists()


def test_a_report_is_the_same(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = []
    for name in ("apart", "together"):
        monkeypatch.chdir(tmp_path)
        shutil.copytree(made / name, tmp_path / "sweep")
        assert cli_main.main(["report", "sweep"]) == 0
        page = (tmp_path / "sweep/report.md").read_text()
        pages.append(re.sub(r" store=(stacks|folders)|(?<=raining time: )\d+ s", "", page))
        shutil.rmtree(tmp_path / "sweep")
    assert pages[0] == pages[1]


def test_tensorboard_shows_the_mean_and_the_band_of_each_loss(made: Path) -> None:
    summaries = sorted((made / "together/summary").iterdir())
    assert [folder.name for folder in summaries] == ["huber", "mse"]
    assert not (made / "apart/summary").exists()
    records = [record for record in read_records(made / "together") if record.loss == "mse"]
    values = np.array([record.curves["val/mae"] for record in records])
    events = curves(made / "together/summary/mse")
    for tag, expected in (
        ("val/mae", values.mean(0)),
        ("band/val/mae/low", np.quantile(values, 0.1, 0)),
        ("band/val/mae/high", np.quantile(values, 0.9, 0)),
    ):
        assert [event.step for event in events.Scalars(tag)] == [1, 2, 3]
        assert [event.value for event in events.Scalars(tag)] == pytest.approx(expected)
    assert "custom_scalars__config__" in events.Tags()["tensors"]


def test_nothing_is_extracted_from_what_has_changed(
    sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("losslab.training.prepare.Prepared.pairing", lambda _: {"data": "other"})
        assert cli_main.main(["runs", "extract", str(sweep)]) == 2
    assert "what its run was trained on is not as it was (data" in capsys.readouterr().err
    for path in (sweep / "stacks").glob("*.pt"):
        path.unlink()
    assert cli_main.main(["runs", "extract", str(sweep)]) == 2
    assert ".pt is not there" in capsys.readouterr().err
    assert not run_folders(sweep)


def test_a_file_of_records_that_was_read_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a million runs in a thousand files would be read a thousand times, by each worker."""
    read: list[str] = []
    lines = stacks._lines
    monkeypatch.setattr(stacks, "_lines", lambda path: (read.append(path.name), lines(path))[1])
    record = Record.of(compose("trainer=cpu"), "done")
    for number in range(3):
        some = {f"run{number}{letter}": replace(record, seed=number) for letter in "ab"}
        stacks.write(tmp_path, f"stack{number}", some, b"")
        for name in some:
            assert stacks.record_of(tmp_path / name) == some[name]
    assert [read.count(f"stack{number}.jsonl") for number in range(3)] == [1, 1, 1]
    with stacks.looked_at_once():
        looked = [entry for entry in [stacks.record_of(tmp_path / "run0a")] if entry]
        stacks.write(tmp_path, "stack3", {"run3a": record}, b"")
        assert looked
        assert stacks.record_of(tmp_path / "run3a") is None, "what comes meanwhile is seen afterwards"
    assert stacks.record_of(tmp_path / "run3a") == record
    path = tmp_path / "stacks/stack3.jsonl"
    path.write_text(path.read_text().replace("run3a", "a longer name"))
    assert stacks.record_of(tmp_path / "run3a") is None
    assert stacks.record_of(tmp_path / "a longer name") == record


def test_a_file_that_is_written_anew_within_one_look_is_read_again(tmp_path: Path) -> None:
    one, other = (Record.of(compose("trainer=cpu", f"seed={seed}"), "done") for seed in (0, 1))
    stacks.write(tmp_path, "key", {"first": one, "second": other}, b"")
    with stacks.looked_at_once():
        assert stacks.record_of(tmp_path / "second") == other
        stacks.remove([tmp_path / "first"])
        assert stacks.record_of(tmp_path / "second") == other
