"""A run is the same run only while the user's own model, data files and row weights are the same; else it is trained again."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from losslab import compose, data
from losslab.cli import main, train
from losslab.errors import BadRequest
from losslab.records.store import read_record, read_records
from losslab.schema import canonical, check, source_hashes, user_code
from losslab.training.run import run

SMALL = "task=regression data.rows=100 data.batch_size=20 trainer.max_epochs=1 logger=none trainer=cpu"
OWN = "model=own model.target=my_net:Net"
NET = """
import torch
{imported}

class Net(torch.nn.Linear):
    def __init__(self, shape, outputs):
        super().__init__(shape[0], outputs)
        torch.nn.init.constant_(self.bias, {bias})
"""
AGAIN = "trained from files of yours that have changed since or were not noted ({}), and {} trained again.\n"
Typed = Callable[[str], tuple[int, str, str]]


def new_process() -> None:
    """Forgets the modules of these tests, as another process would not know them."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("my_net", "my_layers", "my_package")]:
        del sys.modules[name]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Typed]:
    """`typed("-m loss=l1")`: what the command gives in a folder with a model of the user's, in a process of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    write_net(bias=0)

    def call(line: str) -> tuple[int, str, str]:
        new_process()
        try:
            status = train.train(f"{line} {SMALL}".split())
        except SystemExit as stop:
            status = stop.code
        said = capsys.readouterr()
        return status, said.out, said.err

    yield call
    new_process()


def write_net(bias: object, imported: str = "") -> None:
    Path("my_net.py").write_text(NET.format(bias=bias, imported=imported))


def inits(folder: str) -> list[str]:
    return [record.pairing["init"] for record in read_records(Path(folder))]


def test_a_lone_run_of_another_model_is_trained_again(typed: Typed) -> None:
    line = f"{OWN} hydra.run.dir=mine"
    assert typed(line)[0] == 0
    first = inits("mine")
    assert "finished already" in typed(line)[1]
    write_net(bias=1)
    status, out, err = typed(line)
    assert (status, "finished already" in out) == (0, False)
    assert err == "1 finished run was " + AGAIN.format("model", "is")
    assert inits("mine") != first
    assert "finished already" in typed(line)[1]


@pytest.mark.slow
def test_a_sweep_of_another_model_is_trained_again_as_a_whole(typed: Typed) -> None:
    line = f"-m {OWN} loss=mse,l1 seed=0,1 hydra.sweep.dir=all"
    assert typed(line)[0] == 0
    first = inits("all")
    write_net(bias=1)
    status, out, err = typed(line)
    assert (status, "finished already" in out) == (0, False)
    assert err.count("4 finished runs were " + AGAIN.format("model", "are")) == 1
    assert set(inits("all")).isdisjoint(first)
    assert len(inits("all")) == 4, "in the folders in which they were"
    status, out, err = typed(line)
    assert ("4 had finished already" in out, "trained again" in err) == (True, False)


@pytest.mark.slow
def test_a_study_of_another_model_is_trained_again(typed: Typed) -> None:
    line = f"study=fair study.losses=[mse,l1] study.seeds=2 study.rates=[shared] {OWN} hydra.sweep.dir=all"
    assert typed(line)[0] == 0
    first = inits("all")
    write_net(bias=1)
    status, _, err = typed(line)
    assert (status, "4 finished runs were trained from files of yours" in err) == (0, True)
    assert set(inits("all")).isdisjoint(first)


@pytest.mark.slow
def test_what_a_model_imports_belongs_to_it(typed: Typed) -> None:
    Path("my_package").mkdir()
    for file in ("__init__", "layers", "unused"):
        Path(f"my_package/{file}.py").write_text("")
    Path("my_package/part.py").write_text("from . import layers\nfrom .deep import *\n")
    Path("my_package/deep.py").write_text("")
    Path("my_layers.py").write_text("import my_net  # a circle\n")
    write_net(0, "import my_layers\ndef later():\n    from my_package import part")
    line = f"{OWN} hydra.run.dir=mine"
    typed(line)
    for file in ("my_package/__init__", "my_package/part", "my_package/layers", "my_package/deep", "my_layers"):
        Path(f"{file}.py").write_text(Path(f"{file}.py").read_text() + "# changed\n")
        assert "(model)" in typed(line)[2], file
        assert "finished already" in typed(line)[1]
    Path("my_package/unused.py").write_text("# changed")
    Path("other.py").write_text("")
    assert "finished already" in typed(line)[1]


def test_a_stopped_run_of_another_model_begins_anew(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    line = f"{OWN} hydra.run.dir=mine"
    with monkeypatch.context() as patch:
        patch.setattr("losslab.training.run.Record.write", stop)
        assert typed(line)[0] == 130
    write_net(bias=1)
    assert "begun by other code or on other data, and begins anew" in typed(line)[2]


def test_a_record_that_names_no_source_is_trained_again(typed: Typed) -> None:
    line = f"{OWN} hydra.run.dir=mine"
    typed(line)
    path = Path("mine/record.json")
    content = json.loads(path.read_text())
    del content["pairing"]["source/model"]
    path.write_text(json.dumps(content))
    assert read_record(Path("mine")), "it stays readable"
    assert "(model)" in typed(line)[2]


@pytest.mark.slow
def test_row_weights_and_data_files_belong_to_a_run(typed: Typed) -> None:
    np.save("w.npy", np.ones(100))
    line = "data.weight=w.npy hydra.run.dir=mine"
    typed(line)
    assert "finished already" in typed(line)[1]
    np.save("w.npy", np.arange(100.0))
    assert "(weight)" in typed(line)[2]
    assert "finished already" in typed(line)[1]


def write_digits(root: Path, seed: int) -> None:
    """Pictures as Fashion-MNIST's files have them, fewer of them."""
    draw = np.random.default_rng(seed)
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for part, rows in (("train", 40), ("t10k", 20)):
        pictures, labels = draw.integers(0, 256, (rows, 28, 28), dtype="uint8"), np.arange(rows, dtype="uint8") % 10
        for kind, magic, array in (("images-idx3", 2051, pictures), ("labels-idx1", 2049, labels)):
            header = np.array([magic, *array.shape], dtype=">i4").tobytes()
            (raw / f"{part}-{kind}-ubyte").write_bytes(header + array.tobytes())


