"""Which losses are the same under another name: the identities that cards state, and what follows of the losses of a comparison.

A card states under `about` a list `identities`. Each is an expression of other losses and of its own hyperparameters, such as
"delta * smoothl1(beta=delta)", or such an expression with conditions:
    is: the expression, with + and *, / and **, sqrt, and `classes`, the number of classes.
    when: values of hyperparameters for which it holds, or names of others that they equal.
    space: the one space for which it holds.
    labels: hard, where it does not hold for soft or smoothed labels.
Nothing here imports torch.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from losslab import errors
from losslab.schema import canonical as schema_canonical
from losslab.schema import cards, compatibility

Term = tuple[float, dict[str, Any]]  # weight, and a loss with all hyperparameters
_SIGNS = {ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: operator.pow}
_CLASSES = 1e-3 * math.pi  # stands for a number that is not known here


@dataclass(frozen=True)
class Identity:
    """One identity of a card; see above."""

    text: str
    when: Mapping[str, Any]
    space: str | None
    hard: bool

    def holds(self, loss: Mapping[str, Any], space: str | None) -> bool:
        """Whether it holds for a loss with these hyperparameters in a space."""
        wanted = {
            key: loss[value] if isinstance(value, str) and value in loss else value for key, value in self.when.items()
        }
        hard = not (self.hard and loss.get("label_smoothing"))
        return hard and self.space in (None, space) and all(_near(loss[key], value) for key, value in wanted.items())

    def names_loss(self, name: str) -> bool:
        """Whether the expression holds a loss."""
        return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(ast.parse(self.text)))

    @property
    def in_words(self) -> str:
        """The identity in words: "0.5 * l1, when tau = 0.5"."""
        when = [f"{key} = {value}" for key, value in self.when.items()]
        conditions = [f"when {' and '.join(when)}"] if when else []
        conditions += [f"on {self.space}"] if self.space else []
        conditions += ["for hard labels"] if self.hard else []
        return ", ".join([self.text, *conditions])


def of(name: str) -> list[Identity]:
    """The identities that the card of a loss states."""
    entries = cards.card("loss", name).about.get("identities", [])
    parts: list[dict[str, Any]] = [{"is": entry} if isinstance(entry, str) else entry for entry in entries]
    return [
        Identity(part["is"], part.get("when", {}), part.get("space"), part.get("labels") == "hard") for part in parts
    ]


def terms(text: str, params: Mapping[str, Any], classes: float = _CLASSES) -> list[Term]:
    """What an expression stands for under hyperparameters: losses with their weights, and their own hyperparameters filled in."""
    known = {**params, "classes": classes}

    def value(node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.UnaryOp):
            return -value(node.operand)
        if isinstance(node, ast.Name) and node.id in known:
            return known[node.id]
        if isinstance(node, ast.Name):
            return _loss(node.id, {})
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "sqrt":
                return math.sqrt(value(node.args[0]))
            return _loss(node.func.id, {str(keyword.arg): value(keyword.value) for keyword in node.keywords})
        if isinstance(node, ast.BinOp):
            left, right = value(node.left), value(node.right)
            if isinstance(node.op, ast.Add):
                return left + right
            if isinstance(right, list):
                return [(left * weight, loss) for weight, loss in right]
            return _SIGNS[type(node.op)](left, right)
        raise ValueError(f"The identity '{text}' cannot be read.")

    found: list[Term] = value(ast.parse(text, mode="eval").body)
    return found


def _loss(name: str, params: Mapping[str, Any]) -> list[Term]:
    return [(1.0, {"name": name} | schema_canonical.check_hyperparameters(name, params))]


def canonical(loss: Mapping[str, Any], task: str) -> dict[str, float]:
    """A loss as a task trains it, written as a sum of losses that have no other name: key -> weight."""
    found: dict[str, float] = {}
    todo = [(weight, dict(term)) for weight, term in compatibility.terms(loss)]
    while todo:
        weight, term = todo.pop()
        card = cards.card("loss", term["name"])
        term = card.values | card.about.get("before", {}) | term  # of an old record
        options = {key: term[key] for key in cards.options("loss") if key in term}
        space = compatibility.space(task, term["name"])
        for identity in of(term["name"]):
            if not identity.holds(term, space):
                continue
            others = [(part, other | _asked(options)) for part, other in terms(identity.text, term)]
            if all(compatibility.space(task, other["name"]) and _key(other) != _key(term) for _, other in others):
                todo += [(weight * part, other) for part, other in others if part]
                break
        else:
            found[_key(term)] = found.get(_key(term), 0.0) + weight
    return {key: weight for key, weight in sorted(found.items()) if abs(weight) > 1e-12}


def _asked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that do something."""
    return {key: value for key, value in options.items() if value != cards.options("loss")[key]}


def _key(loss: Mapping[str, Any]) -> str:
    nothing = cards.options("loss")
    kept = {key: value for key, value in loss.items() if not (key in nothing and value == nothing[key])}
    shown = [
        f"{key}={value:.9g}" if isinstance(value, float) else f"{key}={value}" for key, value in sorted(kept.items())
    ]
    return " ".join(shown)


def factor(one: Mapping[str, float], other: Mapping[str, float]) -> float | None:
    """By how much the first of two canonical losses is the other, if it is; None where they are two losses."""
    if one.keys() != other.keys() or not one:
        return None
    first, *rest = (weight / other[key] for key, weight in one.items())
    return first if first > 0 and all(_near(first, ratio) for ratio in rest) else None


def same(losses: Mapping[str, Sequence[Mapping[str, Any]]], task: str) -> list[dict[str, float]]:
    """Groups of labels that are one loss: label -> by how much it is the first of its group.

    losses: for each label the losses it stood for, setting by setting; two labels are one loss if they are so in each.
    """
    forms = {label: [_form(loss, task) for loss in each] for label, each in losses.items()}
    groups: list[dict[str, float]] = []
    for label, each in forms.items():
        for group in groups:
            first = forms[next(iter(group))]
            factors = [factor(one, other) for one, other in zip(each, first, strict=False)]
            if len(each) == len(first) and factors[0] and all(found and _near(found, factors[0]) for found in factors):
                group[label] = factors[0]
                break
        else:
            groups.append({label: 1.0})
    return [group for group in groups if len(group) > 1]


def _form(loss: Mapping[str, Any], task: str) -> dict[str, float]:
    """The canonical loss; itself, where it or a hyperparameter is not there any more."""
    try:
        return canonical(loss, task)
    except errors.BadRequest:
        return {_key(loss): 1.0}


def _near(one: Any, other: Any) -> bool:
    if isinstance(one, float | int) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)
