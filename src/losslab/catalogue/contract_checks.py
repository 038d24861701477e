"""The checks of the contract, in their order: each takes a loss and gives what it finds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from losslab.catalogue.contract_inputs import extremes, perfect, sample
from losslab.catalogue.contract_state import changed_state, state_of
from losslab.catalogue.contract_subject import Finding, Stop, Subject, row
from losslab.losses import stacking
from losslab.schema.ranges import ends, inside
from losslab.spaces import SPACES

Check = Callable[[Subject], Iterator[Finding]]
_ROWS = 200
_ORDINARY = 1e4  # larger errors than any that training should meet, in spreads of the target


def shape(subject: Subject) -> Iterator[Finding]:
    """One loss a sample, and not reduced."""
    for rows in (6, 1):
        pred, target = (part[:rows] for part in sample(subject.space, 6))
        try:
            found = subject.raw(pred, target)
        except Exception as error:  # a user's own code
            said = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".")
            given = f"pred {list(pred.shape)} and target {list(target.shape)}"
            raise Stop(
                Finding("wrong", f"raises {said} for {given} ({subject.space})", _change_of_call(subject))
            ) from error
        if not isinstance(found, Tensor):
            raise Stop(
                Finding(
                    "wrong",
                    f"gives a {type(found).__name__} and no tensor",
                    "compute with torch and return the tensor, [N]",
                )
            )
        if found.ndim == 0:
            raise Stop(
                Finding(
                    "wrong",
                    f"reduces: it gives a single number for {rows} sample{'s' * (rows > 1)}",
                    "leave .mean() or .sum() away, so that it gives a loss for each sample, [N]",
                )
            )
        if len(found) != rows or 0 in found.shape:
            raise Stop(
                Finding(
                    "wrong",
                    f"gives the shape {list(found.shape)} for {rows} sample{'s' * (rows > 1)}",
                    "give a loss for each sample, with the samples on the first axis: [N] or [N, ...]",
                )
            )
    if getattr(subject.function, "reduces", False):
        yield Finding(
            "note",
            "gives one number for a batch, so losslab applies it to each sample by itself",
            "reduction='none' is faster",
        )
    yield Finding("ok", "gives one loss a sample")


def _change_of_call(subject: Subject) -> str:
    stated = "" if not subject.card.about.get("assumed") else "; if it reads another space, state it with .reads"
    return f"a loss takes pred and target of this space, for any number of samples{stated}"


def dtype(subject: Subject) -> Iterator[Finding]:
    """The type of the prediction is kept."""
    for given in (torch.float64, torch.float32):
        found = subject.raw(*sample(subject.space, dtype=given))
        if found.dtype != given:
            less = ", so digits are lost" if found.dtype.itemsize < given.itemsize else ""
            yield Finding(
                "wrong",
                f"gives {_type(found.dtype)} for predictions in {_type(given)}{less}",
                "make tensors with dtype=pred.dtype or pred.new_tensor(...), and leave .float() and .double() away",
            )
            return
    yield Finding("ok", "keeps float64 and float32")


def half_precision(subject: Subject) -> Iterator[Finding]:
    """Finite in half precision, in which losslab computes in float32."""
    for given in (torch.bfloat16, torch.float16):
        found = subject.each(*sample(subject.space, dtype=given))
        if not found.isfinite().all() or found.dtype != given:
            yield Finding(
                "wrong", f"is not finite in {_type(given)}", "keep its values below 65504, the largest float16"
            )
            return
    yield Finding("ok", "takes bfloat16 and float16 (computed in float32)")


def side_effects(subject: Subject) -> Iterator[Finding]:
    """Its arguments stay as they are; the same samples have the same loss; nothing outside of it changes."""
    pred, target = sample(subject.space)
    before = pred.clone(), target.clone()
    subject.raw(pred, target)
    for name, now, then in zip(("pred", "target"), (pred, target), before, strict=True):
        if not torch.equal(now, then):
            raise Stop(
                Finding(
                    "wrong",
                    f"changes {name} in place",
                    "leave operations such as clamp_(), -= and indexed assignment on it away",
                )
            )
    pred, target = sample(subject.space)
    generators, state = _generators(), state_of(subject) | subject.before
    first = subject.raw(pred, target)
    drew = _generators() != generators
    second = subject.raw(pred, target)
    if drew:
        yield Finding(
            "wrong",
            "draws random numbers",
            "a loss is a function of its arguments alone; corrupt data with a corruption",
        )
        raise Stop(Finding("note", "the other checks were left out, as they compare its values"))
    if changed := changed_state(subject, state):
        yield Finding(
            "wrong",
            f"changes {changed} while it runs",
            "a loss depends on nothing but its arguments and changes nothing",
        )
    elif not torch.equal(first.nan_to_num(), second.nan_to_num()):
        yield Finding("wrong", "gives another loss when it is called again", "let it keep nothing between calls")
    else:
        yield Finding("ok", "leaves its inputs and all else as they are, and draws no random numbers")


def _generators() -> tuple[object, ...]:
    drawn: Any = np.random.get_state(legacy=True)  # noqa: NPY002  # a user's code may draw from it
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), str(drawn[2]), bytes(drawn[1])


def batch(subject: Subject) -> Iterator[Finding]:
    """Neither the order nor the other samples matter."""
    pred, target = sample(subject.space)
    each = subject.each(pred, target)
    others, targets = pred.clone(), target.clone()
    for number in (0, 1):
        others[number], targets[number] = (part[number] for part in sample(subject.space, seed=9 + number))
    if torch.allclose(subject.each(others, targets)[2:], each[2:], equal_nan=True):
        yield Finding("ok", "the loss of a sample does not depend on the others in its batch")
    elif "batchwise" in subject.facts:
        yield Finding("ok", "the loss of a sample depends on the others in its batch, as it states")
    else:
        yield Finding(
            "wrong",
            "the loss of a sample depends on the others in its batch",
            "take no mean, maximum or norm over axis 0 and broadcast no [N, 1] against [N]; if it is meant, state the fact 'batchwise'",
        )
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    if not torch.allclose(subject.each(pred[order], target[order]), each[order], equal_nan=True):
        yield Finding("wrong", "the order of the samples changes their losses", "treat all rows of a batch alike")


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


def stacks(subject: Subject) -> Iterator[Finding]:
    """Many runs can train as one."""
    found = stacking.of(subject.name, subject.space)
    if found.why_alone:
        reason = found.why_alone.partition(" (")[2].removesuffix(")")
        yield Finding(
            "note",
            f"cannot be traced by torch.vmap, so that its runs train one by one ({reason})",
            "take torch.where for if, and leave .item(), float(), numpy and loops that read values away",
        )
    elif not found.numbers:
        yield Finding(
            "note", "takes plain numbers as settings, so that only runs of one setting share a call in a stack"
        )
    else:
        yield Finding("ok", "stacks: hundreds of runs train as one (torch.vmap traces it)")


class _Counter(TorchDispatchMode):
    """Counts operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
        self.count += 1
        return func(*args, **(kwargs or {}))


def loops(subject: Subject) -> Iterator[Finding]:
    """As many operations for many samples as for few."""
    counts = []
    for rows in (8, 40):
        pred, target = SPACES[subject.space].example(rows, 4, torch.Generator().manual_seed(0))
        with _Counter() as counter:
            subject.raw(pred, target)
        counts.append(counter.count)
    if counts[1] >= counts[0] + 32:
        yield Finding(
            "note",
            f"loops over the samples in Python ({counts[0]} operations for 8 of them, {counts[1]} for 40), which is slow",
            "compute with whole tensors",
        )


def _type(of: torch.dtype) -> str:
    return str(of).removeprefix("torch.")


ALL: tuple[Check, ...] = (
    shape, dtype, side_effects, finite, gradient, batch, minimum, facts, settings, stacks, loops,
)  # fmt: skip
