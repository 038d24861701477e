"""Losses, models, data sets, corruptions and optimizers that lie outside losslab are like its own, wherever a name is taken."""

import doctest
import math
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from losslab import compose, losses, read_records, register
from losslab.cli.main import main
from losslab.errors import BadRequest
from losslab.losses.base import LOSSES
from losslab.schema import cards, compatibility
from losslab.training.run import run

CODE = """
import math
import torch
from torch import nn


def andrews(pred, target, *, c):
    '''Andrews: c^2 (1 - cos(r / c)) within pi c, 2 c^2 beyond.

    Andrews (1974).
    '''
    r = pred - target
    return torch.where(r.abs() <= math.pi * c, c**2 * (1 - torch.cos(r / c)), 2 * c**2)


class Net(nn.Sequential):
    def __init__(self, shape, outputs, *, width):
        super().__init__(nn.Flatten(), nn.Linear(math.prod(shape), width), nn.Tanh(), nn.Linear(width, outputs))


def waves(rows, noise):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(rows, 3, generator=generator)
    return x, torch.sin(6 * x[:, 0]) + noise * torch.randn(rows, generator=generator)


def shifted(inputs, targets, generator, *, fraction):
    from losslab.corruption.base import choose_rows, new_targets
    rows = choose_rows(len(targets), fraction, generator)
    return new_targets(inputs, targets, torch.where(rows[:, None], targets + 5, targets))


def rms(params, lr, weight_decay):
    return torch.optim.RMSprop(params, lr=lr, weight_decay=weight_decay)


def p90(pred, target):
    return (pred - target).abs().quantile(0.9)
"""
CARDS = {
    "loss/andrews": """
        name: andrews
        c: 1.339   # where the influence is largest, in spreads of the targets
        about: {function: "mine.py:andrews", reads: [values], source: "Andrews (1974)", ranges: {c: "(0, inf)"},
          search: {c: "log [0.3, 10]"}}
    """,
    "loss/sharp_huber": """
        defaults: [huber]
        delta: 0.2
        about: {}
    """,
    "model/net": "{width: 4, about: {function: 'mine.py:Net', ranges: {width: '[1, 100]'}}}",
    "data/waves": """
        rows: 150
        noise: 0.1
        batch_size: 16
        val_fraction: 0.2
        test_fraction: 0.2
        about: {function: "mine.py:waves", tasks: [regression], ranges: {rows: "[10, 10000]", noise: "[0, inf)"}}
    """,
    "corruption/shifted": "{fraction: 0.1, splits: [train], about: {function: 'mine.py:shifted', tasks: [regression]}}",
    "optimizer/rms": """
        lr: 0.01
        weight_decay: 0.0
        schedule: constant
        about: {function: "mine.py:rms", search: {lr: "log [1e-3, 1e-1]"}}
    """,
}
WHOLE = "data=waves loss=andrews model=net corruption=shifted optimizer=rms trainer=cpu trainer.max_epochs=2"


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a conf/ of cards, where the command stands."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "mine.py").write_text(CODE)
    for name, text in CARDS.items():
        path = tmp_path / "conf" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        lines = text.strip("\n").splitlines()
        path.write_text("\n".join(line.removeprefix("        ") for line in lines) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(line: str) -> int:
    return main(["train", *shlex.split(line)])


def test_cards_beside_the_command_train_and_the_record_knows_their_code(there: Path) -> None:
    assert typed(f"{WHOLE} hydra.run.dir=one") == 0
    (record,) = read_records(there / "one")
    assert (record.loss, record.loss_params, record.model["name"], record.data["rows_in"]["train"]) == (
        "andrews", {"c": 1.339}, "net", 90,
    )  # fmt: skip
    code = {key for key in record.pairing if key.startswith("source/")}
    assert code == {
        f"source/{part}" for part in ("loss/andrews", "model/net", "data/waves", "corruption/shifted", "optimizer/rms")
    }
    assert record.corruption["rows_hit"]["train"] == 9


def test_a_folder_that_is_named_is_the_same_and_is_forgotten_after_the_command(
    there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = there / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert typed(f"{WHOLE} hydra.run.dir=one") == 2
    assert typed(f"--config-dir ../conf {WHOLE} hydra.run.dir=one") == 0
    assert read_records(elsewhere)[0].loss == "andrews"
    assert cards.FOLDERS not in os.environ
    assert "andrews" not in cards.names("loss")


@pytest.mark.slow
def test_a_sweep_stacks_what_it_can(there: Path) -> None:
    line = "-m data=waves loss=andrews,mse,sharp_huber model=net seed=0,1 trainer=cpu trainer.max_epochs=2 hydra.sweep.dir=all"
    assert typed(line) == 0
    records = read_records(there / "all")
    assert {record.loss for record in records} == {"andrews", "mse", "sharp_huber"}
    assert {record.fused for record in records} == {6}
    assert typed(f"-m {WHOLE} seed=0,1 hydra.sweep.dir=alone") == 0
    assert {record.fused for record in read_records(there / "alone")} == {1}, "a stack has no RMSprop"


@pytest.mark.slow
def test_other_code_is_another_run(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import subprocess
    import sys

    line = [sys.executable, "-c", "import sys; from losslab.cli.main import main; sys.exit(main())", "train"]
    line += [*WHOLE.split(), "hydra.run.dir=one"]
    for found in ("", "had finished already", "are trained again|is trained again"):
        if found.startswith("are"):
            (there / "mine.py").write_text(CODE.replace("2 * c**2)", "3 * c**2)"))
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        assert any(part in done.stdout + done.stderr for part in found.split("|"))


@pytest.mark.slow
def test_a_study_tunes_and_reports_them(there: Path) -> None:
    (there / "conf" / "experiment").mkdir()
    (there / "conf" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /study: fair\n  - override /data: waves\n"
        "study:\n  losses: [mse, andrews]\n  seeds: 5\n  tuning: {trials: 4, seeds: 1}\ntrainer: {max_epochs: 2}\n"
    )
    assert typed("experiment=mine trainer=cpu hydra.sweep.dir=study") == 0
    assert "andrews" in (there / "study" / "report.md").read_text()
    tuned = {record.loss_params["c"] for record in read_records(there / "study") if record.loss == "andrews"}
    assert len(tuned) > 2


def test_they_are_listed_shown_and_drawn(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["losses", "--task", "regression"]) == 0
    assert "andrews" in capsys.readouterr().out
    assert main(["show", "andrews", "c=2"]) == 0
    out = capsys.readouterr().out
    assert "c^2 (1 - cos(r / c)) within pi c" in out
    assert "where the influence is largest" in out
    assert (there / "andrews.png").exists()
    assert main(["show", "corruption=shifted", "fraction=0.5", "data=waves"]) == 0
    assert "Corrupted rows: 45 of 90" in capsys.readouterr().out


def test_the_library_takes_them(there: Path) -> None:
    loss = losses.get("andrews", c=2.0)
    pred, target = torch.tensor([[0.0], [100.0]]), torch.zeros(2, 1)
    assert loss.per_sample(pred, target).tolist() == [0.0, 8.0]
    assert compose("loss=andrews", "data=waves")["loss"] == {"name": "andrews", "c": 1.339}


@pytest.fixture
def decorated() -> Iterator[None]:
    """One of each kind, made by decorators."""

    @register.loss(reads="values", ranges={"c": "(0, inf)"}, search={"c": "log [0.5, 10]"}, source="Andrews (1974)")
    def andrews(pred: Tensor, target: Tensor, *, c: float = 1.339) -> Tensor:
        """Andrews: c^2 (1 - cos(r / c))."""
        r = pred - target
        return torch.where(r.abs() <= math.pi * c, c**2 * (1 - torch.cos(r / c)), 2 * c**2)

    @register.model()
    def net(shape: tuple[int, ...], outputs: int, *, width: int = 4) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), width), nn.Tanh(), nn.Linear(width, outputs))

    @register.data(tasks="regression")
    def waves(*, rows: int = 150) -> tuple[Tensor, Tensor]:
        x = torch.rand(rows, 3, generator=torch.Generator().manual_seed(0))
        return x, torch.sin(6 * x[:, 0])

    @register.corruption(tasks="regression")
    def shifted(inputs: Tensor, targets: Tensor, generator: torch.Generator, *, by: float = 5.0) -> object:
        from losslab.corruption.base import Changed

        return Changed(inputs, targets + by, torch.ones(len(targets), dtype=torch.bool))

    @register.optimizer(search={"lr": "log [1e-3, 1e-1]"})
    def rms(params: object, *, lr: float = 0.01, weight_decay: float = 0.0) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(params, lr=lr, weight_decay=weight_decay)

    yield
    for group, name in {
        "loss": "andrews",
        "model": "net",
        "data": "waves",
        "corruption": "shifted",
        "optimizer": "rms",
    }.items():
        register.forget(group, name)
        assert name not in cards.names(group)


