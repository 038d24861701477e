"""What was done to get the runs of a report, in one paragraph. Names stand in backticks. Read from the records alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from losslab.errors import BadRequest
from losslab.records.record import Record
from losslab.report.command_words import command_of
from losslab.report.formatting import counted, listed, name, percent, span
from losslab.report.protocol import selection
from losslab.report.setting_words import WRONG, changed
from losslab.study.recipe import Study
from losslab.study.trials import dimensions

_OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}
_SIDES = {"symmetric": "on both sides", "one_sided": "on one side", "point_mass": "at one value"}
_MOST = 4  # values that a sentence lists


def paragraph(
    records: Sequence[Record],
    losses: int,
    axes: dict[str, str],
    study: Study | None = None,
    target: str = "",
    epoch: str = "best",
) -> str:
    """What the runs have in common, what differs between them, how they were tuned, and the command.

    Args:
        records: the runs that are compared; those that did not train are left out where others did.
        losses: how many losses are compared.
        axes: from the key of each setting that differs between runs to its words.
        study: of which the runs are; None: a plain sweep.
        target: what is predicted, "" where the data do not name it.
        epoch: whose figures are compared, best or last.
    """
    if not records:
        return ""
    trained = [record for record in records if record.pairing] or list(records)
    what = f"to predict {target} " if target else ""
    parts = [
        f"{'Each of ' + counted(losses, 'loss') if losses > 1 else 'One loss'} was trained {what}on {_all(trained, _data)}",
        f"with the model {_all(trained, lambda record: _component(record, 'model', axes))}",
        _all(trained, lambda record: _component(record, "optimizer", axes)) + _rates(trained, study),
        _count(trained, "trainer.max_epochs", "epoch"),
        f"batches of {_some(_values(trained, 'data.batch_size'))}",
        *_penalties(trained),
    ]
    said = [
        f"{', '.join(filter(None, parts))}; {_corruption(trained, axes)}; {_seeds(records, study)}.",
        _differences(trained, axes),
        _tuning(study) if study and "tuned" in study.rates else "",
        *selection([record for record in trained if record.selection], epoch),
    ]
    if command := (study.command or f"python train.py experiment={study.name}") if study else command_of(records):
        said.append(f"Command: {name(command)}.")
    return " ".join(filter(None, said))


def _data(record: Record) -> str:
    asked = record.config["data"]
    called = Path(str(asked["path"])).name if asked.get("path") else str(asked["name"])
    parts = record.data.get("rows_in") or {}
    rows = [
        f"{parts[part]:,} {word}"
        for part, word in (("train", "train"), ("val", "validation"), ("test", "test"))
        if part in parts
    ]
    return name(called) + (f" ({sum(parts.values()):,} rows: {', '.join(rows)})" if rows else "")


def _component(record: Record, group: str, axes: dict[str, str]) -> str:
    """A model or an optimizer, with what differs from its card and is not said elsewhere."""
    asked = record.config[group]
    other = changed(group, asked, said=("lr", *_keys(group, axes)))
    called = _OPTIMIZERS.get(asked["name"]) if group == "optimizer" else None
    return (called or name(str(asked["name"]))) + (f" ({', '.join(other)})" if other else "")


def _keys(group: str, axes: dict[str, str]) -> list[str]:
    return [key.removeprefix(f"{group}.") for key in axes if key.startswith(f"{group}.")]


def _rates(records: Sequence[Record], study: Study | None) -> str:
    """At which learning rates; of a study by how they were found."""
    rates = _values(records, "optimizer.lr")
    if study and "optimizer.lr" not in study.axes:
        shared = f"the shared rate {study.base['optimizer']['lr']:g}" if "shared" in study.rates else ""
        if "optimizer" in study.axes and shared:
            shared = "a shared rate"
        tuned = "a rate tuned for each loss" if "tuned" in study.rates else ""
        return f" at {' and at '.join(filter(None, (tuned, shared)))}"
    return f" at {'a rate' if len(rates) == 1 else 'rates'} of {_some(rates)}"


def _penalties(records: Sequence[Record]) -> list[str]:
    found = {kind: _values(records, f"penalty.{kind}") for kind in ("l1", "l2")}
    return [f"{kind.upper()} penalty {_some(values)}" for kind, values in found.items() if any(values)]


def _corruption(records: Sequence[Record], axes: dict[str, str]) -> str:
    """What was made wrong, with all shares of one kind together: '20 % outliers on one side among the training rows'."""
    kinds: dict[tuple[str, str, str, str], list[float]] = {}
    for record in records:
        asked = record.config["corruption"]
        said = _keys("corruption", axes)
        side = "" if "side" in said else _SIDES.get(str(asked.get("side")), "")
        other = ", ".join(changed("corruption", asked, said=("fraction", "side", "splits", *said)))
        where = " and ".join({"train": "training", "val": "validation"}[part] for part in asked.get("splits", []))
        shares = kinds.setdefault((str(asked["name"]), side, other, where), [])
        if (share := asked.get("fraction")) is not None and share not in shares:
            shares.append(share)
    return " or ".join(dict.fromkeys(_wrong(*kind, sorted(shares)) for kind, shares in kinds.items()))


def _wrong(named: str, side: str, other: str, where: str, shares: Sequence[float]) -> str:
    if named == "none" or (shares and not any(shares)):
        return "nothing made wrong on purpose"
    known = named in WRONG and shares
    low, high = (percent(share).removesuffix(" %") for share in (shares[0], shares[-1])) if shares else ("", "")
    share = "" if not shares else f"{high} %" if low == high else f"{low} {'or' if len(shares) == 2 else 'to'} {high} %"
    what = [share, WRONG[named]] if known else ["corruption", name(named), share]
    clean = "" if "validation" in where else ", the others clean"
    return " ".join(filter(None, [*what, side, f"({other})" if other else "", f"among the {where} rows{clean}"]))


def _differences(records: Sequence[Record], axes: dict[str, str]) -> str:
    """What differs between the settings, with its values."""
    found = {words: _values(records, key) for key, words in axes.items()}
    said = [f"the {words} ({_some(values, ',')})" for words, values in found.items() if len(values) > 1]
    return f"The settings differ in {listed(said)}." if said else ""


def _tuning(study: Study) -> str:
    tuning = study.tuning
    where = "in every setting, " if study.axes and tuning["at"] == "each" else ""
    runs = counted(tuning["seeds"], "run")
    often = f"{study.repeats} times, each time " if study.repeats > 1 else ""
    trials = tuning["trials"] + tuning["refine"]
    what = "Learning rate and hyperparameters were" if any(map(_has_tuned, study.losses)) else "The learning rate was"
    least = "at least " if tuning["search"] == "points" and tuning["widen"] else ""
    return f"{what} tuned for each loss, {often}{where}by {least}{trials} trials of {runs} each on other seeds."


def _has_tuned(loss: str) -> bool:
    """Whether hyperparameters of a loss are tuned; yes for one of a user's that is not there any more."""
    try:
        return bool(dimensions(loss))
    except BadRequest:
        return True


