"""What cards state of losses with several names holds, and reports say which losses of a comparison are one."""

import io
import random
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor

from losslab import losses
from losslab.catalogue.listing import entry, print_card
from losslab.cli import main, train
from losslab.report import checks
from losslab.schema import canonical, cards, identities
from support.examples import made, sample

NAMES = [name for name in losses.names() if identities.of(name)]
CASES = [(name, number) for name in NAMES for number in range(len(identities.of(name)))]
PROBABILITIES = {"class_logits": "class_probs", "binary_logit": "binary_prob"}


def drawn(name: str, draw: random.Random) -> dict:
    """Hyperparameters somewhere in their ranges."""
    card = cards.card("loss", name)
    found = {}
    for key, text in card.about.get("ranges", {}).items():
        default = card.values[key]
        if isinstance(default, list):
            continue
        if text[0] not in "[(":
            found[key] = draw.choice(text.split(" | "))
            continue
        low, high = (float(part) for part in text[1:-1].split(","))
        low, high = max(low, -12.0), min(high, 6.0)
        found[key] = (
            draw.uniform(low, high) if isinstance(default, float) else draw.randint(int(low), int(min(high, 5)))
        )
    return found


def soft(space: str, target: Tensor) -> Tensor:
    """Labels made uncertain."""
    if space == "class_logits":
        return 0.8 * torch.nn.functional.one_hot(target, 4).double() + 0.05
    return 0.8 * target + 0.1


