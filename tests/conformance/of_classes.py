"""References for losses that read the softmax of logits: cross-entropy and its kin, and those that resist wrong labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mpmath import exp, log, mpf
from torch import Tensor

from conformance.references import Array, Formula, OnArrays, OnTensors, loaded
from conformance.row import BOTH, over, rows

A = math.log(1e-4)
OfLabel = Callable[[Sequence[mpf], int], mpf]  # from log p of each class and a label


def log_softmax(logits: Sequence[mpf]) -> list[mpf]:
    """Log p of each class; a single logit z stands for the two logits 0 and z."""
    logits = [mpf(0), *logits] if len(logits) == 1 else logits
    total = log(sum(exp(z) for z in logits))
    return [z - total for z in logits]


def shares(target: Any, classes: int) -> list[mpf]:
    """A target as shares of the classes: from a label, or from one number, that of yes."""
    if isinstance(target, int):
        return [mpf(target == k) for k in range(classes)]
    return [1 - target[0], target[0]] if len(target) == 1 else target


def of_label(source: str, loss: OfLabel) -> Formula:
    """A formula for a label; under soft targets it is the mean over the labels, which is losslab's convention."""

    def mixed(p: Any, t: Any, held: Any) -> mpf:
        log_p = log_softmax(p)
        return sum(share * loss(log_p, k) for k, share in enumerate(shares(t, len(log_p))) if share)

    return Formula(source, mixed)


