"""The contract of a loss, checked from outside: `losslab check NAME` prints what is found.

Losslab's own losses are held to the same by tests/losses/test_contract.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from losslab.catalogue import contract_calls as calls
from losslab.catalogue import contract_state
from losslab.catalogue import contract_values as values
from losslab.catalogue.contract_subject import Finding, Stop, Subject
from losslab.errors import BadRequest, describe
from losslab.losses import trial
from losslab.schema import canonical, cards, compatibility, references, search_space, torch_losses, user_code
from losslab.schema.space_words import WORDS
from losslab.seeding import globals_restored

Kind = Literal["ok", "wrong", "note"]
_CHECKS: Sequence[Callable[[Subject], Iterator[Finding]]] = (
    calls.shape,
    calls.dtype,
    calls.side_effects,
    values.finite,
    values.gradient,
    calls.batch,
    values.minimum,
    values.facts,
    values.settings,
    calls.stacks,
    calls.loops,
)


@dataclass(frozen=True)
class Report:
    """What was found of a loss.

    Attributes:
        name: of the loss.
        spaces: in which it was checked.
        findings: in the order of the checks, each once for all spaces that share it.
    """

    name: str
    spaces: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def right(self) -> bool:
        """Whether nothing is wrong."""
        return not any(finding.kind == "wrong" for finding in self.findings)

    def count(self, kind: Kind) -> int:
        """How many findings are of a kind."""
        return sum(finding.kind == kind for finding in self.findings)


def check(name: str, task: str | None = None, half: bool = False, **hyperparameters: Any) -> Report:
    """Checks a loss: shape, type, gradient, extremes, side effects, stacking, settings, declared facts.

    >>> check("huber").right
    True

    Args:
        name: of a loss, or where one of yours stands: "my_losses.py:andrews".
        task: whose space it is checked in; without it, all spaces that the loss states.
        half: whether bfloat16 and float16 are checked too.
        hyperparameters: values other than the defaults.

    Raises:
        BadRequest: what names no loss or cannot be imported, a sum, or a task that the loss does not fit.
    """
    card = cards.card("loss", name)
    name = str(card.values["name"])
    if "terms" in card.values:
        raise BadRequest(f"'{name}' is a sum; check its terms one by one.")
    before = contract_state.settings_of_torch()
    try:
        spaces = _spaces(name, task)
        findings: list[Finding] = list(_of_card(name, hyperparameters))
        if not any(finding.kind == "wrong" for finding in findings):
            subjects = {space: Subject(name, space, hyperparameters, before) for space in spaces}
            findings += _merged({space: list(_in_space(subject, half)) for space, subject in subjects.items()})
    finally:
        contract_state.set_back(before)
    findings += _notes(name, spaces, task)
    return Report(name, spaces, tuple(findings))


def _spaces(name: str, task: str | None) -> tuple[str, ...]:
    """The spaces in which a loss is checked."""
    about = cards.card("loss", name).about
    if task is not None:
        if task not in cards.names("task"):
            raise BadRequest(f"There is no task '{task}'. Valid: {', '.join(cards.names('task'))}.")
        space = compatibility.space(task, name)
        if space is None:
            raise BadRequest(
                f"The loss '{name}' does not fit task '{task}': it reads {', '.join(about['reads'])}, and the task offers "
                f"{', '.join(cards.card('task', task).about['spaces'])}."
            )
        return (space,)
    if about.get("assumed"):
        working = [
            space
            for space in about["reads"]
            if not trial.why_not(name, space, canonical.check_hyperparameters(name, {}))
        ]
        return tuple(working[:1] or about["reads"][:1])
    return tuple(about["reads"])


@globals_restored()
def _in_space(subject: Subject, half: bool) -> Iterator[Finding]:
    """All checks in one space; what cannot be gone on from ends them."""
    checks = [*_CHECKS, calls.half_precision] if half else _CHECKS
    try:
        for one in checks:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.manual_seed(0)
                try:
                    yield from one(subject)
                except Stop:
                    raise
                except Exception as error:  # a user's own code
                    yield Finding(
                        "wrong",
                        f"raises {describe(error).splitlines()[0].rstrip('.')}",
                        "see the line of your code that does",
                    )
                    return
    except Stop as stop:
        yield stop.finding


def _merged(each: dict[str, list[Finding]]) -> Iterator[Finding]:
    """The findings of several spaces, each once; one that does not hold in all of them names its spaces."""
    found: dict[Finding, list[str]] = {}
    for space, findings in each.items():
        for finding in findings:
            found.setdefault(finding, []).append(space)
    for finding, spaces in found.items():
        on = "" if len(spaces) == len(each) else f"on {', '.join(spaces)}: "
        yield Finding(finding.kind, f"{on}{finding.said}", finding.change)


def _of_card(name: str, hyperparameters: dict[str, Any]) -> Iterator[Finding]:
    """Whether the stated ranges hold the defaults, and the search ranges."""
    try:
        canonical.check_hyperparameters(name, {})
    except BadRequest as error:
        yield Finding(
            "wrong",
            f"its default lies outside of its stated range: {error}".rstrip("."),
            "correct the default or the range",
        )
        return
    canonical.check_hyperparameters(name, hyperparameters)
    try:
        search_space.of_loss(name)
    except BadRequest as error:
        yield Finding(
            "wrong", f"its search range does not fit: {error}".rstrip("."), "correct the search range or the range"
        )


def _notes(name: str, spaces: Sequence[str], task: str | None) -> Iterator[Finding]:
    """What a user should know of a loss that is not wrong."""
    card = cards.card("loss", name)
    if card.shipped:
        return
    own, about = references.short(name), card.about
    found = user_code.load("loss", card.function) if card.function else None
    if same := torch_losses.known(found):
        instead = f"take loss={same.same}, whose card has facts and search ranges"
        yield Finding("note", f"is the same loss as losslab's '{same.same}'", instead)
        return
    if about.get("assumed"):
        how = "" if task else "; --task TASK checks it on what that task gives"
        yield Finding(
            "note",
            f"does not state what it reads, and was checked on {spaces[0]}: {WORDS[spaces[0]].words}{how}",
            f"state it with {own}.reads = '...', or @losslab.register.loss(reads='...') above it",
        )
    settings = {key: value for key, value in card.values.items() if key != "name"}
    for key, value in settings.items():
        if key not in about.get("ranges", {}) and not isinstance(value, bool):
            said = f"{key} states no range, so any value is taken"
            yield Finding("note", said, f"write {own}.ranges = {{'{key}': '{_range_of(value)}'}}")
        if isinstance(value, int) and not isinstance(value, bool) and card.function:
            said = f"{key} takes whole numbers only, as its default is {value}"
            yield Finding("note", said, f"write {key}={value}.0 if fractions are meant")
    tunable = [key for key, value in settings.items() if isinstance(value, float)]
    if settings and not about.get("search"):
        said = "states no search ranges, so that a study tunes the learning rate only"
        how = f"write {own}.search = {{'{tunable[0]}': 'log [0.1, 10]'}}" if tunable else ""
        yield Finding("note", said, how)


def _range_of(default: Any) -> str:
    """An example of a range, for a setting with this default."""
    if isinstance(default, str):
        return f"{default} | other"
    if isinstance(default, list):
        return f"any of {_range_of(default[0])}"
    return "(0, inf)" if default > 0 else "(-inf, inf)"
