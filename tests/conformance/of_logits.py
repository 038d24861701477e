"""References for losses that read one logit, or one probability, as the odds of yes."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mpmath import exp, log, mpf
from torch import Tensor

from conformance.of_classes import each_row, log_softmax
from conformance.of_values import sklearn
from conformance.references import Array, Formula, OnArrays, OnTensors, loaded
from conformance.row import BOTH, over, rows


def _bernoulli(pred: Array, target: Array) -> Array:
    return -loaded("scipy.stats").bernoulli.logpmf(target, pred)


def _bce_slope(pred: Array, target: Array) -> Array:
    return (1 - target) / (1 - pred).clip(1e-300) - target / pred.clip(1e-300)


def _keras_bce(label_smoothing: float) -> OnTensors:
    def function(pred: Tensor, target: Tensor) -> Tensor:
        made = loaded("keras").losses.binary_crossentropy
        return made(target[:, None], pred[:, None], from_logits=True, label_smoothing=label_smoothing)

    return OnTensors("keras", function)


def _weighted_bce(pos_weight: float) -> OnTensors:
    weight = torch.tensor(pos_weight, dtype=torch.float64)

    def function(pred: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(pred, target, pos_weight=weight, reduction="none")

    return OnTensors("torch", function)


def _soft_margin(pred: Tensor, target: Tensor) -> Tensor:
    return F.soft_margin_loss(pred, 2 * target - 1, reduction="none")


def _vision_focal(gamma: float, class_weights: tuple[float, ...] = ()) -> OnTensors:
    """Their alpha weighs yes, and 1 - alpha no; -1 is no weight."""
    alpha = class_weights[1] if class_weights else -1
    return OnTensors("torchvision", lambda p, t: loaded("torchvision.ops").sigmoid_focal_loss(p, t, alpha, gamma))


def _kornia_focal(gamma: float) -> OnTensors:
    def function(pred: Tensor, target: Tensor) -> Tensor:
        made = loaded("kornia.losses").binary_focal_loss_with_logits
        return made(pred[:, None], target[:, None], alpha=None, gamma=gamma)

    return OnTensors("kornia", function)


def _timm_asymmetric(gamma_pos: float, gamma_neg: float, clip: float) -> OnTensors:
    def one(pred: Tensor, target: Tensor) -> Tensor:
        made = loaded("timm.loss").AsymmetricLossMultiLabel(gamma_neg=gamma_neg, gamma_pos=gamma_pos, clip=clip)
        return made(pred[:, None], target[:, None])

    return OnTensors("timm", each_row(one))


def _asymmetric(gamma_pos: float, gamma_neg: float, clip: float, gradient: str = "full") -> Formula:
    def loss(p: Any, t: Any, held: Any) -> mpf:
        log_not, log_p = log_softmax(p)
        fixed_not, fixed = log_softmax(held if gradient == "held" else p)
        shifted, fixed = (max(exp(one) - mpf(clip), mpf(0)) for one in (log_p, fixed))
        yes = -(exp(fixed_not) ** mpf(gamma_pos)) * log_p
        no = -(fixed ** mpf(gamma_neg)) * (log(1 - shifted) if clip else log_not)
        return t[0] * yes + (1 - t[0]) * no

    return Formula("Ben-Baruch et al. (2020), ASL", loss)


def _quality(beta: float) -> Formula:
    def loss(p: Any, t: Any, held: Any) -> mpf:
        log_not, log_p = log_softmax(p)
        bce = -t[0] * log_p - (1 - t[0]) * log_not
        return abs(t[0] - exp(log_p)) ** mpf(beta) * bce if beta else bce

    return Formula("Li et al. (2020), quality focal loss", loss)


def _varifocal(alpha: float, gamma: float) -> Formula:
    def loss(p: Any, t: Any, held: Any) -> mpf:
        log_not, log_p = log_softmax(p)
        if t[0] > 0:
            return -t[0] * (t[0] * log_p + (1 - t[0]) * log_not)
        return -mpf(alpha) * exp(mpf(gamma) * log_p) * log_not

    return Formula("Zhang et al. (2021), varifocal loss", loss)


BINARY = "binary_logit"
ASYMMETRIC = "gamma_pos gamma_neg clip"

ROWS = [
    *rows(
        "bce",
        "binary_prob",
        lambda: OnArrays("scipy", _bernoulli, _bce_slope),
        note="logs are held at -100; at p = 0 and 1, where torch's derivative is 0, none is compared; theirs is by hand",
        kinked=True,
        tolerance=1e-9,
    ),
    *rows(
        "soft_margin",
        BINARY,
        lambda: OnTensors("torch", _soft_margin),
        note="their labels are -1 and 1; logits up to 50: theirs overflows at 710",
        reach=60.0,
    ),
    *rows("soft_margin", BINARY, lambda: sklearn("HalfBinomialLoss"), soft=BOTH),
    *rows("bce_with_logits", BINARY, lambda: sklearn("HalfBinomialLoss"), soft=BOTH),
    *rows("bce_with_logits", BINARY, _weighted_bce, over("pos_weight", 0.25, 10.0), BOTH),
    *rows(
        "bce_with_logits",
        BINARY,
        _keras_bce,
        over("label_smoothing", 0.2),
        BOTH,
        note="keras holds the smoothing in 32 bits",
        tolerance=1e-7,
    ),
    *rows("focal", BINARY, _vision_focal, over("gamma", 0.0, 2.0), note="alpha=-1, no weight"),
    *rows(
        "focal",
        BINARY,
        _vision_focal,
        over("gamma class_weights", (2.0, [0.75, 0.25])),
        note="their alpha of 0.25 is class_weights=[0.75, 0.25]",
    ),
    *rows("focal", BINARY, _kornia_focal, over("gamma", 0.5, 2.0), note="alpha=None, no weight"),
    *rows(
        "asymmetric",
        BINARY,
        _timm_asymmetric,
        over(ASYMMETRIC, (1.0, 4.0, 0.05), (0.0, 2.0, 0.0)),
        note="timm computes in 32 bits, and holds p at 1e-8; logits up to 15",
        tolerance=3e-5,
        reach=15.0,
    ),
    *rows(
        "asymmetric",
        BINARY,
        _asymmetric,
        over(ASYMMETRIC, (1.0, 4.0, 0.05), (0.0, 2.0, 0.0), (2.0, 1.0, 0.2)),
        BOTH,
        note="the whole gradient",
    ),
    *rows(
        "asymmetric",
        BINARY,
        _asymmetric,
        over(f"{ASYMMETRIC} gradient", (1.0, 4.0, 0.05, "held"), (0.0, 2.0, 0.0, "held")),
        BOTH,
        note="the factor is held fixed, as in the authors' code by default",
    ),
    *rows("quality_focal", BINARY, _quality, over("beta", 0.0, 1.0, 2.0, 3.5), BOTH),
    *rows("varifocal", BINARY, _varifocal, over("alpha gamma", (0.75, 2.0), (0.25, 0.0)), BOTH),
]
