"""A loss that is named by where it stands: a function or class in a file of the user's, in a module, or in torch."""

import logging
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from losslab import compose, losses, read_records
from losslab.cli.main import main
from losslab.errors import BadRequest
from losslab.schema import cards, references
from support.examples import sample

CODE = '''
import torch
from torch import nn
from losslab import register


def andrews(pred, target, c=1.339):
    """Andrews: c^2 (1 - cos(r / c)) within pi c, 2 c^2 beyond."""
    return c**2 * (1 - ((pred - target) / c).clamp(-torch.pi, torch.pi).cos())


@register.loss(reads="values", ranges={"c": "(0, inf)"}, search={"c": "log [0.5, 10]"}, source="Dennis and Welsch (1978)")
def pull(pred, target, *, c=2.0):
    """Welsch."""
    return c**2 / 2 * (1 - (-(((pred - target) / c) ** 2)).exp())


class Power(nn.Module):
    """The mean of |r| ** power over the batch."""

    reads = "values"
    ranges = {"power": "[1, 4]"}

    def __init__(self, power: float = 2):
        super().__init__()
        self.power = power

    def forward(self, input, target):
        return (input - target).abs().pow(self.power).mean()


def of_classes(pred, target):
    return -pred.log_softmax(-1).gather(-1, target[:, None]).squeeze(-1)


of_classes.reads = "class_logits"

number = 3.0
short = lambda pred, target: pred - target  # noqa: E731
'''
QUICK = "trainer=cpu trainer.max_epochs=2 data.rows=200"


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a file of losses, where the command stands."""
    (tmp_path / "my_losses.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    cards.refresh()
    yield tmp_path
    cards.refresh()


def typed(line: str) -> int:
    return main(["train", *shlex.split(line)])


def test_a_function_in_a_file_trains_with_its_settings(there: Path) -> None:
    assert typed(f"loss=my_losses.py:andrews loss.c=1.2 {QUICK} hydra.run.dir=one") == 0
    (record,) = read_records(there / "one")
    assert (record.loss, record.loss_params, record.status) == ("my_losses.py:andrews", {"c": 1.2}, "done")
    assert "source/loss/my_losses.py:andrews" in record.pairing


def test_a_sweep_takes_it_beside_others(there: Path) -> None:
    line = f"-m loss=mse,my_losses.py:andrews,my_losses.py:pull seed=0,1 {QUICK} hydra.sweep.dir=all"
    assert typed(line) == 0
    records = read_records(there / "all")
    assert {record.loss for record in records} == {"mse", "my_losses.py:andrews", "my_losses.py:pull"}
    assert {record.fused for record in records} == {6}
    assert typed(f"-m loss=my_losses.py:andrews,mse hydra/launcher=basic {QUICK} hydra.sweep.dir=basic") == 0
    assert {record.loss for record in read_records(there / "basic")} == {"mse", "my_losses.py:andrews"}


@pytest.mark.parametrize(
    "form",
    [
        "./my_losses.py:andrews",
        "{there}/my_losses.py:andrews",
        "'my dir/mine.py:andrews'",
        "my_losses:andrews",
        "my_losses.andrews",
        "pkg.sub:andrews",
        "pkg.sub.andrews",
    ],
)
def test_every_form_of_a_reference_trains(form: str, there: Path) -> None:
    for folder, name in (("my dir", "mine.py"), ("pkg", "sub.py")):
        (there / folder).mkdir()
        (there / folder / name).write_text(CODE)
    try:
        line = f'loss="{form.format(there=there)}" {QUICK} hydra.run.dir=one'
        assert typed(line) == 0
    finally:
        for name in ("my_losses", "pkg", "pkg.sub"):
            sys.modules.pop(name, None)
    (record,) = read_records(there / "one")
    assert references.short(record.loss) == "andrews"


def test_two_ways_to_write_one_file_are_one_loss(there: Path) -> None:
    assert compose("loss=./my_losses.py:andrews") == compose("loss=my_losses.py:andrews")


def test_a_sum_holds_it(there: Path) -> None:
    request = compose("loss=sum", "loss.terms='0.5*mse + ./my_losses.py:andrews(c=2)'")
    assert request["loss"]["terms"] == "0.5*mse + 1*my_losses.py:andrews(c=2.0)"
    pred, target = sample("values")
    both = losses.get("sum", terms="0.5*mse + my_losses.py:andrews(c=2)").per_sample(pred, target)
    alone = losses.get("my_losses.py:andrews", c=2.0).per_sample(pred, target)
    torch.testing.assert_close(both, 0.5 * losses.get("mse").per_sample(pred, target) + alone)


def test_the_library_takes_it(there: Path) -> None:
    assert compose("loss=my_losses.py:andrews", "loss.c=2")["loss"] == {"name": "my_losses.py:andrews", "c": 2.0}
    loss = losses.get("my_losses.py:andrews", c=1.0)
    assert loss(torch.zeros(2, 1), torch.full((2, 1), 9.0)).item() == 2.0


def test_a_decorated_function_keeps_its_facts_and_enters_no_name(there: Path) -> None:
    card = cards.card("loss", "my_losses.py:pull")
    assert (card.about["reads"], card.about["source"]) == (["values"], "Dennis and Welsch (1978)")
    assert "pull" not in cards.names("loss")
    with pytest.raises(BadRequest, match=r"loss\.c must be above 0"):
        compose("loss=my_losses.py:pull", "loss.c=-1")
    with pytest.raises(BadRequest, match="does not fit task 'multiclass'"):
        compose("task=multiclass", "loss=my_losses.py:pull")


def test_attributes_state_facts(there: Path) -> None:
    assert compose("task=multiclass", "loss=my_losses.py:of_classes")["loss"] == {"name": "my_losses.py:of_classes"}
    with pytest.raises(BadRequest, match=r"loss\.power must be at least 1 and at most 4"):
        compose("loss=my_losses.py:Power", "loss.power=5")


def test_a_class_that_reduces_is_applied_to_each_sample(there: Path) -> None:
    pred, target = sample("values")
    found = losses.get("my_losses.py:Power", power=3.0).per_sample(pred, target)
    torch.testing.assert_close(found, (pred - target).abs().pow(3).mean(1))


@pytest.mark.parametrize(
    ("torchs", "ours", "space"),
    [
        ("HuberLoss", "huber", "values"),
        ("SmoothL1Loss", "smoothl1", "values"),
        ("L1Loss", "l1", "boxes"),
        ("MSELoss", "mse", "values"),
        ("CrossEntropyLoss", "cross_entropy", "class_logits"),
        ("BCELoss", "bce", "binary_prob"),
        ("BCEWithLogitsLoss", "bce_with_logits", "binary_logit"),
        ("PoissonNLLLoss", "poisson_nll", "log_rate"),
        ("MultiMarginLoss", "multi_margin", "class_logits"),
        ("functional.huber_loss", "huber", "values"),
        ("functional.cross_entropy", "cross_entropy", "class_logits"),
    ],
)
def test_the_losses_of_torch_are_run_and_their_equals_named(
    torchs: str, ours: str, space: str, caplog: pytest.LogCaptureFixture
) -> None:
    cards.refresh()
    pred, target = sample(space, n=20)
    with caplog.at_level(logging.WARNING, "losslab"):
        found = losses.get(f"torch.nn.{torchs}", space=space)
    assert f"is the same loss as losslab's '{ours}'" in caplog.text
    torch.testing.assert_close(found.per_sample(pred, target), losses.get(ours, space=space).per_sample(pred, target))


def test_options_of_losslab_are_those_of_torch() -> None:
    pred, target = sample("class_logits", n=20)
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=pred.dtype)
    found = losses.get("torch.nn.CrossEntropyLoss", class_weights=weights)
    torch.testing.assert_close(found(pred, target), torch.nn.CrossEntropyLoss(weights)(pred, target))
    found = losses.get("torch.nn.CrossEntropyLoss", label_smoothing=0.1)
    torch.testing.assert_close(found(pred, target), torch.nn.CrossEntropyLoss(label_smoothing=0.1)(pred, target))


REFUSED = [  # what is typed, and words that the one sentence must hold
    ("nothing_here.py:andrews", ["there is no file", "beside it: my_losses.py"]),
    ("my_loses.py:andrews", ["did you mean 'my_losses.py'?"]),
    ("gone/my_losses.py:andrews", ["there is no folder"]),
    ("my_losses.py:andrew", ["holds no 'andrew' (did you mean 'andrews'?)"]),
    ("my_losses.py", ["names a file", "it holds: andrews, pull, Power, of_classes"]),
    ("my_losses.py:", ["must name a function"]),
    ("my_losses.py:short", ["is a lambda; write it as 'def short(pred, target): ...'"]),
    ("my_losses.py:number", ["is 3.0, of type float, and not a function"]),
    ("unparsable.py:f", ["unparsable.py, line 3, is no valid Python"]),
    ("raising.py:f", ["raising.py, line 2, raises ZeroDivisionError: division by zero"]),
    ("leaving.py:f", ["leaving.py, line 2, raises SystemExit: 3"]),
    ("wrong.py:needs", ["its argument 'c' needs a default, such as c=1.0"]),
    ("wrong.py:keyword", ["its argument 'c' needs a default"]),
    ("wrong.py:one", ["must take pred and target first, and it takes (pred)"]),
    ("wrong.py:swapped", ["takes (y_true, y_pred), and losslab gives the prediction first; write (y_pred, y_true)"]),
    ("wrong.py:clash", ["has a setting 'name'", "rename it"]),
    ("wrong.py:weights", ["has a setting 'class_weights'"]),
    ("wrong.py:listed", ["the default of 'c' must be a number, a word or a list"]),
    ("wrong.py:Plain", ["is a class that is no torch.nn.Module"]),
    ("wrong.py:made", ["is an object of MSELoss; name the class itself"]),
    ("wrong.py:spaces", ["reads 'valeus', which is no space (did you mean 'values'?)"]),
    ("wrong.py:ranged", ["states ranges for 'd', which is none of its settings"]),
    ("wrong.py:unreadable", ["the range of 'c', 'above 0', cannot be read"]),
    ("own_name.py:huber", ["already a loss 'huber'"]),
    ("nowhere.at.all", ["nor does Python find a module 'nowhere'"]),
    ("os:getcwd", ["'os' is a module of Python itself"]),
    ("losslab.losses.regression:mse", ["named plainly"]),
    ("torch.nn.NLLLoss", ["takes logs of probabilities", "take loss=cross_entropy"]),
    ("torch.nn.TripletMarginLoss", ["needs 'negative' beside pred and target"]),
    ("torch.nn.Hubr", ["holds no 'Hubr'"]),
]  # fmt: skip
WRONG = """
import torch
def needs(pred, target, c): return pred
def keyword(pred, target, *, c): return pred
def one(pred): return pred
def swapped(y_true, y_pred): return y_pred
def clash(pred, target, name="x"): return pred
def weights(pred, target, class_weights=1.0): return pred
def listed(pred, target, c={}): return pred
class Plain: pass
made = torch.nn.MSELoss()
def spaces(pred, target): return pred
spaces.reads = "valeus"
def ranged(pred, target, c=1.0): return pred
ranged.reads, ranged.ranges = "values", {"d": "(0, inf)"}
def unreadable(pred, target, c=1.0): return pred
unreadable.reads, unreadable.ranges = "values", {"c": "above 0"}
"""


@pytest.mark.parametrize(("reference", "said"), REFUSED)
def test_what_is_no_loss_is_refused_in_one_sentence(
    reference: str, said: list[str], there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (there / "wrong.py").write_text(WRONG)
    (there / "unparsable.py").write_text("import torch\n\ndef f(pred, target:\n    return pred\n")
    (there / "raising.py").write_text("def f(pred, target): ...\nx = 1 / 0\n")
    (there / "leaving.py").write_text("import sys\nsys.exit(3)\n")
    (there / "own_name.py").write_text(
        "from losslab import register\n@register.loss(reads='values')\ndef huber(pred, target): ...\n"
    )
    if reference in ("nothing_here.py:andrews", "my_loses.py:andrews"):
        for name in ("wrong", "unparsable", "raising", "leaving", "own_name"):
            (there / f"{name}.py").unlink()
    assert typed(f"loss={reference} {QUICK} hydra.run.dir=one") == 2
    err = capsys.readouterr().err
    assert all(part in err for part in said), err
    assert err.count("\n") == 1
    assert not (there / "one").exists()


def test_nothing_but_what_is_named_is_imported(there: Path) -> None:
    (there / "other.py").write_text("raise RuntimeError('imported')\n")
    assert typed(f"loss=my_losses.py:andrews {QUICK} hydra.run.dir=one") == 0
    assert typed(f"loss=mse {QUICK} hydra.run.dir=two") == 0
    found: Callable[[Tensor, Tensor], Tensor] = losses.LOSSES.of("my_losses.py:andrews")
    assert found.__name__ == "andrews"
