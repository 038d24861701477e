"""Metrics that a request names by where they stand: of torchmetrics, and functions of the user's."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from losslab.errors import BadRequest, describe
from losslab.metrics.base import Metric, NotOneNumber, run_by_run
from losslab.schema import metric_references, signatures
from losslab.schema.metric_references import Reference

_ROWS = 12


def build(task: Mapping[str, Any], classes: int = 0) -> dict[str, Metric]:
    """The further metrics of a task's config, by name; `classes`: how many, where targets are classes."""
    return {
        reference.name: _built(reference, task["name"], classes)
        for reference in metric_references.parse(task.get("metrics", ""))
    }


def check(task: Mapping[str, Any], numbers: int = 1, classes: int = 3) -> None:
    """Tries each on made-up predictions of the task, so that one that does not fit is refused before anything is trained.

    Args:
        task: its config.
        numbers: of a target of regression.
        classes: of a target of several classes.

    Raises:
        BadRequest: it fails, or does not give one number.
    """
    if not task.get("metrics"):
        return
    metric_references.of_task(task)  # refuses a name that is taken
    pred, target = _example(task["name"], numbers, classes)
    for name, metric in build(task, classes).items():
        try:
            metric(_Seen(pred[None], target[None]))
        except NotOneNumber as error:
            raise BadRequest(str(error)) from error
        except Exception as error:  # whatever a metric of the user's may raise
            said = describe(error).splitlines()[0].rstrip(".")
            raise BadRequest(
                f"The metric '{name}' cannot be used for task '{task['name']}': for predictions {list(pred.shape)} and targets "
                f"{list(target.shape)} it raises {said}."
            ) from error


class _Seen:
    """Predictions and targets, as `losslab.metrics.Predictions` has them."""

    def __init__(self, pred: Tensor, targets: Tensor) -> None:
        self.pred, self.targets = pred, targets


def _built(reference: Reference, task: str, classes: int) -> Metric:
    found = metric_references.load(reference)
    settings = dict(reference.settings)
    keywords = signatures.keywords(found)
    if reference.of_library:
        known: dict[str, dict[str, Any]] = {
            "binary": {"task": task},
            "multiclass": {"task": task, "num_classes": classes},
            "ordinal": {"task": "multiclass", "num_classes": classes},
            "multilabel": {"task": task, "num_labels": classes},
        }
        given = known.get(task, {})
        settings = {key: value for key, value in given.items() if key in keywords} | settings
    if unknown := [key for key in settings if keywords and key not in keywords and not _open(found)]:
        raise BadRequest(f"task.metrics: '{reference.target}' has no setting '{unknown[0]}'.")

    def metric(pred: Tensor, target: Tensor) -> object:
        if reference.of_library:
            pred, target = _for_library(task, pred, target)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchmetrics warns of memory, at each call
            if isinstance(found, type):
                return found(**settings).to(pred.device)(pred, target)
            return found(pred, target, **settings)

    metric.__name__ = reference.name
    return run_by_run(metric)


def _open(function: Any) -> bool:
    """Whether a function takes any keyword."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return True
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def _for_library(task: str, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """As torchmetrics takes them: classes as whole numbers, and one number a row without an axis of its own."""
    if task in ("binary", "multiclass", "ordinal", "multilabel", "segmentation"):
        return pred, target.long()
    if pred.ndim == 2 and pred.shape[1] == 1:
        return pred[:, 0].contiguous(), target[:, 0].contiguous()
    return pred, target


def _example(task: str, numbers: int, classes: int) -> tuple[Tensor, Tensor]:
    """Predictions and targets of a few rows, every class among them."""
    generator = torch.Generator().manual_seed(0)
    rows = max(_ROWS, 2 * classes)

    def drawn(*shape: int) -> Tensor:
        return torch.rand(rows, *shape, generator=generator)

    if task == "binary":
        return drawn(), torch.arange(rows).remainder(2).float()
    if task == "multilabel":
        return drawn(classes), drawn(classes).round()
    if task == "segmentation":
        return drawn(16), drawn(16).round()
    if task == "quantiles":
        return drawn(numbers, 5).sort(-1).values, drawn(numbers)
    if task in ("multiclass", "ordinal"):
        return drawn(classes).softmax(-1), torch.arange(rows).remainder(classes)
    if task == "bbox":
        boxes = [torch.cat([0.4 * (at := drawn(2)), 0.4 * at + 0.2 + 0.3 * drawn(2)], 1) for _ in range(2)]
        return boxes[0], boxes[1]
    values = (drawn(numbers), drawn(numbers))
    return values if task != "counts" else (values[0] + 0.1, (5 * values[1]).floor())
