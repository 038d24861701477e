"""From a symptom of a training to what to try and why. The text stands in advice.yaml; this reads, finds and formats it.

`losslab advise` prints it, docs/advice.md holds it, and tests hold it to the studies and tests that it names. No torch here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from losslab.errors import BadRequest, nearest

_SOURCE = Path(__file__).with_name("advice.yaml")
_IGNORED = re.compile("a|an|and|are|as|at|by|do|does|for|i|in|is|it|my|of|on|the|to|too|very|with")


@dataclass(frozen=True)
class Claim:
    """What a published study shows of two losses in one setting.

    Attributes:
        study: the folder below experiments/.
        where: the setting in words.
        at: the setting by the ends of its keys, such as {fraction: 0.1}.
        loss: the loss as the study writes it, with its hyperparameters.
        other: the loss that it is compared with, written so too.
        shown: the verdict in the words of the report, such as 'better than `mse` by 1.39 (1.00 to 1.78)'.
        metric: the test metric in words.
        view: metric, epoch or condition where it is not the study's own.
    """

    study: str
    where: str
    at: Mapping[str, Any]
    loss: str
    other: str
    shown: str
    metric: str
    view: Mapping[str, str]

    @property
    def says(self) -> str:
        """The claim as a sentence."""
        return f"{self.where[0].upper()}{self.where[1:]}, by {self.metric}, `{self.loss}` is {self.shown}."


@dataclass(frozen=True)
class Tested:
    """A statement that a test asserts.

    Attributes:
        says: the statement.
        test: the test, FILE::NAME.
        study: the study whose figures the test reads; "" where it computes them itself.
    """

    says: str
    test: str
    study: str = ""


@dataclass(frozen=True)
class Remedy:
    """A cause of a symptom and what to try.

    Attributes:
        cause: the cause, or the case, in a few words.
        tell: how to tell it.
        action: what to do, in a sentence.
        why: the reason.
        losses: losses to try, by the task that they serve.
        commands: commands that can be typed.
        evidence: the claims and tests on which the advice stands.
    """

    cause: str
    tell: str
    action: str
    why: str
    losses: Mapping[str, Sequence[str]]
    commands: Sequence[str]
    evidence: Sequence[Claim | Tested]


@dataclass(frozen=True, eq=False)
class Symptom:
    """What a user sees, the words by which it is found, and its remedies."""

    number: int
    title: str
    words: Sequence[str]
    remedies: Sequence[Remedy]


@cache
def symptoms() -> tuple[Symptom, ...]:
    """All symptoms, in the order of the page."""
    read = yaml.safe_load(_SOURCE.read_text(encoding="utf-8"))
    return tuple(
        Symptom(number, one["title"], one["words"], [_remedy(remedy) for remedy in one["remedies"]])
        for number, one in enumerate(read, 1)
    )


def _remedy(read: Mapping[str, Any]) -> Remedy:
    lists = {"losses": read.get("losses", {}), "commands": read.get("commands", [])}
    return Remedy(**{**read, **lists, "evidence": [_evidence(one) for one in read["evidence"]]})


def _evidence(read: Mapping[str, Any]) -> Claim | Tested:
    return Tested(**read) if "test" in read else Claim(**{"at": {}, "view": {}, **read})


def find(typed: Sequence[str]) -> list[Symptom]:
    """The symptoms that typed words describe best: one, or several that fit equally well.

    A number names one symptom. Of words, those are counted that begin as a word of a symptom does.

    Raises:
        BadRequest: a number that is not there, or words that describe no symptom.
    """
    every = symptoms()
    if len(typed) == 1 and re.fullmatch(r"-?\d+", typed[0]):
        if not 1 <= int(typed[0]) <= len(every):
            raise BadRequest(f"There is no symptom {typed[0]}; they are numbered from 1 to {len(every)}.")
        return [every[int(typed[0]) - 1]]
    words = [word for word in re.findall(r"\w+", " ".join(typed).lower()) if not _IGNORED.fullmatch(word)]
    hits = {symptom: sum(_means(word, symptom) for word in words) for symptom in every}
    best = max(hits.values())
    if not best:
        known = sorted({word for symptom in every for word in symptom.words})
        near = next(filter(None, (nearest(word, known, cutoff=0.7) for word in words)), "")
        raise BadRequest(
            f"No symptom is found by '{' '.join(typed)}'{near}; `losslab advise` lists all, and words that find one are "
            f"{', '.join(symptom.words[0] for symptom in every)}."
        )
    return [symptom for symptom, count in hits.items() if count == best]


def _means(word: str, symptom: Symptom) -> int:
    """How well a typed word fits a symptom: 3 for one of its words, 2 for the beginning of one, 1 for a word of its title, else 0."""
    if word in symptom.words or word.removesuffix("s") in symptom.words:
        return 3
    if len(word) > 3 and any(known.startswith(word) for known in symptom.words):
        return 2
    return int(word in re.findall(r"\w+", symptom.title.lower()))


def loss_words(losses: Mapping[str, Sequence[str]]) -> str:
    """Losses to try in words: '`welsch` or `cauchy` (regression)'."""
    return "; ".join(f"{' or '.join(f'`{loss}`' for loss in names)} ({task})" for task, names in losses.items())


def place(evidence: Claim | Tested) -> list[str]:
    """Where evidence stands in the repository: the page of a study, a test, or both."""
    study = [f"experiments/{evidence.study}/README.md"] if evidence.study else []
    return study + ([evidence.test] if isinstance(evidence, Tested) else [])


def markdown() -> str:
    """The advice as docs/advice.md carries it."""
    made = ["| | what you see |", "|---|---|"]
    made += [f"| {one.number} | [{one.title}](#{_anchor(_heading(one))}) |" for one in symptoms()]
    for symptom in symptoms():
        made += ["", f"## {_heading(symptom)}"]
        for remedy in symptom.remedies:
            made += ["", f"### {remedy.cause}", "", f"**How to tell.** {remedy.tell}", ""]
            made += [f"**Try.** {' '.join(filter(None, [remedy.action, _offered(remedy)]))}", ""]
            made += [*(f"- `{command}`" for command in remedy.commands), *[""] * bool(remedy.commands)]
            made += [f"**Why.** {remedy.why}", "", "**Evidence.**", ""]
            made += [f"- {one.says} ({', '.join(map(_link, place(one)))})" for one in remedy.evidence]
    return "\n".join(made)


def _offered(remedy: Remedy) -> str:
    return f"Losses: {loss_words(remedy.losses)}." if remedy.losses else ""


def _heading(symptom: Symptom) -> str:
    return f"{symptom.number}. {symptom.title}"


def _anchor(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _link(where: str) -> str:
    """A link to a study by its name, or to a test by its name in words."""
    path, _, test = where.partition("::")
    name = test.removeprefix("test_").replace("_", " ") if test else Path(path).parent.name
    return f"{'test' if test else 'study'} [{name}](../{path})"
