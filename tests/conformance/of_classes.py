"""References for losses on classes and on yes or no."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from mpmath import exp, findroot, log, mpf
from torch import Tensor

from conformance.of_values import sgd, sklearn
from conformance.row import Formula, OnTensors, Row

CLASS, BINARY = "class_logits", "binary_logit"
COUNTS = [400.0, 30.0, 20.0, 5.0]
CLAMP = "the authors hold p at 1e-7 or more, which is left out"


def _log_softmax(z: Sequence[mpf]) -> list[mpf]:
    top = max(z)
    total = log(sum(exp(each - top) for each in z))
    return [each - top - total for each in z]


Of_p = Callable[[list[mpf], int], mpf]  # a loss from log p of all classes and the label


def _rows(
    loss: str, source: str, of_p: Of_p, params: dict[str, Any], note: str = "", binary: bool = False
) -> list[Row]:
    """A loss on classes, and where it reads a binary logit z the same on the logits (0, z)."""
    rows = [Row(loss, CLASS, Formula(source, lambda z, y, held: of_p(_log_softmax(z), y)), params, note)]
    if binary:
        two = Formula(source, lambda z, y, held: of_p(_log_softmax([mpf(0), z[0]]), int(y)))
        rows.append(Row(loss, BINARY, two, params, "; ".join(filter(None, [note, "of the logits (0, z)"]))))
    return rows


def _focal(log_p: mpf, gamma: float) -> mpf:
    return -((1 - exp(log_p)) ** gamma) * log_p


def _normalized(log_p: list[mpf], y: int, gamma: float = 0.0) -> mpf:
    each = [_focal(one, gamma) if gamma else -one for one in log_p]
    return each[y] / sum(each)


def _rest(log_p: list[mpf], y: int) -> mpf:
    return 1 - exp(log_p[y])


FORMULAS = [
    *(
        row
        for epsilon in (-1.0, 2.0)
        for row in _rows(
            "poly1",
            "Leng et al. (2022)",
            lambda lp, y, e=epsilon: -lp[y] + e * _rest(lp, y),
            {"epsilon": epsilon},
            binary=True,
        )
    ),
    *(
        row
        for order in (1, 2, 6)
        for row in _rows(
            "taylor_ce",
            "Feng et al. (2020)",
            lambda lp, y, n=order: sum(_rest(lp, y) ** i / i for i in range(1, n + 1)),
            {"order": order},
            binary=True,
        )
    ),
    *_rows(
        "brier",
        "Brier (1950)",
        lambda lp, y: sum((exp(one) - (k == y)) ** 2 for k, one in enumerate(lp)),
        {},
        binary=True,
    ),
    *_rows("mae", "Ghosh et al. (2017)", lambda lp, y: 2 * _rest(lp, y), {}, "twice what some code has", binary=True),
    *_rows("reverse_ce", "Wang et al. (2019)", lambda lp, y: 4 * _rest(lp, y), {"log_zero": -4.0}, CLAMP, binary=True),
    *_rows(
        "symmetric_ce",
        "Wang et al. (2019)",
        lambda lp, y: -mpf(0.1) * lp[y] + 4 * _rest(lp, y),
        {"alpha": 0.1, "beta": 1.0, "log_zero": -4.0},
        CLAMP,
        binary=True,
    ),
    *(
        row
        for q in (0.1, 0.7, 1.0)
        for row in _rows(
            "generalized_ce",
            "Zhang and Sabuncu (2018)",
            lambda lp, y, q=q: (1 - exp(q * lp[y])) / q,
            {"q": q},
            CLAMP,
            binary=True,
        )
    ),
    *(
        row
        for gamma in (0.5, 2.0)
        for row in _rows(
            "focal", "Lin et al. (2017)", lambda lp, y, g=gamma: _focal(lp[y], g), {"gamma": gamma}, binary=True
        )
    ),
    *_rows("normalized_ce", "Ma et al. (2020)", _normalized, {}),
    *_rows(
        "normalized_focal",
        "Ma et al. (2020)",
        partial(_normalized, gamma=0.5),
        {"gamma": 0.5},
        "the authors hold (1 - p)^gamma fixed in the gradient",
    ),
    *_rows(
        "nce_rce",
        "Ma et al. (2020)",
        lambda lp, y: 2 * _normalized(lp, y) + 3 * 4 * _rest(lp, y),
        {"alpha": 2.0, "beta": 3.0, "log_zero": -4.0},
        CLAMP,
    ),
    *_rows(
        "nce_mae",
        "Ma et al. (2020)",
        lambda lp, y: 2 * _normalized(lp, y) + 2 * 3 * _rest(lp, y),
        {"alpha": 2.0, "beta": 3.0},
        "with the whole absolute error, of which the authors' code takes half",
    ),
    *_rows(
        "bootstrapped_soft",
        "Reed et al. (2015)",
        lambda lp, y: -mpf(0.7) * lp[y] - (1 - mpf(0.7)) * sum(exp(one) * one for one in lp),
        {"beta": 0.7},
    ),
    *_rows(
        "bootstrapped_hard",
        "Reed et al. (2015)",
        lambda lp, y: -mpf(0.7) * lp[y] - (1 - mpf(0.7)) * max(lp),
        {"beta": 0.7},
    ),
]


def _square(weight: float, height: float) -> Formula:
    def loss(z: Sequence[mpf], y: int, held: Any) -> mpf:
        return (weight * (z[y] - height) ** 2 + sum(one**2 for k, one in enumerate(z) if k != y)) / len(z)

    return Formula("Hui and Belkin (2021)", loss)


def _hinge(margin: float) -> Formula:
    def loss(z: Sequence[mpf], y: int, held: Any) -> mpf:
        return max(mpf(0), margin + max(one for k, one in enumerate(z) if k != y) - z[y])

    return Formula("Crammer and Singer (2001)", loss)


def _margin(source: str, phi: Callable[[mpf], mpf]) -> Formula:
    return Formula(source, lambda z, t, held: phi(z[0] if t else -z[0]))


def _exponential(limit: float) -> Formula:
    def phi(m: mpf) -> mpf:
        return exp(-m) if -m <= limit else exp(mpf(limit)) * (1 - m - limit)

    return _margin("Friedman et al. (2000), with its tangent beyond the limit", phi)


def _tempered(t1: float, t2: float, smoothing: float, binary: bool = False) -> Formula:
    def log_t(x: mpf, t: float) -> mpf:
        return log(x) if t == 1 else (x ** (1 - mpf(t)) - 1) / (1 - mpf(t))

    def exp_t(u: mpf, t: float) -> mpf:
        return exp(u) if t == 1 else max(mpf(0), 1 + (1 - mpf(t)) * u) ** (1 / (1 - mpf(t)))

    def loss(z: Sequence[mpf], y: Any, held: Any) -> mpf:
        z = [mpf(0), z[0]] if binary else z
        top, count = max(z), len(z)
        c = findroot(  # between the two ends the sum of p falls from above 1 to below
            lambda c: sum(exp_t(one - top - c, t2) for one in z) - 1,
            (mpf(0), -log_t(mpf(1) / count, t2)),
            solver="anderson",
            tol=1e-50,
        )
        total = mpf(0)
        for k, one in enumerate(z):
            p = exp_t(one - top - c, t2)
            share = (1 - mpf(smoothing) * count / (count - 1)) * (k == int(y)) + mpf(smoothing) / (count - 1)
            if share:
                total += share * (log_t(share, t1) - log_t(p, t1))
            total -= (share ** (2 - mpf(t1)) - p ** (2 - mpf(t1))) / (2 - mpf(t1))
        return total

    return Formula("Amid et al. (2019)", loss)


def _cross_entropy(of_logits: Callable[[Tensor, Tensor], Tensor], weight: list[float] | None = None) -> OnTensors:
    """torch's cross-entropy of logits that a paper changes."""

    def function(pred: Tensor, target: Tensor) -> Tensor:
        weights = None if weight is None else torch.tensor(weight, dtype=pred.dtype)
        return F.cross_entropy(of_logits(pred, target), target, weight=weights, reduction="none")

    return OnTensors("torch", function)


