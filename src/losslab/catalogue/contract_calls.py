"""The checks of the contract on how a loss can be called: shapes, types, side effects, its batch, stacking."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from losslab.catalogue.contract_inputs import sample
from losslab.catalogue.contract_state import changed_state, state_of
from losslab.catalogue.contract_subject import Finding, Stop, Subject
from losslab.losses import stacking
from losslab.spaces import SPACES


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