@pytest.mark.usefixtures("decorated")
def test_decorated_functions_are_components(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    request = compose(*WHOLE.split(), "loss.c=2")
    record = run(request, tmp_path / "lone", bar=False)
    assert (record.status, record.loss_params, record.data["rows_in"]["train"]) == ("done", {"c": 2.0}, 90)
    assert {"source/loss/andrews", "source/data/waves"} <= record.pairing.keys()
    assert (
        typed("-m data=waves loss=andrews,mse model=net seed=0,1 trainer=cpu trainer.max_epochs=2 hydra.sweep.dir=all")
        == 0
    )
    assert {found.fused for found in read_records(tmp_path / "all")} == {4}
    assert "andrews" in compatibility.fitting("loss", "regression")
    with pytest.raises(BadRequest, match="c must be above 0"):
        compose("loss=andrews", "loss.c=-1")


def bad_loss(pred: Tensor, target: Tensor) -> Tensor:
    return (pred - target).square().mean()


def bad_setting(pred: Tensor, target: Tensor, *, c: float) -> Tensor:
    return pred - target


def mse(pred: Tensor, target: Tensor) -> Tensor:
    return pred - target


@pytest.mark.parametrize(
    ("function", "facts", "said"),
    [
        (bad_setting, {"reads": ["values"]}, "its keyword 'c' needs a default"),
        (bad_loss, {}, "must state 'reads'"),
        (bad_loss, {"reads": ["values"], "rangse": {}}, "did you mean 'ranges'"),
        (mse, {"reads": ["values"]}, "already a loss 'mse'"),
    ],
)
def test_what_cannot_be_a_component_is_refused(function: Callable[..., Tensor], facts: dict, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        LOSSES.register(**facts)(function)
    assert function.__name__ not in cards.names("loss") or function is mse


def test_a_loss_that_reduces_is_refused_when_it_is_tried() -> None:
    register.loss(reads="values")(bad_loss)
    try:
        with pytest.raises(ValueError, match=r"must give a number for each sample.*it gave \[\]"):
            losses.get("bad_loss")(torch.zeros(3, 1), torch.zeros(3, 1))
    finally:
        register.forget("loss", "bad_loss")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("conf/loss/andrews.yaml", "mine.py:andrews", "mine.py:nothing"), "holds no 'nothing'"),
        (("conf/loss/andrews.yaml", "mine.py", "gone.py"), "there is no file"),
        (("conf/loss/andrews.yaml", "reads: [values], ", ""), "must state 'reads'"),
        (("conf/loss/andrews.yaml", "search:", "serach:"), "did you mean 'search'"),
        (("conf/loss/andrews.yaml", 'function: "mine.py:andrews", ', ""), "must say which function"),
        (("conf/loss/andrews.yaml", "about: {", "about: [{"), "cannot be read"),
        (("conf/data/waves.yaml", "tasks: [regression]", "tasks: [regression], rows: 140"), "correct the card"),
        (("conf/data/waves.yaml", "tasks: [regression]", "tasks: [binary]"), "does not fit task 'regression'"),
        (("mine.py", "return x, torch.sin", "return x[1:], torch.sin"), "for the same n samples"),
        (
            ("mine.py", "return x, torch.sin(6 * x[:, 0])", "return torch.log(x - x), torch.sin(6 * x[:, 0])"),
            "inputs is -inf",
        ),
        (("mine.py", "nn.Linear(width, outputs)", "nn.Linear(width, outputs + 1)"), "two rows became [2, 2]"),
    ],
)
def test_a_wrong_card_or_function_gets_one_sentence(
    change: tuple[str, str, str], said: str, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, old, new = change
    text = (there / path).read_text()
    assert old in text
    (there / path).write_text(text.replace(old, new))
    assert typed(f"{WHOLE} hydra.run.dir=one") == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (there / "one").exists()


def test_a_name_of_losslabs_own_is_refused_and_other_files_are_left_alone(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (there / "conf" / "loss" / "of_another_program.yaml").write_text("_target_: os.system\n")
    assert typed(f"{WHOLE} hydra.run.dir=one") == 0
    (there / "conf" / "loss" / "huber.yaml").write_text("defaults: [huber]\nabout: {}\n")
    assert typed(f"{WHOLE} hydra.run.dir=two") == 2
    assert "there is already a loss 'huber'" in capsys.readouterr().err


def test_more_rows_than_were_counted_are_used(there: Path) -> None:
    assert typed(f"{WHOLE} data.rows=97 hydra.run.dir=one") == 0
    assert read_records(there / "one")[0].data["rows_in"] == {"train": 59, "val": 19, "test": 19}
    (there / "conf" / "data" / "waves.yaml").write_text(
        "batch_size: 16\nval_fraction: 0.2\ntest_fraction: 0.2\nabout: {function: 'counted.py:counted', tasks: [regression]}\n"
    )
    (there / "counted.py").write_text("from mine import waves\n\n\ndef counted():\n    return waves(91, 0.0)\n")
    assert typed("data=waves trainer=cpu trainer.max_epochs=1 hydra.run.dir=two") == 0
    assert sum(read_records(there / "two")[0].data["rows_in"].values()) == 91
    assert typed("data=waves data.batch_size=80 trainer=cpu hydra.run.dir=three") == 2


def test_the_example_of_the_decorators_runs() -> None:
    found = doctest.testmod(register)
    assert found.attempted > 0
    assert found.failed == 0


P90 = "about: {function: 'mine.py:p90', tasks: [regression], better: min, unit: units of the target}\n"


@pytest.mark.slow
def test_a_metric_of_a_folder_judges_runs_alone_and_in_stacks(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "-m data=waves loss=mse,l1 seed=0,1 trainer=cpu trainer.max_epochs=2 hydra.sweep.dir=all"
    assert typed(line) == 0
    (there / "conf" / "metric").mkdir()
    (there / "conf" / "metric" / "p90.yaml").write_text(P90)
    assert typed(line) == 0, "the same runs are trained again, as they lack it"
    records = read_records(there / "all")
    assert {record.fused for record in records} == {4}
    assert all("source/metric/p90" in record.pairing for record in records)
    for record in records:
        assert record.metrics["last/test/p90"] >= record.metrics["last/test/median_ae"]
        assert len(record.curves["val/p90"]) == 2
    assert typed("data=waves loss=mse seed=0 trainer=cpu trainer.max_epochs=2 hydra.run.dir=alone") == 0
    alone, stacked = read_records(there / "alone")[0], next(r for r in records if (r.loss, r.seed) == ("mse", 0))
    assert alone.metrics["last/test/p90"] == pytest.approx(stacked.metrics["last/test/p90"], rel=1e-5)
    capsys.readouterr()
    assert main(["report", "all", "--metric", "p90"]) == 0
    assert "Test p90" in capsys.readouterr().out


def test_a_metric_that_is_no_number_or_has_no_direction_is_refused(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (there / "conf" / "metric").mkdir()
    card = there / "conf" / "metric" / "p90.yaml"
    for wrong, said in (("better: lower", "must be min or max"), ("beter: min", "did you mean 'better'")):
        card.write_text(P90.replace("better: min", wrong))
        assert typed("data=waves trainer=cpu hydra.run.dir=one") == 2
        assert said in capsys.readouterr().err


def test_a_decorated_metric_can_be_studied(tmp_path: Path) -> None:
    @register.metric(tasks="regression", better="min", unit="units")
    def worst(pred: Tensor, target: Tensor) -> float:
        return (pred - target).abs().max().item()

    try:
        request = compose("data.rows=200", "trainer=cpu", "trainer.max_epochs=1", "loss=l1")
        record = run(request, tmp_path / "one", bar=False)
        assert record.metrics["best/test/worst"] > record.metrics["best/test/mae"]
        assert cards.metrics("regression")["worst"] == "min"
        assert "worst" not in cards.metrics("counts")
    finally:
        register.forget("metric", "worst")
    assert "worst" not in cards.metrics("regression")


def test_another_copy_of_losslab_is_no_folder_of_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(cards.CONF, tmp_path / "conf")
    (tmp_path / "conf" / "loss" / "andrews.yaml").write_text("name: andrews\nabout: {}\n")
    monkeypatch.chdir(tmp_path)
    cards.refresh()
    assert cards.folders() == ()
    assert "andrews" not in cards.names("loss")