def converted(space: str, to: str, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The same prediction and target in the space in which another loss reads them."""
    if space == to:
        return pred, target
    if space == "class_logits":
        shares = target if target.is_floating_point() else torch.nn.functional.one_hot(target, 4).double()
        return pred.softmax(-1), shares
    return pred.sigmoid(), target


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), CASES)
def test_what_a_card_states_holds(name: str, number: int) -> None:
    identity, draw, tried = identities.of(name)[number], random.Random(number), 0
    for space in cards.card("loss", name).about["reads"]:
        if identity.space not in (None, space):
            continue
        for _ in range(20):
            params = drawn(name, draw)
            params |= {key: params[of] if str(of) in params else of for key, of in identity.when.items()}
            loss = made(name, space, **params)
            assert identity.holds({"name": name} | loss.params, space)
            pred, target = sample(space, n=50, seed=draw.randint(0, 10**6))
            targets = [target] + ([soft(space, target)] if space in PROBABILITIES and not identity.hard else [])
            for each in targets:
                expected = torch.zeros(len(pred), dtype=pred.dtype)
                for weight, other in identities.terms(identity.text, {"name": name} | loss.params, classes=4):
                    reads = cards.card("loss", other["name"]).about["reads"]
                    to = space if space in reads else PROBABILITIES[space]
                    rest = {key: value for key, value in other.items() if key != "name"}
                    expected += weight * losses.get(other["name"], space=to, **rest).per_sample(
                        *converted(space, to, pred, each)
                    )
                torch.testing.assert_close(loss.per_sample(pred, each), expected, rtol=1e-6, atol=1e-9)
                tried += 1
    assert tried >= 20


def test_what_does_not_hold_is_not_stated_by_accident() -> None:
    """The test above is no tautology: another factor fails it."""
    pred, target = sample("values")
    huber, [(weight, other)] = (
        losses.get("huber", delta=0.3),
        identities.terms("delta * smoothl1(beta=delta)", {"delta": 0.4}),
    )
    wrong = weight * losses.get("smoothl1", beta=other["beta"]).per_sample(pred, target)
    assert not torch.allclose(huber.per_sample(pred, target), wrong)


@pytest.mark.parametrize("name", NAMES)
def test_following_identities_ends(name: str) -> None:
    for task in cards.names("task"):
        if name in losses.names(task):
            assert identities.canonical(cards.card("loss", name).values, task)


def loss(name: str, **params: object) -> dict:
    return {"name": name} | canonical.check_hyperparameters(name, params)


@pytest.mark.parametrize(
    ("task", "one", "other", "factor"),
    [
        ("regression", loss("huber"), loss("smoothl1"), 1),
        ("regression", loss("huber", delta=0.5), loss("smoothl1", beta=0.5), 0.5),
        ("regression", loss("huber", delta=0.5), loss("smoothl1"), None),
        ("regression", loss("barron", alpha=0.0, c=1.0), loss("cauchy", c=2**0.5), 1),
        ("regression", loss("sum", terms="2*mse"), loss("mse"), 2),
        ("regression", loss("sum", terms="mse + l1"), loss("sum", terms="2*l1 + 2*mse"), 0.5),
        ("regression", loss("sum", terms="mse + l1"), loss("sum", terms="mse + 2*l1"), None),
        ("bbox", loss("sum", terms="5*box_l1 + 2*giou"), loss("detr"), 1),
        ("bbox", loss("wise_iou", version="v1", alpha=1.5), loss("wise_iou", version="v2", gamma=0.0), 1),
        ("multiclass", loss("symmetric_ce", alpha=0.5, beta=0.0), loss("cross_entropy"), 0.5),
        ("multiclass", loss("symmetric_ce", alpha=2.0), loss("poly1", epsilon=9.210340371976182 / 2), 2),
        ("multiclass", loss("reverse_ce"), loss("mae"), 9.210340371976182 / 2),
        ("multiclass", loss("asymmetric_single_label", gamma_neg=0.0), loss("cross_entropy", label_smoothing=0.1), 1),
        ("multiclass", loss("asymmetric_single_label", gamma_neg=0.0), loss("cross_entropy"), None),
        (
            "multiclass",
            loss("focal", gamma=0.0, class_weights=[1.0, 2.0]),
            loss("cross_entropy", class_weights=[1.0, 2.0]),
            1,
        ),
        ("multiclass", loss("focal", gamma=0.0, class_weights=[1.0, 2.0]), loss("cross_entropy"), None),
        ("binary", loss("soft_margin"), loss("bce_with_logits"), 1),
        ("binary", loss("sigmoid"), loss("mae"), 0.5),
        ("binary", loss("savage"), loss("brier"), 0.5),
    ],
)
def test_which_losses_are_one(task: str, one: dict, other: dict, factor: float | None) -> None:
    found = identities.factor(identities.canonical(one, task), identities.canonical(other, task))
    assert found == (factor if factor is None else pytest.approx(factor))


@pytest.mark.slow
def test_reports_say_which_losses_are_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    brief = ["data.rows=200", "trainer=cpu", "trainer.max_epochs=1", "logger=none", "hydra.sweep.dir=out"]
    assert train.train(["-m", "loss=huber,smoothl1,mse,expectile,l1", "seed=0,1", *brief]) == 0
    capsys.readouterr()
    assert main.main(["report", "out"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for text in (printed, (tmp_path / "out/report.md").read_text(), (tmp_path / "out/report.html").read_text()):
        plain = re.sub(r"<[^>]+>|`", "", text)
        assert "huber and smoothl1 are the same loss; their runs differ by rounding only." in plain
        assert "mse are the same loss up to a factor, which has the effect of another learning rate" in plain
        assert plain.count("the same loss") == 2, "l1 is another"


def test_records_of_a_tuned_study_are_one_only_where_their_hyperparameters_are() -> None:
    def record(name: str, **params: float) -> Any:
        return SimpleNamespace(task="regression", config={"loss": loss(name, **params)})

    parts = [
        ("tuned", "huber", "clean", record("huber", delta=0.3)),
        ("tuned", "smoothl1", "clean", record("smoothl1", beta=0.3)),
        ("tuned", "huber", "noisy", record("huber", delta=0.3)),
        ("tuned", "smoothl1", "noisy", record("smoothl1", beta=0.4)),
        *[("shared", name, setting, record(name)) for name in ("huber", "smoothl1") for setting in ("clean", "noisy")],
    ]
    [sentence] = checks.same(parts)
    assert sentence.startswith("At the shared rate `huber` and `smoothl1` are the same loss; ")


def test_records_of_losses_that_are_there_no_more_are_reported_all_the_same() -> None:
    old = SimpleNamespace(task="bbox", config={"loss": {"name": "sum", "terms": "2*gone + mse"}})
    without = SimpleNamespace(task="bbox", config={"loss": {"name": "gaussian_kld", "tau": 1.0}})
    assert checks.same([("asked", "sum", "all", old), ("asked", "gaussian_kld", "all", without)]) == []


@pytest.mark.parametrize(
    ("name", "says"), [("huber", "huber = delta * smoothl1(beta=delta)"), ("l1", "quantile = 0.5 * l1, when tau = 0.5")]
)
def test_a_card_that_is_shown_says_what_is_the_same(name: str, says: str) -> None:
    console = Console(record=True, width=200, file=io.StringIO())
    print_card(entry(name), console)
    assert says in console.export_text()