def _effective(beta: float) -> list[float]:
    """1 / effective number of samples (Cui et al., 2019), with a mean of 1."""
    weights = [(1 - beta) / (1 - beta**count) for count in COUNTS]
    return [len(COUNTS) * one / sum(weights) for one in weights]


def _prior(tau: float) -> Callable[[Tensor, Tensor], Tensor]:
    shares = torch.tensor(COUNTS, dtype=torch.float64) / sum(COUNTS)
    return lambda pred, target: pred + tau * shares.log()


def _ldam(most: float, scale: float) -> Callable[[Tensor, Tensor], Tensor]:
    margins = torch.tensor(COUNTS, dtype=torch.float64) ** -0.25
    margins = margins * most / margins.max()

    def logits(pred: Tensor, target: Tensor) -> Tensor:
        return scale * (pred - F.one_hot(target, len(COUNTS)) * margins)

    return logits


def _forward(matrix: Tensor) -> OnTensors:
    return OnTensors(
        "torch", lambda pred, target: F.nll_loss((pred.softmax(-1) @ matrix).log(), target, reduction="none")
    )


def _kornia_focal(gamma: float) -> OnTensors:
    def function(pred: Tensor, target: Tensor) -> Tensor:
        import kornia.losses

        return kornia.losses.focal_loss(pred, target, alpha=None, gamma=gamma, reduction="none").sum(1)

    return OnTensors("kornia", function)


