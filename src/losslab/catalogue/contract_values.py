"""The checks of the contract on values and gradients: extremes, pull, minimum, stated facts, hyperparameters."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from losslab.catalogue.contract_inputs import extremes, perfect, sample
from losslab.catalogue.contract_subject import Finding, Stop, Subject, row
from losslab.schema.ranges import ends, inside

_ROWS = 200
_ORDINARY = 1e4  # larger errors than any that training should meet, in spreads of the target


def _probes(subject: Subject) -> Iterator[tuple[Tensor, Tensor]]:
    """Ordinary samples, perfect predictions, and extremes, in float32."""
    yield sample(subject.space, _ROWS, dtype=torch.float32)
    target = sample(subject.space, 20)[1]
    for best in perfect(subject.space, target):
        yield best.float(), target.float() if target.is_floating_point() else target
    yield extremes(subject.space)


def finite(subject: Subject) -> Iterator[Finding]:
    """Values and gradients are finite for finite inputs."""
    wrong: dict[str, str] = {}
    beyond = ""
    for pred, target in _probes(subject):
        each, gradient = subject.with_gradient(pred, target)
        if gradient is None:
            raise Stop(
                Finding(
                    "wrong",
                    "has no gradient",
                    "compute with torch alone: no numpy, .item(), .detach(), .data, torch.no_grad, argmax, round or comparison in the end",
                )
            )
        for what, found in (
            ("gives", each),
            ("has a gradient of", gradient.flatten(1).sum(1) if gradient.ndim > 1 else gradient),
        ):
            for number in (~found.isfinite()).nonzero().flatten().tolist():
                nan = "NaN" if found[number].isnan() else "infinity"
                if subject.space == "values" and (pred[number] - target[number]).abs().max() > _ORDINARY:
                    beyond = beyond or f"{what} {nan} for {row(pred, target, number)}"
                else:
                    wrong.setdefault(what, f"{what} {nan} for {row(pred, target, number)}")
                break
    for what, said in wrong.items():
        yield Finding("wrong", said, _MEND[what])
    if beyond and not wrong:
        yield Finding("note", f"overflows in float32 for errors far beyond any in training: it {beyond}")
    if not wrong and not beyond:
        yield Finding("ok", "losses and gradients are finite, at extremes too")


_MEND = {
    "gives": "keep the arguments of log, sqrt and division away from 0, and take log_softmax, logsigmoid or softplus for logits",
    "has a gradient of": "sqrt, norm and pow have none at 0: add a small number inside; torch.where passes on the NaN of the branch "
    "it does not take, so clamp that branch's argument first",
}


def gradient(subject: Subject) -> Iterator[Finding]:
    """There is a pull wherever the loss is not lowest, and the gradient is that of the value."""
    pred, target = sample(subject.space, _ROWS)
    each, found = subject.with_gradient(pred, target)
    if found is None:
        raise Stop(Finding("wrong", "has no gradient", "compute with torch alone"))
    still = found.flatten(1).abs().amax(1) == 0 if found.ndim > 1 else found == 0
    if bool(still.all()):
        raise Stop(
            Finding(
                "wrong",
                "gradient is 0 everywhere, so nothing is learnt",
                "steps such as round, sign, argmax and comparisons have no gradient; take a smooth function in their place",
            )
        )
    where = _flat(subject) if subject.space == "values" else ""
    flat = bool(where) or bool((still & (each > each.min() + 1e-6)).any())
    stated = {"redescending", "bounded_loss", "bounded_gradient"} & set(subject.facts)
    if where and not {"redescending", "bounded_loss"} & set(subject.facts):
        yield Finding(
            "wrong",
            f"gradient is 0 for {where}, though the loss is not lowest there, so that such samples pull no more",
            "leave clamp away or let the loss grow; if it is meant, state the fact 'redescending'",
        )
    elif where:
        yield Finding("ok", f"gradient is 0 for {where}, as it states")
    elif flat and not stated:
        count = int((still & (each > each.min() + 1e-6)).sum())
        yield Finding("note", f"gradient is 0 for {count} of {_ROWS} random samples whose loss is not lowest")
    else:
        yield Finding("ok", "gradient is there wherever the loss is not lowest")
    if "detached" not in subject.facts:
        yield from _of_value(subject)


def _of_value(subject: Subject) -> Iterator[Finding]:
    pred, target = sample(subject.space)
    try:
        torch.autograd.gradcheck(lambda p: subject.each(p, target), pred.requires_grad_())
    except RuntimeError:  # GradcheckError is one
        yield Finding(
            "wrong",
            "gradient is not that of its value, as finite differences show",
            "leave detach, no_grad and .data away and correct a backward of your own; if a part is held fixed, state the fact 'detached'",
        )
    else:
        yield Finding("ok", "gradient is that of the value (finite differences agree)")


def _flat(subject: Subject) -> str:
    """Where the gradient is 0 although the loss is not lowest, in words; "" where nowhere."""
    errors = torch.linspace(-10, 10, 2001, dtype=torch.float64)[:, None]
    each, found = subject.with_gradient(errors, torch.zeros_like(errors))
    assert found is not None
    still = (found[:, 0].abs() <= 1e-12 * found.abs().max()) & (each > each.min() + 1e-9 * (1 + each.abs().max()))
    stuck = errors[:, 0][still]
    if not len(stuck):
        return ""
    low, high, count = float(stuck.min()), float(stuck.max()), len(stuck)
    positive, negative = stuck[stuck > 0], stuck[stuck < 0]
    if len(positive) and len(negative) and high == 10 and low == -10:
        inner = float(min(positive.min(), -negative.max()))
        return f"|pred - target| > {inner:.3g}"
    if high == 10 and not len(negative):
        return f"pred - target > {low:.3g}"
    if low == -10 and not len(positive):
        return f"pred - target < {high:.3g}"
    return f"{count / len(errors):.0%} of the errors from {low:.3g} to {high:.3g}"


def minimum(subject: Subject) -> Iterator[Finding]:
    """The lowest loss is that of a perfect prediction."""
    pred, target = sample(subject.space, _ROWS)
    best = perfect(subject.space, target)
    if not best or "batchwise" in subject.facts:
        return
    at_best = torch.stack([subject.each(one, target) for one in best]).amin(0)
    elsewhere = subject.each(pred, target)
    lower = elsewhere < at_best - 1e-9 * (1 + at_best.abs())
    if bool(lower.all()):
        yield Finding(
            "wrong",
            "a perfect prediction has a higher loss than any other",
            "check its sign and the order of pred and target",
        )
    elif bool(lower.any()):
        number = int(lower.nonzero()[0])
        yield Finding(
            "note", f"its lowest loss is not at a perfect prediction: it is lower for {row(pred, target, number)}"
        )
    else:
        yield Finding("ok", "lowest for a perfect prediction")


def facts(subject: Subject) -> Iterator[Finding]:
    """What it states of itself holds, as far as random samples tell."""
    broken = []
    pred, target = sample(subject.space, _ROWS)
    if "nonnegative" in subject.facts and bool((subject.each(pred, target) < 0).any()):
        broken.append("nonnegative")
    own_best = "zero_at_target" in subject.facts and subject.space in ("values", "boxes")
    if own_best and bool((subject.each(target.clone(), target) != 0).any()):
        broken.append("zero_at_target")
    if "convex" in subject.facts:
        other = sample(subject.space, _ROWS, seed=1)[0]
        middle, ends_ = (
            subject.each((pred + other) / 2, target),
            (subject.each(pred, target) + subject.each(other, target)) / 2,
        )
        if bool((middle > ends_ + 1e-9 * (1 + ends_.abs())).any()):
            broken.append("convex")
    for fact in broken:
        yield Finding("wrong", f"states that it is {fact}, and is not", "take the fact away, or correct the loss")


def settings(subject: Subject) -> Iterator[Finding]:
    """Each hyperparameter does something, and its whole range can be computed with."""
    pred, target = sample(subject.space, 50)
    for key, default in subject.loss.plain.items():
        if not isinstance(default, float):
            continue
        text = subject.card.about.get("ranges", {}).get(key, "")
        for value in _near_the_ends(text, default):
            try:
                each, found = subject.with_gradient(pred, target, **{key: value})
            except ValueError:  # refused by the loss itself, as where two of them must fit one another
                continue
            if not each.isfinite().all() or found is None or not found.isfinite().all():
                yield Finding(
                    "wrong",
                    f"{key} = {value:g} lies in its range {text} and gives no finite losses and gradients",
                    "narrow the range",
                )
                break
        if not subject.card.shipped and not _matters(subject, key, default, text):
            yield Finding("note", f"{key} changed no loss of 50 random samples", "check that it is used")


def _matters(subject: Subject, key: str, default: float, text: str) -> bool:
    """Whether a much smaller or larger value of a hyperparameter changes a loss."""
    pred, target = sample(subject.space, 50)
    usual = subject.each(pred, target)
    for value in (0.1 * default, 10 * default + 0.1):
        if not text or inside(value, text):
            try:
                if not torch.equal(subject.each(pred, target, **{key: value}), usual):
                    return True
            except ValueError:  # two of them may have to fit one another
                return True
    return False


def _near_the_ends(text: str, default: float) -> list[float]:
    """Values at the ends of a range of numbers, as far as they are finite."""
    if not text or text[0] not in "[(":
        return []
    low, high = ends(text)
    span = min(abs(default - low), abs(high - default), 1.0)
    found = [low if text[0] == "[" else low + 1e-2 * span, high if text[-1] == "]" else high - 1e-2 * span]
    return [value for value in found if abs(value) < 1e6]
