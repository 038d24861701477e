"""Estimators of scikit-learn's kind that train a small model under a loss: LossRegressor and LossClassifier.

For pipelines and cross-validation. `losslab.compare` says which loss to take; these train with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from torch import Tensor

from losslab import losses, models, tasks
from losslab.data import Data
from losslab.errors import BadRequest
from losslab.schema import canonical, compatibility
from losslab.training import optimizers
from losslab.training.batches import Batches

_WHOLE = 200  # rows up to which a step takes all of them
_BATCH = 64
_STEPS, _PASSES = 300, 10


class _Base(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """What both share: inputs standardised by the training rows, and some steps of an optimizer on a small model."""

    def __init__(
        self,
        loss: str = "",
        *,
        loss_params: Mapping[str, Any] | None = None,
        model: str = "mlp",
        model_params: Mapping[str, Any] | None = None,
        optimizer: str = "adam",
        lr: float = 0.003,
        weight_decay: float = 0.0,
        steps: int | None = None,
        batch_size: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.loss = loss
        self.loss_params = loss_params
        self.model = model
        self.model_params = model_params
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.steps = steps
        self.batch_size = batch_size
        self.random_state = random_state

    def _train(self, X: NDArray[Any], targets: Tensor, names: tuple[str, ...], task: str, weights: Any) -> None:
        """Fits `model_` to rows of X whose weight is above 0. Always in float64, so that results do not depend on their type."""
        asked = canonical.component("loss", self.loss or _DEFAULTS[task], self.loss_params or {})
        if misfit := compatibility.misfits(task, asked):
            raise BadRequest(
                f"The loss '{misfit[0]}' does not serve task '{task}'; see losslab.losses.names('{task}')."
            )
        if any(number is not None and number < 1 for number in (self.steps, self.batch_size)):
            raise BadRequest("steps and batch_size must be 1 or more.")
        kept = torch.tensor(weights > 0)
        if not kept.any():
            raise BadRequest("All sample weights are 0, so there is nothing to learn from.")
        share, targets = torch.tensor(weights, dtype=torch.float64)[kept], targets[kept]
        inputs = torch.tensor(np.asarray(X, dtype=np.float64))[kept]
        self._mean = (share[:, None] * inputs).sum(0) / share.sum()
        self._std = ((share[:, None] * (inputs - self._mean) ** 2).sum(0) / share.sum()).sqrt().clamp(min=1e-12)
        inputs = self._standardised(inputs)
        seed = int(check_random_state(self.random_state).randint(2**31))
        self.task_ = tasks.build({"name": task}, Data(inputs, targets, names, "table")).double()
        self.task_.check_targets(targets)
        self.task_.calibrate(targets, share)
        wanted = canonical.component("model", self.model, self.model_params or {})
        model = models.build(wanted, inputs.shape[1:], self.task_.outputs, seed, len(inputs))
        self.model_ = models.with_heads(model, compatibility.heads(task, asked)).double()
        self._descend(losses.for_task(task, asked).double(), inputs, targets, share, seed)

    def _descend(self, loss: losses.Sum, inputs: Tensor, targets: Tensor, share: Tensor, seed: int) -> None:
        in_spaces = {space: self.task_.target_as(space, targets, inputs.dtype) for space in loss.spaces}
        for term in loss.each():
            term.calibrate(in_spaces[term.space], self.task_.outputs)
        settings = canonical.component("optimizer", self.optimizer, {"lr": self.lr, "weight_decay": self.weight_decay})
        size = min(self.batch_size or (len(inputs) if len(inputs) <= _WHOLE else _BATCH), len(inputs))
        batches = Batches(torch.arange(len(inputs)), size, seed)
        self.n_iter_ = int(self.steps or max(_STEPS, _PASSES * batches.steps))
        built, _ = optimizers.build(settings, self.model_.parameters(), self.n_iter_, loss.parameters())
        self.model_.train()
        order = batches.order(0)
        for step in range(self.n_iter_):
            epoch, number = divmod(step, batches.steps)
            order = batches.order(epoch) if number == 0 else order
            rows = order[number * size : (number + 1) * size]
            raw = self.model_(inputs[rows])
            preds = {space: self.task_.prediction(space, raw) for space in loss.spaces}
            value = loss.mean_loss(preds, {space: target[rows] for space, target in in_spaces.items()}, share[rows])
            if not torch.isfinite(value):
                raise BadRequest(f"The training diverged at step {step + 1}; try a lower lr than {self.lr:g}.")
            built.zero_grad()
            value.backward()
            built.step()
        self.model_.eval()

    def _standardised(self, inputs: Tensor) -> Tensor:
        return (inputs - self._mean) / self._std

    @torch.no_grad()
    def _raw(self, X: Any) -> Tensor:
        """Raw outputs of the trained model, [n, outputs]."""
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype="numeric")
        found: Tensor = self.model_(self._standardised(torch.tensor(np.asarray(rows, dtype=np.float64))))
        return found


class LossRegressor(RegressorMixin, _Base):  # type: ignore[misc]
    """A small model for numbers, trained under a loss of losslab.

    Inputs are standardised. Losses read targets in robust spreads from their median, so `delta` and its like mean the same for
    every target; predictions are in the target's own units.

    Args:
        loss: name of a loss; by default mse. Those for counts, such as poisson_nll, give predictions that are never negative.
        loss_params: its hyperparameters; defaults for those that are left out.
        model, model_params: name of a model and its settings, such as {"hidden": [32]} of an mlp.
        optimizer, lr, weight_decay: of the training.
        steps: of the optimizer; by default 300, or ten passes over the rows where that is more.
        batch_size: rows of a step; by default all of up to 200 rows, else 64.
        random_state: a number, or a numpy.random.RandomState, for the initial weights and the order of rows.

    Attributes:
        model_: the trained torch.nn.Module.
        n_features_in_: columns of X.
        n_iter_: steps that were done.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> LossRegressor("huber", random_state=0).fit(X, y).score(X, y) > 0.5
    True
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LossRegressor:
        """Trains on X [n, features] and y [n] or [n, D]; `sample_weight` [n]: how much a row counts in the loss.

        Raises BadRequest, a ValueError, for a loss that does not fit, settings out of range, or a training that diverges.
        """
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True, dtype="numeric")
        weights = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        targets = torch.tensor(np.asarray(y, dtype=np.float64)).reshape(len(y), -1)
        name = canonical.component("loss", self.loss or "mse", self.loss_params or {})
        fits = [task for task in ("regression", "counts") if not compatibility.misfits(task, name)]
        task = fits[0] if fits else "regression"
        self._flat = y.ndim == 1
        names = tuple(f"y{column}" for column in range(targets.shape[1]))
        self._train(X, targets, names, task, weights)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Predictions [n], or [n, D] where y had D columns."""
        raw = self._raw(X)
        task: Any = self.task_  # regression or counts
        found: NDArray[Any] = task.in_units(raw).numpy()
        return found[:, 0] if self._flat else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class LossClassifier(ClassifierMixin, _Base):  # type: ignore[misc]
    """A small model for classes, trained under a loss of losslab.

    Two classes are one logit where the loss can read that, such as focal and bce_with_logits; else each class has a logit.

    Args:
        loss: name of a loss; by default cross-entropy, for two classes with logits (bce_with_logits).
        loss_params: its hyperparameters; defaults for those that are left out.
        model, model_params: name of a model and its settings, such as {"hidden": [32]} of an mlp.
        optimizer, lr, weight_decay: of the training.
        steps: of the optimizer; by default 300, or ten passes over the rows where that is more.
        batch_size: rows of a step; by default all of up to 200 rows, else 64.
        random_state: a number, or a numpy.random.RandomState, for the initial weights and the order of rows.
        class_weight: None; "balanced", so that all classes count the same; or a weight for each class.

    Attributes:
        classes_: the labels, sorted.
        model_: the trained torch.nn.Module.
        n_features_in_: columns of X.
        n_iter_: steps that were done.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> LossClassifier("focal", loss_params={"gamma": 1.0}, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    def __init__(
        self,
        loss: str = "",
        *,
        loss_params: Mapping[str, Any] | None = None,
        model: str = "mlp",
        model_params: Mapping[str, Any] | None = None,
        optimizer: str = "adam",
        lr: float = 0.003,
        weight_decay: float = 0.0,
        steps: int | None = None,
        batch_size: int | None = None,
        random_state: Any = None,
        class_weight: Any = None,
    ) -> None:
        super().__init__(
            loss,
            loss_params=loss_params,
            model=model,
            model_params=model_params,
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            steps=steps,
            batch_size=batch_size,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LossClassifier:
        """Trains on X [n, features] and labels y [n]; `sample_weight` [n]: how much a row counts in the loss.

        Raises BadRequest, a ValueError, for a loss that does not fit, settings out of range, one class, or a training that
        diverges.
        """
        X, y = validate_data(self, X, y, dtype="numeric")
        check_classification_targets(y)
        weights = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        self.classes_, places = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise BadRequest(f"All targets have one class, {self.classes_[0]!r}; a classifier needs two or more.")
        if self.class_weight is not None:
            weights = (
                weights
                * compute_class_weight(self.class_weight, classes=self.classes_, y=y, sample_weight=weights)[places]
            )
        task = "multiclass"
        if len(self.classes_) == 2:
            asked = canonical.component("loss", self.loss or _DEFAULTS["binary"], self.loss_params or {})
            task = "multiclass" if compatibility.misfits("binary", asked) else "binary"
        targets = torch.tensor(places, dtype=torch.float64 if task == "binary" else torch.int64)
        self._train(X, targets, tuple(map(str, self.classes_)), task, weights)
        return self

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """The probability of each class, [n, K], in the order of `classes_`."""
        raw = self._raw(X)
        if raw.shape[1] == 1:
            yes = raw[:, 0].sigmoid()
            return torch.stack([1 - yes, yes], 1).numpy()
        return raw.softmax(1).numpy()

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each row, [n]."""
        chosen = self.predict_proba(X).argmax(1)
        found: NDArray[Any] = self.classes_[chosen]
        return found


_DEFAULTS = {"regression": "mse", "counts": "poisson_nll", "binary": "bce_with_logits", "multiclass": "cross_entropy"}
