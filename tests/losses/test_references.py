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


@pytest.mark.slow
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
    ("wrong.py:later", ["leave async and yield away"]),
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
async def later(pred, target): return pred
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


STACKING = """
import torch


def reads_values(pred, target):
    return (pred - target).square() if float((pred - target).detach().abs().max()) < 1e9 else pred


def plain_number(pred, target, c=1.0):
    return torch.nn.functional.huber_loss(pred, target, reduction="none", delta=c)
"""


@pytest.mark.slow
def test_what_cannot_be_stacked_trains_alone_and_holds_up_no_other(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (there / "odd.py").write_text(STACKING)
    line = f"-m loss=mse,odd.py:reads_values seed=0,1 {QUICK} hydra.sweep.dir=all"
    assert typed(line) == 0
    fused = {(record.loss, record.fused) for record in read_records(there / "all")}
    assert fused == {("mse", 2), ("odd.py:reads_values", 1)}
    assert "2 trained alone: torch.vmap cannot trace the loss 'odd.py:reads_values'" in capsys.readouterr().out


@pytest.mark.slow
def test_a_loss_of_plain_numbers_is_stacked_and_equals_lone_runs(there: Path) -> None:
    (there / "odd.py").write_text(STACKING)
    for loss in ("odd.py:plain_number", "torch.nn.HuberLoss"):
        key = "delta" if loss.startswith("torch") else "c"
        folder = references.short(loss)
        assert typed(f"-m loss={loss} loss.{key}=0.5,1.5 seed=0,1 {QUICK} hydra.sweep.dir={folder}") == 0
        assert (
            typed(f"-m loss=huber loss.delta=0.5,1.5 seed=0,1 {QUICK} fused.size=1 hydra.sweep.dir={folder}_own") == 0
        )

        def of(folder: str, key: str) -> dict[tuple[float, int], float]:
            found = read_records(there / folder)
            assert {record.fused for record in found} == ({1} if folder.endswith("own") else {4})
            return {(r.loss_params[key], r.seed): r.metrics["last/test/mae"] for r in found}

        stacked, alone = of(folder, key), of(f"{folder}_own", "delta")
        assert stacked.keys() == alone.keys()
        for run, value in stacked.items():
            assert value == pytest.approx(alone[run], rel=1e-4)


@pytest.mark.parametrize(
    ("code", "line", "said"),
    [
        ("return pred - target", "task=multiclass", "it raises RuntimeError: The size of tensor a (3) must match"),
        ("return pred - target", "task=multiclass", "it does not state what it reads: write f.reads = 'values'"),
        ("return (pred - target).mean()", "", "must give a number for each sample"),
        ("return (pred - target).detach()", "", "its result has no gradient"),
        ("return 1.0", "", "it gave float"),
        ("raise KeyError('oh')", "", "it raises KeyError: 'oh'"),
    ],
)
def test_a_loss_that_does_not_work_is_refused_before_training(
    code: str, line: str, said: str, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (there / "f.py").write_text(f"def f(pred, target):\n    {code}\n")
    for words in (f"loss=f.py:f {line} hydra.run.dir=one", f"-m loss=f.py:f,mse seed=0,1 {line} hydra.sweep.dir=one"):
        if "multiclass" in words:
            words = words.replace(",mse", ",cross_entropy")
        assert typed(f"{words} trainer=cpu") == 2
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1
        assert not (there / "one").exists()
    with pytest.raises(BadRequest):
        compose("loss=f.py:f", *line.split())


def test_which_space_is_given_is_said_where_it_could_be_another(there: Path, caplog: pytest.LogCaptureFixture) -> None:
    (there / "said.py").write_text("def said(pred, target):\n    return (pred - target).square()\n")
    with caplog.at_level(logging.WARNING, "losslab"):
        compose("loss=said.py:said")
        assert caplog.text == "", "a regression has one space of numbers"
        compose("loss=said.py:said", "task=counts")
    assert "said.py:said does not state what it reads, so task 'counts' gives it log_rate" in caplog.text
    assert "said.reads = 'rate'" in caplog.text


STUDY = (
    "study=fair study.seeds=2 study.tuning.trials=2 study.tuning.seeds=1 trainer=cpu trainer.max_epochs=1 data.rows=200"
)


@pytest.mark.slow
def test_a_study_tunes_what_states_where_and_reports_without_the_code(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "study.losses=[mse,'my_losses.py:andrews(c=2)',my_losses.py:andrews,my_losses.py:pull]"
    assert typed(f'{STUDY} "{line}" hydra.sweep.dir=study') == 0
    captured = capsys.readouterr()
    assert captured.err.count("states no search ranges, so only its learning rate is tuned and c stays") == 1
    records = read_records(there / "study")
    tuned = {record.loss_params["c"] for record in records if record.loss == "my_losses.py:pull"}
    assert len(tuned) > 2
    assert {record.loss_params["c"] for record in records if record.loss == "my_losses.py:andrews"} == {2.0, 1.339}
    page = (there / "study" / "report.md").read_text()
    digest = records[0].pairing and {r.pairing.get("source/loss/my_losses.py:pull") for r in records} - {None}
    assert f"loss/my_losses.py:pull: {next(iter(digest))}" in page
    (there / "my_losses.py").write_text("raise RuntimeError('a report imports nothing')\n")
    cards.refresh()
    assert main(["report", "study"]) == 0
    assert (there / "study" / "report.md").read_text() == page


def test_a_recipe_names_it_among_its_defaults(there: Path) -> None:
    (there / "conf" / "experiment").mkdir(parents=True)
    (there / "conf" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /loss: my_losses.py:andrews\nloss: {c: 1.5}\n"
    )
    assert compose("experiment=mine")["loss"] == {"name": "my_losses.py:andrews", "c": 1.5}


@pytest.mark.slow
def test_other_code_is_another_run(there: Path) -> None:
    import subprocess

    line = [sys.executable, "-c", "import sys; from losslab.cli.main import main; sys.exit(main())", "train"]
    line += [*f"loss=my_losses.py:andrews {QUICK}".split(), "hydra.run.dir=one"]
    hashes = set()
    for said in ("", "had finished already", "is trained again"):
        if said == "is trained again":
            (there / "my_losses.py").write_text(CODE.replace("return c**2 *", "return 2 * c**2 *"))
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        assert said in done.stdout + done.stderr
        hashes.add(read_records(there / "one")[0].pairing["source/loss/my_losses.py:andrews"])
    assert len(hashes) == 2


def test_it_is_shown_and_drawn(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "my_losses.py:andrews", "c=2"]) == 0
    out = capsys.readouterr().out
    assert "c^2 (1 - cos(r / c)) within pi c" in out
    assert "not stated, so that each task gives it the first of its spaces" in out
    assert (there / "andrews.png").exists()
    assert main(["show", "torch.nn.HuberLoss"]) == 0
    assert (there / "HuberLoss.png").exists()


def test_a_name_is_printed_as_it_is(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (there / "f.py").write_text("def star(pred, target):\n    return (pred - target).abs()\n")
    assert typed(f"loss=f.py:star {QUICK} hydra.run.dir=one") == 0
    assert "regression, f.py:star: done" in capsys.readouterr().out, "and not as an emoji"


def test_a_partial_function_has_what_is_left_to_set(there: Path) -> None:
    (there / "p.py").write_text(
        "from functools import partial\nfrom my_losses import andrews\nnarrow = partial(andrews, c=0.5)\n"
    )
    assert compose("loss=p.py:narrow")["loss"] == {"name": "p.py:narrow", "c": 0.5}
    assert losses.get("p.py:narrow")(torch.zeros(2, 1), torch.full((2, 1), 9.0)).item() == 0.5
    sys.modules.pop("my_losses", None)


def test_a_function_with_the_name_of_a_stateful_loss_is_itself(there: Path) -> None:
    (there / "f.py").write_text("def barron_adaptive(pred, target):\n    return (pred - target).abs()\n")
    loss = losses.get("f.py:barron_adaptive")
    assert list(loss.parameters()) == []
    assert loss(torch.zeros(2, 1), torch.ones(2, 1)).item() == 1


@pytest.mark.parametrize("reference", ["my_loses.py:andrews", "nothing:at_all", "my_losses.py", "nowhere.at.all"])
def test_what_is_not_there_is_refused_without_torch(reference: str, there: Path) -> None:
    import subprocess

    code = (
        "import sys; from losslab.cli.main import main; "
        f"status = main(['train', 'loss={reference}']); sys.exit(10 * ('torch' in sys.modules) + status)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 2


def test_a_decorated_function_must_be_callable_with_two_tensors(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = "from losslab import register\n@register.loss(reads='values')\n"
    for code, said in (
        ("def f(pred, target, c): ...\n", "its argument 'c' needs a default"),
        ("def f(y_true, y_pred): ...\n", "losslab gives the prediction first"),
    ):
        name = f"mine{len(said)}"
        (there / f"{name}.py").write_text(head + code)
        assert typed(f"loss={name}.py:f") == 2
        assert said in capsys.readouterr().err
