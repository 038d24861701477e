"""`losslab check` finds what is wrong with a loss, and nothing wrong with losslab's own."""

import doctest
from collections.abc import Iterator
from pathlib import Path

import pytest

from losslab import BadRequest, losses
from losslab.catalogue import contract
from losslab.cli.main import main
from losslab.schema import cards

PLAIN = [name for name in losses.names() if "terms" not in cards.card("loss", name).values]
RIGHT = '''
import torch
from losslab import register


@register.loss(reads="values", ranges={"c": "(0, inf)"}, search={"c": "log [0.5, 10]"}, facts=["redescending"])
def andrews(pred, target, *, c=1.339):
    """Andrews."""
    return c**2 * (1 - ((pred - target) / c).clamp(-torch.pi, torch.pi).cos())
'''
WRONG = '''
import random
import numpy as np
import torch
from torch import nn


def reduces(pred, target):
    return (pred - target).square().mean()


def transposes(pred, target):
    return (pred - target).square().mean(1).reshape(1, -1)


def is_a_float(pred, target):
    return float((pred - target).square().sum())


def broadcasts(pred, target):
    return (pred.mean(1)[:, None] - target.mean(1)).square()


def loses_digits(pred, target):
    return (pred.float() - target.float()).square()


def widens(pred, target):
    return (pred - target).square() * torch.tensor([2.0], dtype=torch.float64)


def nan_at_target(pred, target):
    return (pred - target).abs() * (pred - target).abs().log()


def nan_gradient(pred, target):
    return (pred - target).square().sum(-1).sqrt()


def nan_in_where(pred, target):
    r = pred - target
    return torch.where(r.abs() < 1, r.square(), r.abs().sqrt())


def exponential(pred, target):
    return ((pred - target).abs()).exp()


def detached(pred, target):
    return (pred - target).square().detach()


def through_numpy(pred, target):
    return torch.from_numpy(np.square(pred.detach().numpy() - target.numpy()))


def steps(pred, target):
    return (pred - target).square() * 0 + (pred - target).abs().round()


def clamped(pred, target):
    return (pred - target).square().clamp(max=9.0)


def one_sided(pred, target):
    return torch.where(pred > target + 2, 4.0 + 0 * pred, (pred - target).square())


def partly_detached(pred, target):
    return (pred - target).square() * pred.detach()


def changes_pred(pred, target):
    pred -= target
    return pred.square()


def changes_target(pred, target):
    target.clamp_(-1, 1)
    return (pred - target).square()


def draws(pred, target):
    return (pred - target).square() * torch.rand_like(pred)


def draws_elsewhere(pred, target):
    return (pred - target).square() * random.random()


calls = 0


def counts_calls(pred, target):
    global calls
    calls += 1
    return (pred - target).square()


seen = []


def remembers(pred, target):
    seen.append(float(pred.sum()))
    return (pred - target).square()


def sets_dtype(pred, target):
    torch.set_default_dtype(torch.float64)
    return (pred - target).square()


def normalises(pred, target):
    r = (pred - target).abs()
    return r / r.max()


def first_row_counts_more(pred, target):
    r = (pred - target).square()
    return torch.cat([10 * r[:1], r[1:]])


def reversed_sign(pred, target):
    return -(pred - target).square()


def default_outside(pred, target, c=-1.0):
    return c * (pred - target).square()


default_outside.reads, default_outside.ranges = "values", {"c": "(0, inf)"}


def search_outside(pred, target, c=1.0):
    return c * (pred - target).square()


search_outside.reads, search_outside.ranges, search_outside.search = "values", {"c": "(0, 5)"}, {"c": "[1, 50]"}


def range_too_wide(pred, target, c=1.0):
    return (pred - target).square() / c


range_too_wide.reads, range_too_wide.ranges = "values", {"c": "[0, 5]"}


def not_convex(pred, target):
    return (pred - target).abs().sqrt().clamp(min=1e-3)


not_convex.reads, not_convex.facts = "values", ["convex"]


def negative(pred, target):
    return (pred - target).square() - 1


negative.reads, negative.facts = "values", ["nonnegative", "zero_at_target"]


def naive_entropy(pred, target):
    return -pred.softmax(-1).log().gather(-1, target[:, None]).squeeze(-1)


naive_entropy.reads = "class_logits"


def raises(pred, target):
    raise KeyError("oh")


class Weighted(nn.Module):
    """A loss of a module that reduces over the batch in a way of its own."""

    def forward(self, pred, target):
        r = (pred - target).abs()
        return (r * r.softmax(0)).sum()


class Learns(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(()))

    def forward(self, pred, target):
        return ((pred - target) * self.scale.exp()).square()
'''
FOUND = [  # the loss, and words of what must be found wrong
    ("reduces", ["reduces: it gives a single number for 6 samples", "leave .mean() or .sum() away"]),
    ("transposes", ["gives the shape [1, 6] for 6 samples"]),
    ("is_a_float", ["gives a float and no tensor"]),
    ("broadcasts", ["depends on the others in its batch"]),
    ("loses_digits", ["gives float32 for predictions in float64, so digits are lost"]),
    ("widens", ["gives float64 for predictions in float32"]),
    ("nan_at_target", ["gives NaN for pred = ", "keep the arguments of log"]),
    ("nan_gradient", ["has a gradient of NaN for pred = ", "sqrt, norm and pow have none at 0"]),
    ("nan_in_where", ["has a gradient of NaN for pred = "]),
    ("detached", ["has no gradient"]),
    ("through_numpy", ["has no gradient", "no numpy"]),
    ("steps", ["gradient is 0 everywhere"]),
    ("clamped", ["gradient is 0 for |pred - target| > 3", "leave clamp away"]),
    ("one_sided", ["gradient is 0 for pred - target > 2"]),
    ("partly_detached", ["gradient is not that of its value"]),
    ("changes_pred", ["changes pred in place"]),
    ("changes_target", ["changes target in place"]),
    ("draws", ["draws random numbers"]),
    ("draws_elsewhere", ["draws random numbers"]),
    ("counts_calls", ["changes 'calls' of its module"]),
    ("remembers", ["changes 'seen' of its module"]),
    ("sets_dtype", ["changes torch's default dtype"]),
    ("normalises", ["depends on the others in its batch"]),
    ("first_row_counts_more", ["the order of the samples changes their losses"]),
    ("reversed_sign", ["a perfect prediction has a higher loss than any other"]),
    ("default_outside", ["its default lies outside of its stated range: loss.c must be above 0"]),
    ("search_outside", ["its search range does not fit", "below 5"]),
    ("range_too_wide", ["c = 0 lies in its range [0, 5]"]),
    ("not_convex", ["states that it is convex, and is not"]),
    ("negative", ["states that it is nonnegative, and is not"]),
    ("naive_entropy", ["gives infinity for pred = "]),
    ("raises", ["raises KeyError: 'oh' for pred [6, 3] and target [6, 3] (values)"]),
    ("Weighted", ["neither the mean nor the sum of the losses of its samples"]),
    ("Learns", ["has parameters of its own (scale)"]),
]
NOTED = """
import torch


def loops(pred, target):
    return torch.stack([(p - t).square().sum() for p, t in zip(pred, target)])


def reads_values(pred, target):
    r = pred - target
    return r.square() if float(r.abs().max().detach()) < 1e9 else r.abs()


def shifted(pred, target):
    return (pred - target - 0.3).square()


def unused(pred, target, c=1.0):
    return (pred - target).square()


def cubic(pred, target):
    return (pred - target).abs() ** 3


def whole(pred, target, p=2):
    return (pred - target).abs() ** p
"""
NOTES = [
    ("loops", ["loops over the samples in Python"]),
    ("reads_values", ["cannot be traced by torch.vmap, so that its runs train one by one"]),
    ("shifted", ["its lowest loss is not at a perfect prediction: it is lower for pred = "]),
    ("unused", ["c changed no loss of 50 random samples", "c states no range", "states no search ranges"]),
    ("cubic", ["overflows in float32 for errors far beyond any in training", "does not state what it reads"]),
    ("whole", ["p takes whole numbers only, as its default is 2"]),
]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with losses that are wrong and others that are not."""
    for name, text in (("right", RIGHT), ("wrong", WRONG), ("noted", NOTED)):
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    cards.refresh()
    yield tmp_path
    cards.refresh()


@pytest.mark.parametrize("name", PLAIN)
def test_losslabs_own_are_right(name: str) -> None:
    report = contract.check(name)
    assert report.right, [finding.line for finding in report.findings]


@pytest.mark.parametrize(("name", "said"), FOUND)
def test_what_is_wrong_is_found_and_named(name: str, said: list[str], there: Path) -> None:
    report = contract.check(f"wrong.py:{name}", task=None if name == "naive_entropy" else "regression")
    wrong = "\n".join(finding.line for finding in report.findings if finding.kind == "wrong")
    assert all(part in wrong for part in said), wrong or [finding.line for finding in report.findings]


@pytest.mark.parametrize(("name", "said"), NOTES)
def test_what_is_good_to_know_is_a_note(name: str, said: list[str], there: Path) -> None:
    report = contract.check(f"noted.py:{name}", task="regression")
    notes = "\n".join(finding.line for finding in report.findings if finding.kind == "note")
    assert all(part in notes for part in said), notes
    assert report.right, [finding.line for finding in report.findings]


def test_a_loss_that_is_right_has_nothing_but_ok(there: Path) -> None:
    report = contract.check("right.py:andrews", half=True)
    assert {finding.kind for finding in report.findings} == {"ok"}, [finding.line for finding in report.findings]
    assert report.spaces == ("values",)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["huber"], 0, "Nothing wrong."),
        (["huber", "--half", "delta=0.5"], 0, "[ok]    takes bfloat16 and float16"),
        (["torch.nn.HuberLoss"], 0, "is the same loss as losslab's 'huber'"),
        (["right.py:andrews"], 0, "[ok]    gives one loss a sample"),
        (["wrong.py:clamped"], 1, "[wrong] gradient is 0 for |pred - target| > 3"),
        (["noted.py:cubic", "--task", "bbox"], 0, "checked on boxes"),
    ],
)
def test_the_command_prints_a_line_for_each_finding(
    words: list[str], status: int, said: str, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *words]) == status
    out = capsys.readouterr().out
    assert said in out
    assert all(len(line) <= 80 for line in out.splitlines())
    assert out.splitlines()[-1].endswith(".")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hubber"], "did you mean 'huber'"),
        (["wrong.py:nothing"], "holds no 'nothing'"),
        (["sum"], "check its terms one by one"),
        (["huber", "delta=-1"], "loss.delta must be above 0"),
        (["huber", "d=1"], "no key 'loss.d'"),
        (["right.py:andrews", "--task", "multiclass"], "does not fit task 'multiclass'"),
    ],
)
def test_what_cannot_be_checked_gets_one_sentence(
    words: list[str], said: str, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_the_library_gives_the_same(there: Path) -> None:
    with pytest.raises(BadRequest, match="There is no task 'regresion'"):
        contract.check("huber", task="regresion")
    assert not contract.check("wrong.py:reduces").right


def test_its_example_runs() -> None:
    found = doctest.testmod(contract)
    assert found.attempted > 0
    assert found.failed == 0