def _torchvision_focal(gamma: float) -> OnTensors:
    def function(pred: Tensor, target: Tensor) -> Tensor:
        from torchvision.ops import sigmoid_focal_loss

        return sigmoid_focal_loss(pred, target, alpha=-1, gamma=gamma, reduction="none")

    return OnTensors("torchvision", function)


def _timm_single(gamma_pos: float, gamma_neg: float, smoothing: float) -> OnTensors:
    def function(pred: Tensor, target: Tensor) -> Tensor:
        from timm.loss import AsymmetricLossSingleLabel

        return AsymmetricLossSingleLabel(gamma_pos, gamma_neg, smoothing, reduction="none")(pred, target)

    return OnTensors("timm", function)


def _timm_multi(gamma_pos: float, gamma_neg: float, clip: float) -> OnTensors:
    def function(pred: Tensor, target: Tensor) -> Tensor:
        from timm.loss import AsymmetricLossMultiLabel

        loss = AsymmetricLossMultiLabel(gamma_neg=gamma_neg, gamma_pos=gamma_pos, clip=clip, reduction="none")
        return loss(pred[:, None], target[:, None]).flatten()

    return OnTensors("timm", function)


MATRIX = torch.tensor(
    [[0.7, 0.1, 0.1, 0.1], [0.2, 0.6, 0.1, 0.1], [0.1, 0.1, 0.5, 0.3], [0.25] * 4], dtype=torch.float64
)
EVEN = 0.7333333333333333 * torch.eye(4, dtype=torch.float64) + 0.2 / 3
MARGINS = "labels are -1 and 1 there"
ROWS = [
    Row("cross_entropy", CLASS, sklearn("HalfMultinomialLoss", n_classes=4)),
    Row("double_softmax", CLASS, _cross_entropy(lambda pred, target: pred.softmax(-1)), note="of the probabilities"),
    Row("bce_with_logits", BINARY, sklearn("HalfBinomialLoss")),
    Row("bce", "binary_prob", Formula("the Bernoulli distribution", lambda p, t, held: -log(p[0] if t else 1 - p[0]))),
    Row(
        "soft_margin",
        BINARY,
        OnTensors("torch", lambda p, t: F.soft_margin_loss(p, 2 * t - 1, reduction="none")),
        note=MARGINS,
        far=False,
    ),
    Row("soft_margin", BINARY, sklearn("HalfBinomialLoss")),
    *(Row("focal", CLASS, _kornia_focal(gamma), {"gamma": gamma}) for gamma in (0.5, 2.0)),
    *(Row("focal", BINARY, _torchvision_focal(gamma), {"gamma": gamma}, far=gamma > 1) for gamma in (0.5, 2.0)),
    *(
        Row(
            "asymmetric_single_label",
            CLASS,
            _timm_single(*settings),
            dict(zip(("gamma_pos", "gamma_neg", "smoothing"), settings, strict=True)),
        )
        for settings in ((0.0, 4.0, 0.1), (1.0, 2.0, 0.3))
    ),
    *(
        Row(
            "asymmetric",
            BINARY,
            _timm_multi(*settings),
            dict(zip(("gamma_pos", "gamma_neg", "clip"), settings, strict=True)),
            "timm computes in 32 bits and holds p at 1e-8 or more",
            tolerance=2e-5,
            far=False,
        )
        for settings in ((1.0, 4.0, 0.05), (2.0, 2.0, 0.2))
    ),
    *FORMULAS,
    *(Row("square", CLASS, _square(*s), {"weight": s[0], "height": s[1]}) for s in ((1.0, 1.0), (15.0, 30.0))),
    *(Row("hinge", CLASS, _hinge(margin), {"margin": margin}) for margin in (0.5, 1.0)),
    *(Row("hinge", BINARY, sgd("Hinge", margin, signed=True), {"margin": margin}, MARGINS) for margin in (0.5, 1.0)),
    *(
        Row(
            "multi_margin",
            CLASS,
            OnTensors(
                "torch", lambda p, t, m=margin, n=power: F.multi_margin_loss(p, t, p=n, margin=m, reduction="none")
            ),
            {"margin": margin, "power": power},
        )
        for margin in (0.5, 1.0)
        for power in (1, 2)
    ),
    *(Row("squared_hinge", BINARY, sgd("SquaredHinge", m, signed=True), {"margin": m}, MARGINS) for m in (0.5, 1.0)),
    Row("modified_huber", BINARY, sgd("ModifiedHuber", signed=True), note=MARGINS),
    Row("exponential", BINARY, _exponential(5.0), {"limit": 5.0}),
    Row("exponential", BINARY, sklearn("ExponentialLoss"), {"limit": 30.0}, far=False),
    *(
        Row(
            "ramp",
            BINARY,
            _margin("Collobert et al. (2006)", lambda m, c=ceiling: min(max(mpf(0), 1 - m), mpf(c))),
            {"ceiling": ceiling},
        )
        for ceiling in (1.0, 2.0)
    ),
    Row("sigmoid", BINARY, _margin("Ghosh et al. (2015)", lambda m: 1 / (1 + exp(m)))),
    Row(
        "savage",
        BINARY,
        _margin("Masnadi-Shirazi and Vasconcelos (2008)", lambda m: 1 / (1 + exp(m)) ** 2),
        note="of z, not of 2 z",
    ),
    Row("unhinged", BINARY, _margin("van Rooyen et al. (2015)", lambda m: 1 - m)),
    *(
        Row(
            "class_balanced",
            CLASS,
            _cross_entropy(lambda pred, target: pred, _effective(beta)),
            {"counts": COUNTS, "beta": beta},
            "weights with a mean of 1",
        )
        for beta in (0.9, 0.999)
    ),
    *(
        Row(
            "logit_adjusted",
            CLASS,
            _cross_entropy(_prior(tau)),
            {"counts": COUNTS, "tau": tau},
            "logits as Menon et al. (2021) change them",
        )
        for tau in (0.5, 1.0)
    ),
    *(
        Row(
            "ldam",
            CLASS,
            _cross_entropy(_ldam(*s)),
            {"counts": COUNTS, "max_margin": s[0], "scale": s[1]},
            "logits as Cao et al. (2019) change them",
        )
        for s in ((0.5, 1.0), (0.5, 30.0))
    ),
    Row(
        "forward_corrected",
        CLASS,
        _forward(EVEN),
        {"transition": [0.2]},
        "torch's nll_loss of T'p (Patrini et al., 2017)",
    ),
    Row(
        "forward_corrected",
        CLASS,
        _forward(MATRIX),
        {"transition": MATRIX.flatten().tolist()},
        "torch's nll_loss of T'p (Patrini et al., 2017)",
    ),
    *(
        Row(
            "bi_tempered",
            space,
            _tempered(*s, binary=space == BINARY),
            dict(zip(("t1", "t2", "smoothing"), s, strict=True)) | {"iterations": 20},
            tolerance=1e-9,
            far=s[1] == 1.0,
        )
        for space in (CLASS, BINARY)
        for s in ((0.8, 1.2, 0.0), (0.5, 1.5, 0.1), (0.2, 4.0, 0.0), (0.5, 1.0, 0.1))
    ),
]
