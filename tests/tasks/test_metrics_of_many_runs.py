"""Metrics computed for many runs at once are those that scikit-learn and torchmetrics give run by run."""

import pytest
import torch
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score
from torch.nn.functional import one_hot
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from losslab import compose
from losslab.metrics.classification import balanced, calibration_error, rankings
from losslab.training.prepare import prepare


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("levels", [3, 20, 10**6])  # few levels make many ties
def test_rankings_are_those_of_scikit_learn_ties_included(levels: int) -> None:
    score, labels = (levels * draw(5, 60)).floor(), (draw(5, 60, seed=1) > 0.7).float()
    found = rankings(score, labels)
    for run in range(5):
        assert found["auroc"][run].item() == pytest.approx(roc_auc_score(labels[run], score[run]))
        assert found["average_precision"][run].item() == pytest.approx(average_precision_score(labels[run], score[run]))


@pytest.mark.parametrize("classes", [3, 6])
def test_balanced_accuracy_is_that_of_scikit_learn_with_classes_that_never_occur(classes: int) -> None:
    guess, labels = ((classes * draw(5, 200, seed=seed) ** 2).long() for seed in (0, 1))
    labels[0] = labels[0].clamp(max=classes - 2)  # in one run the last class is not there
    guess[0] = guess[0].clamp(max=classes - 2)
    found = balanced((guess == labels).float(), one_hot(labels, classes))
    for run in range(5):
        assert found[run].item() == pytest.approx(balanced_accuracy_score(labels[run], guess[run]))


@pytest.mark.parametrize(("task", "loss"), [("binary", "bce_with_logits"), ("multiclass", "cross_entropy")])
def test_the_tasks_measure_balanced_accuracy_at_their_guess(task: str, loss: str) -> None:
    run = prepare(compose(f"task={task}", f"loss={loss}", "trainer=cpu"))
    targets = run.rows.targets[:300]
    raw = draw(300, run.task.outputs, seed=4) - 0.3
    guess = raw.argmax(1) if task == "multiclass" else (raw[:, 0] > 0).long()
    found = run.task.evaluate(raw, targets)["balanced_accuracy"]
    assert found == pytest.approx(balanced_accuracy_score(targets.long(), guess), abs=1e-6)


def test_calibration_error_is_that_of_torchmetrics() -> None:
    stated, labels = draw(5, 200), (draw(5, 200, seed=1) > 0.4).float()
    logits, classes = (
        4 * draw(5, 200, 6, seed=2),
        torch.randint(6, (5, 200), generator=torch.Generator().manual_seed(3)),
    )
    confidence, guess = logits.softmax(-1).max(-1)
    yes_or_no, of_guess = calibration_error(stated, labels), calibration_error(confidence, (guess == classes).float())
    for run in range(5):
        torch.testing.assert_close(yes_or_no[run], binary_calibration_error(stated[run], labels[run].long(), n_bins=15))
        expected = multiclass_calibration_error(logits[run].softmax(-1), classes[run], 6, n_bins=15)
        torch.testing.assert_close(of_guess[run], expected)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["regression", "counts", "multiclass", "binary", "bbox"])
def test_a_run_among_others_has_the_metrics_that_it_has_alone(task: str) -> None:
    run = prepare(compose(f"task={task}", "trainer=cpu"))
    rows = run.split["val"]
    raw = torch.stack([run.model(run.rows.inputs[rows]).detach() * size for size in (1.0, 3.0, float("nan"))])
    targets = run.rows.targets[rows]
    found = run.task.evaluate_all(raw, torch.stack([targets] * 3))
    for one, metrics in zip(raw, found, strict=True):
        assert metrics == pytest.approx(run.task.evaluate(one, targets), nan_ok=True)
    assert all(value != value for value in found[2].values()), (
        "one run that is not finite leaves the others as they are"
    )