def _seeds(records: Sequence[Record], study: Study | None) -> str:
    """How often each loss was trained in a setting."""
    seeds = len({record.seed for record in records})
    if study is None or "tuned" not in study.rates:
        return counted(seeds, "seed")
    if study.repeats == 1:
        return counted(seeds, "fresh seed")
    if seeds == study.repeats:
        return f"{seeds} repeats, each with a tuning and a fresh seed of its own"
    return f"{seeds} fresh seeds in {study.repeats} repeats, each with a tuning of its own"


def _all(records: Sequence[Record], phrase: Callable[[Record], str]) -> str:
    """A phrase for each record, those alike once."""
    found = list(dict.fromkeys(map(phrase, records)))
    return " or ".join(found) if len(found) <= _MOST else f"{', '.join(found[:_MOST])} or {len(found) - _MOST} others"


def _count(records: Sequence[Record], key: str, one: str) -> str:
    found = [int(value) for value in _values(records, key)]
    return f"{span(found)} {one}{'' if found == [1] else 's'}" if found else ""


def _values(records: Iterable[Record], key: str) -> list[Any]:
    """The values of a setting in their order, each once; nothing of records that do not have it."""
    found: list[Any] = []
    for record in records:
        value: Any = record.config
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        value = value.get("name") if isinstance(value, dict) else value
        if value is not None and value not in found:
            found.append(value)
    numeric = all(isinstance(value, int | float) for value in found)
    return sorted(found) if numeric else found


def _some(values: Sequence[Any], joint: str = " and") -> str:
    """Values in words; of many numbers the first and the last."""
    texts = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    if len(texts) > 2 * _MOST and all(isinstance(value, int | float) for value in values):
        return f"{texts[0]} to {texts[-1]}"
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])}{joint} {texts[-1]}"