def each_row(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A function that only gives a mean or a sum, called for one sample at a time."""
    return lambda pred, target: torch.stack([function(pred[i : i + 1], target[i : i + 1]) for i in range(len(pred))])


def _multinomial() -> OnArrays:
    def loss() -> Any:
        return loaded("sklearn._loss.loss").HalfMultinomialLoss(n_classes=4)

    return OnArrays(
        "scikit-learn",
        lambda p, t: loss().loss(t.astype(float), np.ascontiguousarray(p)),
        lambda p, t: loss().gradient(t.astype(float), np.ascontiguousarray(p)),
        each=False,
    )


def _timm(name: str, **settings: Any) -> Callable[[Tensor, Tensor], Tensor]:
    return each_row(lambda p, t: getattr(loaded("timm.loss"), name)(**settings)(p, t))


def _timm_smoothed(label_smoothing: float) -> OnTensors:
    return OnTensors("timm", _timm("LabelSmoothingCrossEntropy", smoothing=label_smoothing))


def _single(gamma_pos: float, gamma_neg: float, smoothing: float) -> OnTensors:
    made = _timm("AsymmetricLossSingleLabel", gamma_pos=gamma_pos, gamma_neg=gamma_neg, eps=smoothing)
    return OnTensors("timm", made)


def _torch_ce(class_weights: list[float], label_smoothing: float) -> OnTensors:
    weight = torch.tensor(class_weights, dtype=torch.float64)

    def function(pred: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(pred, target, weight=weight, label_smoothing=label_smoothing, reduction="none")

    return OnTensors("torch", function)


def _kornia_focal(gamma: float) -> OnTensors:
    return OnTensors("kornia", lambda p, t: loaded("kornia.losses").focal_loss(p, t, None, gamma).sum(1))


def _keras_gce(q: float) -> OnTensors:
    return OnTensors(
        "keras", lambda p, t: loaded("keras").losses.categorical_generalized_cross_entropy(t, p.softmax(-1), q)
    )


def _brier() -> OnArrays:
    def loss(pred: Array, target: Array) -> list[float]:
        p = torch.from_numpy(pred).softmax(-1).numpy()
        score = loaded("sklearn.metrics").brier_score_loss
        return [
            score([label], row[None], labels=[0, 1, 2, 3], scale_by_half=False)
            for row, label in zip(p, target, strict=True)
        ]

    return OnArrays("scikit-learn", loss, None, each=False)


def _brier_formula(p: Any, t: Any, held: Any) -> mpf:
    log_p = log_softmax(p)
    return sum((exp(one) - share) ** 2 for one, share in zip(log_p, shares(t, len(log_p)), strict=True))


def _absolute(pred: Tensor, target: Tensor) -> Tensor:
    return F.l1_loss(pred.softmax(-1), F.one_hot(target, 4).double(), reduction="none").sum(-1)


def _double_softmax(log_p: Sequence[mpf], y: int) -> mpf:
    return -log_softmax([exp(one) for one in log_p])[y]


def _taylor(order: int) -> OfLabel:
    return lambda log_p, y: sum((1 - exp(log_p[y])) ** i / mpf(i) for i in range(1, order + 1))


def _reverse(log_zero: float) -> OfLabel:
    """-sum_k p_k log t_k, with log 0 = log_zero and log 1 = 0."""
    return lambda log_p, y: -sum(exp(one) * (0 if k == y else mpf(log_zero)) for k, one in enumerate(log_p))


def _share(log_p: Sequence[mpf], y: int) -> mpf:
    return log_p[y] / sum(log_p)


def _focal_share(gamma: float) -> OfLabel:
    def loss(log_p: Sequence[mpf], y: int) -> mpf:
        each = [-((1 - exp(one)) ** mpf(gamma)) * one for one in log_p]
        return each[y] / sum(each)

    return loss


def _focal_share_held(gamma: float, gradient: str) -> Formula:
    def loss(p: Any, t: Any, held: Any) -> mpf:
        factors = [(1 - exp(one)) ** mpf(gamma) for one in log_softmax(held)]
        each = [-factor * one for factor, one in zip(factors, log_softmax(p), strict=True)]
        return sum(share * one for share, one in zip(shares(t, len(each)), each, strict=True)) / sum(each)

    return Formula("Ma et al. (2020), NFL", loss)


def _distance(log_p: Sequence[mpf], y: int) -> mpf:
    return sum(abs(exp(one) - (k == y)) for k, one in enumerate(log_p))


def _plus(a: float, first: OfLabel, b: float, second: OfLabel) -> OfLabel:
    return lambda log_p, y: mpf(a) * first(log_p, y) + mpf(b) * second(log_p, y)


def _poly(epsilon: float) -> Formula:
    return of_label("Leng et al. (2022), Poly-1", _plus(1, _surprise, epsilon, _taylor(1)))


def _surprise(log_p: Sequence[mpf], y: int) -> mpf:
    return -log_p[y]


def _l_q(q: float) -> Formula:
    return of_label("Zhang and Sabuncu (2018), L_q", lambda log_p, y: (1 - exp(mpf(q) * log_p[y])) / mpf(q))


def _focal(gamma: float) -> Formula:
    return of_label("Lin et al. (2017)", lambda log_p, y: -((1 - exp(log_p[y])) ** mpf(gamma)) * log_p[y])


def _symmetric(alpha: float, beta: float, log_zero: float) -> Formula:
    loss = _plus(alpha, _surprise, beta, _reverse(log_zero))
    return of_label("Wang et al. (2019), symmetric cross-entropy", loss)


def _active_reverse(alpha: float, beta: float, log_zero: float) -> Formula:
    return of_label("Ma et al. (2020), NCE + RCE", _plus(alpha, _share, beta, _reverse(log_zero)))


def _active_mae(alpha: float, beta: float) -> Formula:
    return of_label("Ma et al. (2020), NCE + MAE", _plus(alpha, _share, beta, _distance))


CLAMP = "the authors' code holds p at 1e-7 or more, the formula does not"
LOGITS = ("class_logits", "binary_logit")  # a binary logit z counts as the logits 0 and z
WEIGHTS = [0.5, 2.0, 1.0, 4.0]

ROWS = [
    *rows("cross_entropy", LOGITS[0], _multinomial),
    *rows("cross_entropy", LOGITS[0], _timm_smoothed, over("label_smoothing", 0.1), note="LabelSmoothingCrossEntropy"),
    *rows(
        "cross_entropy",
        LOGITS[0],
        lambda: OnTensors("timm", _timm("SoftTargetCrossEntropy")),
        soft=(True,),
        note="SoftTargetCrossEntropy",
    ),
    *rows(
        "cross_entropy",
        LOGITS[0],
        _torch_ce,
        over("class_weights label_smoothing", (WEIGHTS, 0.0), (WEIGHTS, 0.2)),
        BOTH,
    ),
    *rows(
        "double_softmax", LOGITS[0], lambda: of_label("Bridle (1990), the softmax, twice", _double_softmax), soft=BOTH
    ),
    *rows("poly1", LOGITS, _poly, over("epsilon", 1.0, -1.0, 2.5), BOTH),
    *rows(
        "taylor_ce", LOGITS, lambda order: of_label("Feng et al. (2020)", _taylor(order)), over("order", 1, 2, 6), BOTH
    ),
    *rows("brier", LOGITS[0], _brier, note="scale_by_half=False"),
    *rows("brier", LOGITS, lambda: Formula("Brier (1950)", _brier_formula), soft=BOTH, note="soft targets do not mix"),
    *rows(
        "mae", LOGITS[0], lambda: OnTensors("torch", _absolute), note="l1_loss of softmax and one-hot label, added up"
    ),
    *rows(
        "mae",
        LOGITS,
        lambda: of_label("Ghosh et al. (2017)", _distance),
        soft=BOTH,
        note="the sum over the classes, which is 2 (1 - p); some code has 1 - p",
    ),
    *rows(
        "reverse_ce",
        LOGITS,
        lambda log_zero: of_label("Wang et al. (2019), reverse cross-entropy", _reverse(log_zero)),
        over("log_zero", A, -4.0),
        BOTH,
        note=CLAMP,
    ),
    *rows(
        "symmetric_ce", LOGITS, _symmetric, over("alpha beta log_zero", (0.1, 1.0, A), (6.0, 0.1, A)), BOTH, note=CLAMP
    ),
    *rows(
        "generalized_ce",
        LOGITS[0],
        _keras_gce,
        over("q", 0.5, 0.7),
        note="logits up to 50: beyond 700 p is 0 in theirs; keras holds q in 32 bits",
        reach=60.0,
        tolerance=1e-7,
    ),
    *rows("generalized_ce", LOGITS, _l_q, over("q", 0.7, 1.0, 1e-3), BOTH, note=CLAMP),
    *rows("normalized_ce", LOGITS[0], lambda: of_label("Ma et al. (2020), NCE", _share), soft=BOTH),
    *rows(
        "normalized_focal",
        LOGITS[0],
        lambda gamma: of_label("Ma et al. (2020), NFL", _focal_share(gamma)),
        over("gamma", 0.5, 2.0),
        BOTH,
        note="the whole gradient",
    ),
    *rows(
        "normalized_focal",
        LOGITS[0],
        _focal_share_held,
        over("gamma gradient", (0.5, "held"), (2.0, "held")),
        BOTH,
        note="(1 - p)^gamma is held fixed, as in the authors' code",
    ),
    *rows(
        "nce_rce",
        LOGITS[0],
        _active_reverse,
        over("alpha beta log_zero", (1.0, 1.0, A), (1.0, 10.0, A)),
        BOTH,
        note=CLAMP,
    ),
    *rows(
        "nce_mae",
        LOGITS[0],
        _active_mae,
        over("alpha beta", (1.0, 1.0), (1.0, 10.0)),
        BOTH,
        note="mae is 2 (1 - p); the authors' code has 1 - p, so its beta is twice this one",
    ),
    *rows("focal", LOGITS[0], _kornia_focal, over("gamma", 0.0, 2.0), note="alpha=None, added up over the classes"),
    *rows("focal", LOGITS, _focal, over("gamma", 0.5, 2.0, 5.0), BOTH),
    *rows(
        "asymmetric_single_label",
        LOGITS[0],
        _single,
        over("gamma_pos gamma_neg smoothing", (0.0, 4.0, 0.1), (1.0, 4.0, 0.1), (2.0, 2.0, 0.0)),
    ),
]
