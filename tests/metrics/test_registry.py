"""Each metric is stated once: its direction, unit and words without torch, its function in the registry."""

import pytest
import torch

from losslab import compose
from losslab.metrics import METRICS
from losslab.schema import cards, metric_facts
from losslab.training.prepare import prepare


def test_every_metric_has_facts_and_a_function() -> None:
    assert METRICS.keys() == metric_facts.METRICS.keys()
    assert {name for task in cards.names("task") for name in cards.metrics(task)} == METRICS.keys()
    for name, facts in metric_facts.METRICS.items():
        assert facts.better in ("min", "max"), name
        assert facts.unit, name
        assert facts.words, name


@pytest.mark.parametrize("task", cards.names("task"))
def test_the_better_direction_is_that_of_better_predictions(task: str) -> None:
    parts = prepare(compose(f"task={task}", "trainer=cpu", "corruption=none"))
    rows = parts.split["test"][:60]
    targets = parts.rows.targets[rows]
    raw = parts.model(parts.rows.inputs[rows]).detach()
    near, far = (parts.task.evaluate(outputs, targets) for outputs in (best(task, parts, targets, raw), raw))
    assert list(near) == list(cards.metrics(task))
    for name, better in cards.metrics(task).items():
        assert near[name] <= far[name] if better == "min" else near[name] >= far[name], name


def best(task: str, parts: object, targets: torch.Tensor, raw: torch.Tensor) -> torch.Tensor:
    """Raw outputs of a model that knows the targets."""
    of = parts.task  # type: ignore[attr-defined]
    if task == "multiclass":
        return 20.0 * of.label_shares(targets)
    if task == "binary":
        return (40 * targets - 20)[:, None]
    if task == "ordinal":
        return 40.0 * (targets[:, None] > torch.arange(of.classes - 1)) - 20
    if task in ("multilabel", "segmentation"):
        return (40 * targets - 20).flatten(1)
    if task == "quantiles":  # inside a narrow interval at nine targets in ten
        exact = ((targets - of.centre) / of.spread).unsqueeze(-1).expand(*targets.shape, len(of.levels)).clone()
        exact[::10] += 1.0
        return (exact + 1e-3 * torch.linspace(-1, 1, len(of.levels))).flatten(1)
    if task == "bbox":
        low, high = targets.chunk(2, -1)
        return torch.cat([(low + high) / 2, high - low], -1).logit(1e-6)
    return (targets.clamp(min=1e-6) / of.mean).log() if task == "counts" else (targets - of.centre) / of.spread
