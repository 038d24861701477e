"""Metrics by where they stand: of torchmetrics and of a user's file."""

from pathlib import Path

import pytest
import torch
import torchmetrics

from losslab import compose
from losslab.errors import BadRequest
from losslab.metrics import outside
from losslab.schema import check, metric_references
from losslab.training.run import run

OWN = """
def p90(pred, target, q=0.9):
    return (pred - target).abs().flatten().quantile(q)
p90.better = "min"

def share(pred, target):
    return (pred > target).float().mean()

def many(pred, target):
    return (pred - target).abs()
many.better = "min"

def fails(pred, target):
    return pred @ target
fails.better = "max"
"""
QUICK = ("trainer.max_epochs=2", "trainer=cpu", "logger=none")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_metrics.py").write_text(OWN)
    return tmp_path


class Seen:
    def __init__(self, pred: torch.Tensor, targets: torch.Tensor) -> None:
        self.pred, self.targets = pred, targets


@pytest.mark.parametrize(
    ("task", "text", "expected"),
    [
        ("regression", "torchmetrics:MeanAbsolutePercentageError", torchmetrics.MeanAbsolutePercentageError()),
        ("regression", "torchmetrics:PearsonCorrCoef", torchmetrics.PearsonCorrCoef()),
        ("binary", "torchmetrics:F1Score", torchmetrics.F1Score(task="binary")),
        ("binary", "torchmetrics:FBetaScore(beta=2.0)", torchmetrics.FBetaScore(task="binary", beta=2.0)),
        ("multiclass", "torchmetrics:F1Score", torchmetrics.F1Score(task="multiclass", num_classes=3)),
        ("multiclass", "torchmetrics:CohenKappa", torchmetrics.CohenKappa(task="multiclass", num_classes=3)),
        ("counts", "torchmetrics:TweedieDevianceScore(power=1.0, better=min)", torchmetrics.TweedieDevianceScore(1.0)),
    ],
)
def test_each_run_of_a_stack_has_the_value_of_torchmetrics(task: str, text: str, expected: torchmetrics.Metric) -> None:
    examples = [outside._example(task, 1, 3), tuple(part.flip(0) for part in outside._example(task, 1, 3))]
    stacked = Seen(
        torch.stack([examples[0][0], examples[1][0].roll(1, 0)]), torch.stack([examples[0][1], examples[1][1]])
    )
    [metric] = outside.build({"name": task, "metrics": text}, 3).values()
    for value, pred, target in zip(metric(stacked), stacked.pred, stacked.targets, strict=True):
        expected.reset()
        if task in ("binary", "multiclass"):
            target = target.long()
        one = pred if task == "multiclass" else pred.flatten()
        assert value == pytest.approx(float(expected(one, target if task == "multiclass" else target.flatten())))


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("torchmetrics:R2Score", "max"),
        ("torchmetrics:MeanSquaredError", "min"),
        ("torchmetrics:F1Score", "max"),
        ("my_metrics.py:p90", "min"),
        ("my_metrics.py:share(better=max)", "max"),
    ],
)
def test_the_better_direction_is_written_into_the_request(here: Path, text: str, direction: str) -> None:
    made = metric_references.canonical(text)
    assert made.endswith(f"better={direction})")
    assert metric_references.canonical(made) == made
    (here / "my_metrics.py").unlink()  # so what reads a record needs no file
    known = metric_references.of_task({"name": "regression", "metrics": made})
    assert list(known.values())[-1] == direction


def test_a_run_has_it_beside_the_others_with_the_hash_of_its_code(here: Path) -> None:
    asked = (
        "task=regression",
        "data=diabetes",
        "task.metrics='my_metrics.py:p90(q=0.5), torchmetrics:R2Score'",
        *QUICK,
    )
    record = run(compose(*asked), here / "run")
    assert record.metrics["best/test/p90"] == pytest.approx(record.metrics["best/test/median_ae"])
    assert record.metrics["best/test/R2Score"] == pytest.approx(record.metrics["best/test/r2"], abs=1e-5)
    assert "source/metric/my_metrics.py:p90" in record.pairing
    request = compose(*asked)
    before = check.of_user(request)
    (here / "my_metrics.py").write_text(OWN + "\n# changed")
    assert check.of_user(request) != before


@pytest.mark.parametrize(
    ("task", "text", "said"),
    [
        ("regression", "torchmetrics:R2Scor", r"no metric 'R2Scor' \(did you mean 'R2Score'"),
        ("regression", "R2Score", "names metrics as 'torchmetrics:NAME' or 'FILE.py:NAME'"),
        ("regression", "my_metrics.py:p9", "holds no 'p9'"),
        ("regression", "my_metrics.py:share", "is a lower or a higher 'share' better"),
        ("regression", "my_metrics.py:many", "must give one number"),
        ("regression", "my_metrics.py:fails", "cannot be used for task 'regression'.* raises"),
        ("regression", "my_metrics.py:p90(x=1)", "has no setting 'x'"),
        ("regression", "my_metrics.py:p90(better=high)", "better must be min or max"),
        ("regression", "my_metrics.py:p90(0.5)", "is no setting; write key=value"),
        ("regression", "my_metrics.py:p90, my_metrics.py:p90(q=0.5)", "already a metric 'p90'"),
        ("regression", "torchmetrics:F1Score", "cannot be used for task 'regression'"),
        ("multiclass", "torchmetrics:R2Score", "cannot be used for task 'multiclass'"),
        ("regression", "nowhere.py:p90", "no file"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence_before_training(
    here: Path, task: str, text: str, said: str
) -> None:
    with pytest.raises(BadRequest, match=said) as caught:
        compose(f"task={task}", f"task.metrics='{text}'")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_study_compares_by_it(here: Path) -> None:
    from losslab.report.collect import results
    from losslab.study.runner import conduct
    from support.made_up_studies import asked

    study = asked(
        "task.metrics='torchmetrics:R2Score'", "study.metric=R2Score", "study.seeds=2", "study.tuning.trials=2",
        "trainer.max_epochs=1", "study.rates=[tuned]", "study.tuning.seeds=1",
    )  # fmt: skip
    records, _ = conduct(study, here / "study", False)
    made = results(list(records.values()))
    assert (made.metric, made.better) == ("R2Score", "max")
    assert made.runs["value"].notna().all()