def test_data_files_belong_to_a_run_also_within_a_process(tmp_path: Path) -> None:
    write_digits(tmp_path, 0)
    words = ["task=multiclass", "data=fashion_mnist", f"data.root={tmp_path}", "data.rows=60", "data.batch_size=8"]
    request = compose(*words, "trainer.max_epochs=1", "logger=none", "trainer=cpu", "model=linear")
    first = run(request, tmp_path / "run", bar=False)
    assert run(request, tmp_path / "run", bar=False) == first
    write_digits(tmp_path, 1)
    again = run(request, tmp_path / "run", bar=False)
    assert again.pairing["data"] != first.pairing["data"]
    assert again.pairing["data"] == data.load(check.check(request)["data"], 0)[0].fingerprint
    assert {name for name in again.pairing if name.startswith("source/data/FashionMNIST/raw/")} > set()
    assert canonical.run_id(request) == canonical.run_id(again.config), "the name of the folder is that of the request"


def test_a_model_that_changes_under_a_process_is_refused(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = compose(*OWN.split(), *SMALL.split())
    run(request, tmp_path / "one", bar=False)
    write_net(bias=1)
    with pytest.raises(
        BadRequest, match=r"the source of 'my_net'.* has changed since this process imported it"
    ) as error:
        run(request, tmp_path / "two", bar=False)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "two").exists()
    import importlib

    monkeypatch.syspath_prepend(tmp_path)
    importlib.reload(sys.modules["my_net"])  # as a notebook's autoreload does
    assert run(request, tmp_path / "two", bar=False).status == "done"


@pytest.mark.slow
def test_a_report_refuses_runs_of_two_models_in_one_line(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    typed(f"-m {OWN} loss=mse,l1 seed=0,1 hydra.sweep.dir=all")
    write_net(bias=1)
    typed(f"-m {OWN} loss=huber seed=0,1 hydra.sweep.dir=all")
    assert main.main(["report", "all"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "different versions of model=own model.target=my_net:Net (2 and 4 runs)" in said.err
    assert main.main(["report", "all", "--mix"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("different versions of model=own") == 1
    assert said.count("are not paired") == 1


def test_an_installed_model_counts_with_the_version_of_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    before = user_code.source("torchvision.models:resnet18")
    assert user_code.source("torchvision.models:resnet18") == before
    monkeypatch.setattr(source_hashes, "version", lambda name: f"{name} 99")
    assert user_code.source("torchvision.models:resnet18") != before


def test_a_name_without_a_file_is_refused() -> None:
    with pytest.raises(BadRequest, match="put 'Net' into a file of its own"):
        check.check(compose("model=own", "model.target=__main__:Net"))
