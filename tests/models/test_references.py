"""A model that is named by where it stands: a class or function in a file of the user's, or in a module."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from losslab import compare, compose, models, read_records
from losslab.cli.main import main
from losslab.errors import BadRequest
from losslab.schema import cards

CODE = '''
from torch import nn
from losslab import register


class Net(nn.Module):
    """Two layers."""

    ranges = {"width": "[1, inf)"}

    def __init__(self, shape, outputs, width: int = 8, act: str = "tanh"):
        super().__init__()
        self.inner, self.last = nn.Linear(shape[0], width), nn.Linear(width, outputs)
        self.act = {"tanh": nn.Tanh(), "relu": nn.ReLU()}[act]

    def forward(self, inputs):
        return self.last(self.act(self.inner(inputs)))


def made(shape, outputs, *, widths=(4, 4)):
    return nn.Sequential(nn.Linear(shape[0], widths[0]), nn.ReLU(), nn.Linear(widths[0], outputs))


def of_pictures(shape, outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0], outputs))


of_pictures.kinds = "picture"


@register.model(kinds="table", ranges={"width": "[1, 64]"})
def stated(shape, outputs, *, width=3):
    """Decorated."""
    return nn.Sequential(nn.Linear(shape[0], width), nn.ReLU(), nn.Linear(width, outputs))
'''
QUICK = "trainer=cpu trainer.max_epochs=2 data.rows=200"


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a file of models, where the command stands."""
    (tmp_path / "my_models.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    cards.refresh()
    yield tmp_path
    cards.refresh()
    sys.modules.pop("my_models", None)


def typed(line: str) -> int:
    return main(["train", *shlex.split(line)])


def test_a_class_in_a_file_trains_with_its_settings(there: Path) -> None:
    assert typed(f"model=my_models.py:Net model.width=5 model.act=relu {QUICK} hydra.run.dir=one") == 0
    (record,) = read_records(there / "one")
    assert (record.model["name"], record.status) == ("my_models.py:Net", "done")
    assert (record.model["width"], record.model["act"], record.model["parameters"]) == (5, "relu", 11 * 5 + 6)
    assert "source/model/my_models.py:Net" in record.pairing


@pytest.mark.parametrize("form", ["./my_models.py:Net", "my_models:Net", "my_models.Net", "'my dir/m.py:Net'"])
def test_every_form_of_a_reference_trains(form: str, there: Path) -> None:
    (there / "my dir").mkdir()
    (there / "my dir" / "m.py").write_text(CODE)
    assert typed(f'model="{form}" {QUICK} hydra.run.dir=one') == 0
    (record,) = read_records(there / "one")
    assert record.model["parameters"] == 11 * 8 + 9


def test_a_changed_file_means_a_new_run(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def trained() -> tuple[float, str]:
        assert typed(f"model=my_models.py:made {QUICK} hydra.run.dir=one") == 0
        (record,) = read_records(there / "one")
        return record.seconds["total"], record.pairing["source/model/my_models.py:made"]

    first = trained()
    assert trained() == first, "a finished run is not repeated"
    (there / "my_models.py").write_text(CODE.replace("nn.ReLU()", "nn.Tanh()"))
    for name in [name for name in sys.modules if name.startswith("losslab_user_my_models")]:
        del sys.modules[name]  # as in another process
    again = trained()
    assert again[1] != first[1]
    assert "have changed" in capsys.readouterr().err


@pytest.mark.slow
def test_a_sweep_takes_it_beside_others(there: Path) -> None:
    line = f"-m model=mlp,my_models.py:Net,my_models.py:made seed=0,1 {QUICK} hydra.sweep.dir=all"
    assert typed(line) == 0
    records = read_records(there / "all")
    assert {record.model["name"] for record in records} == {"mlp", "my_models.py:Net", "my_models.py:made"}
    assert {record.fused for record in records} == {2}
    assert typed(f"-m model=my_models.py:Net,mlp hydra/launcher=basic {QUICK} hydra.sweep.dir=basic") == 0
    assert {record.model["name"] for record in read_records(there / "basic")} == {"mlp", "my_models.py:Net"}
    assert typed(f"-m model=my_models.py:Net model.width=3,4 {QUICK} hydra.sweep.dir=widths") == 0
    assert {record.model["width"] for record in read_records(there / "widths")} == {3, 4}


@pytest.mark.slow
def test_a_study_takes_it_alone_as_an_axis_and_from_a_recipe(there: Path) -> None:
    small = (
        f"study=fair study.losses=[mse,l1] study.rates=[shared] study.seeds=2 {QUICK} data.val_fraction=0.3 logger=none"
    )
    assert typed(f"{small} model=my_models.py:Net model.width=4 hydra.sweep.dir=alone") == 0
    assert {record.model["width"] for record in read_records(there / "alone")} == {4}
    assert typed(f"{small} '+study.axes.model=[mlp,my_models.py:made]' hydra.sweep.dir=axis") == 0
    assert {record.model["name"] for record in read_records(there / "axis")} == {"mlp", "my_models.py:made"}
    (there / "conf" / "experiment").mkdir(parents=True)
    (there / "conf" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n- override /model: my_models.py:Net\n- override /study: fair\n"
        "study:\n  losses: [mse, l1]\n  rates: [shared]\n  seeds: 2\n"
    )
    assert typed(f"experiment=mine {QUICK} logger=none hydra.sweep.dir=recipe") == 0
    assert {record.model["name"] for record in read_records(there / "recipe")} == {"my_models.py:Net"}


def test_compare_takes_it(there: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(120, 3))
    found = compare(
        inputs,
        inputs.sum(1) + rng.normal(size=120),
        ["mse", "l1"],
        model="my_models.py:Net",
        seeds=2,
        trials=2,
        store=there / "compared",
        options=["trainer.max_epochs=1", "trainer=cpu", "model.width=2"],
        progress=False,
    )
    assert {(record.model["name"], record.model["width"]) for record in found.records} == {("my_models.py:Net", 2)}


@pytest.mark.slow
def test_compare_of_the_command_line_takes_it(there: Path) -> None:
    rng = np.random.default_rng(0)
    rows = "\n".join(",".join(f"{value:.3f}" for value in row) for row in rng.normal(size=(120, 3)))
    (there / "t.csv").write_text(f"a,b,price\n{rows}\n")
    words = ["t.csv", "--target", "price", "--losses", "mse", "l1", "--model", "my_models.py:made", "--seeds", "2"]
    assert main(["compare", *words, "--trials", "2", "trainer.max_epochs=1", "trainer=cpu"]) == 0
    records = read_records(there / "runs")
    assert records
    assert {record.model["name"] for record in records} == {"my_models.py:made"}


def test_a_decorated_function_keeps_its_facts_and_enters_no_name(there: Path) -> None:
    assert cards.card("model", "my_models.py:stated").about["kinds"] == ["table"]
    assert "stated" not in cards.names("model")
    assert "stated" not in models.MODELS
    with pytest.raises(BadRequest, match=r"model\.width must be at least 1 and at most 64"):
        compose("model=my_models.py:stated", "model.width=65")


def test_attributes_state_facts(there: Path) -> None:
    with pytest.raises(BadRequest, match=r"model\.width must be at least 1"):
        compose("model=my_models.py:Net", "model.width=0")
    with pytest.raises(BadRequest, match=r"'my_models\.py:of_pictures' reads picture data"):
        compose("model=my_models.py:of_pictures")
    with pytest.raises(BadRequest, match=r"no key 'model\.widht' \(did you mean 'model\.width'"):
        compose("model=my_models.py:Net", "model.widht=3")


def test_the_old_way_still_works(there: Path) -> None:
    assert typed(f"model=own model.target=my_models.py:made {QUICK} hydra.run.dir=one") == 0
    (record,) = read_records(there / "one")
    assert (record.model["name"], record.model["target"]) == ("own", "my_models.py:made")
    assert "stated" not in cards.names("model"), "what else the file holds enters no name"
    assert "source/model" in record.pairing


REFUSED = [  # what is typed, and words that the one sentence must hold
    ("my_modles.py:Net", ["did you mean 'my_models.py'?"]),
    ("my_models.py:Nett", ["holds no 'Nett' (did you mean 'Net'?)"]),
    ("my_models.py", ["names a file", "it holds: Net, made, of_pictures, stated"]),
    ("wrong.py:plain", ["calls it as plain(shape, outputs)", "write a function that takes these two and returns it"]),
    ("wrong.py:Hidden", ["takes (hidden)", "calls it as Hidden(shape, outputs)"]),
    ("wrong.py:Defaults", ["takes (inputs, hidden)", "calls it as Defaults(shape, outputs)"]),
    ("wrong.py:swapped", ["write (shape, outputs)"]),
    ("wrong.py:features", ["called as features(shape=(10,), outputs=1), raises TypeError", "losslab gives it the shape"]),
    ("wrong.py:third", ["its argument 'width' needs a default"]),
    ("wrong.py:listed", ["the default of 'width' must be a number, a word or a list"]),
    ("wrong.py:named", ["has a setting 'name'", "rename it"]),
    ("wrong.py:Plain", ["is a class that is no torch.nn.Module"]),
    ("wrong.py:instance", ["is an object of Linear; name the class itself"]),
    ("wrong.py:short", ["is a lambda; write it as 'def short(shape, outputs): ...'"]),
    ("wrong.py:kind", ["reads 'tabel' data", "did you mean 'table'?"]),
    ("wrong.py:ranged", ["states ranges for 'widht', which is none of its settings (did you mean 'width'?)"]),
    ("wrong.py:loss", ["is registered as another part (loss) and not as a model"]),
    ("wrong.py:wide", ["two rows became [2, 2]"]),
    ("wrong.py:nothing", ["gave a NoneType"]),
    ("wrong.py:narrow", ["given two rows of zeros, raises RuntimeError", "it must turn inputs [n, 10] into [n, 1]"]),
    ("wrong.py:still", ["has no parameter that can be trained"]),
    ("losslab.models:mlp", ["losslab's own models are named plainly, as in model=mlp"]),
    ("nowhere.at.all", ["nor does Python find a module 'nowhere'"]),
]  # fmt: skip
WRONG = """
from torch import nn
from losslab import register
def plain(): ...
class Hidden(nn.Module):
    def __init__(self, hidden=8): ...
class Defaults(nn.Module):
    def __init__(self, inputs=10, hidden=8): ...
def swapped(outputs, shape): ...
def features(in_features, out_features): return nn.Linear(in_features, out_features)
def third(shape, outputs, width): ...
def listed(shape, outputs, width={}): ...
def named(shape, outputs, name="x"): ...
class Plain: pass
instance = nn.Linear(2, 2)
short = lambda shape, outputs: None
def kind(shape, outputs): ...
kind.kinds = ["tabel"]
def ranged(shape, outputs, width=3): ...
ranged.ranges = {"widht": "[1, 2]"}
@register.loss(reads="values")
def loss(pred, target): ...
def wide(shape, outputs): return nn.Linear(shape[0], outputs + 1)
def nothing(shape, outputs): ...
def narrow(shape, outputs): return nn.Linear(shape[0] + 1, outputs)
def still(shape, outputs): return nn.Linear(shape[0], outputs).requires_grad_(False)
"""


@pytest.mark.parametrize(("reference", "said"), REFUSED)
def test_what_is_no_model_is_refused_in_one_sentence(
    reference: str, said: list[str], there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (there / "wrong.py").write_text(WRONG)
    assert typed(f"model={reference} {QUICK} hydra.run.dir=one") == 2
    err = capsys.readouterr().err
    assert all(part in err for part in said), err
    assert err.count("\n") == 1
    assert not (there / "one").exists()


@pytest.mark.slow
def test_a_sweep_and_a_study_with_a_wrong_model_are_refused_before_they_train(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (there / "wrong.py").write_text(WRONG)
    losses = "'study.losses=[mse,l1]' 'study.rates=[shared]' study.seeds=2"
    for line in (
        "-m model=mlp,wrong.py:narrow seed=0,1 hydra.sweep.dir=all",
        "-m model=my_models.py:Net model.act=tanh,wild hydra.sweep.dir=all",
        f"study=fair {losses} model=wrong.py:narrow hydra.sweep.dir=all",
        f"study=fair {losses} '+study.axes.model=[mlp,wrong.py:narrow]' hydra.sweep.dir=all",
    ):
        assert typed(f"{QUICK} {line}") == 2
        err = capsys.readouterr().err
        assert "raises KeyError: 'wild'" in err or "given two rows of zeros, raises RuntimeError" in err
        assert err.count("\n") == 1
        assert not (there / "all").exists()


@pytest.mark.slow
def test_old_records_are_read_without_the_file(there: Path) -> None:
    assert typed(f"-m model=my_models.py:Net seed=0,1 {QUICK} hydra.sweep.dir=all") == 0
    (there / "my_models.py").unlink()
    cards.refresh()
    assert len(read_records(there / "all")) == 2
    assert main(["report", "all"]) == 0
