"""What record.json and study.yaml must hold, as types, and the one validator that reads both strictly.

The types of their keys stand in the dataclasses Record and Study. Here are those of what reports read deeper inside.
pydantic imports in some milliseconds, and only where a file is read.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from pydantic_core import from_json
from typing_extensions import TypedDict

from losslab.records.record import HASHES, Record

_LATER = ("curves", "engine", "study", "command", "margin")  # earlier versions did not write them
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Empty = Annotated[dict[str, Any], Field(max_length=0)]  # nothing was trained
Pairing = TypedDict("Pairing", dict.fromkeys(HASHES, str))  # type: ignore[misc]


class Named(TypedDict):
    """The settings of a component; what else they hold is free, here and below."""

    name: str


class DataSettings(Named):
    """Those of data, and how many rows each split has."""

    rows_in: NotRequired[dict[str, Whole]]


class ModelSettings(Named):
    """Those of a model, and its size."""

    parameters: NotRequired[Whole]


class Rate(TypedDict):
    """The learning rate among the settings of an optimizer."""

    lr: float


class OptimizerSettings(Named, Rate):
    """Those of an optimizer."""


class CorruptionSettings(Named):
    """Those of a corruption, and how many rows it changed."""

    rows_hit: NotRequired[dict[str, Whole]]
    splits: NotRequired[list[str]]


class Selection(TypedDict):
    """What chose the best epoch."""

    metric: str
    better: str
    validation: str


class Request(TypedDict):
    """The request of a run, as far as reports read it."""

    data: dict[str, Any]


class Part(TypedDict):
    """Which part of which study a run is."""

    study: Named
    loss: str


class TrialPart(Part):
    """A run of a trial."""

    phase: Literal["tune"]
    at: str
    trial: Whole


class ComparisonPart(Part):
    """A run of the comparison."""

    phase: Literal["confirm"]
    setting: str
    arms: list[str]


class InRecord(TypedDict):
    """The keys of a record whose types are narrower than Record says."""

    data: DataSettings
    model: ModelSettings
    optimizer: OptimizerSettings
    corruption: CorruptionSettings
    seed: Whole
    config: Request
    selection: Selection | Empty
    epochs: Whole
    best_epoch: Whole | None
    pairing: Pairing | Empty
    fused: Whole
    study: Annotated[TrialPart | ComparisonPart, Field(discriminator="phase")] | Empty | None


class BaseRequest(TypedDict):
    """The request of which every run of a study is a change, as far as reports read it."""

    task: Named
    optimizer: Rate
    seed: Whole


class InStudy(TypedDict):
    """The keys of a study whose types are narrower than Study says."""

    base: BaseRequest


def record_content(text: str) -> dict[str, Any]:
    """The content of a record.json, without what only later versions know. Raises ValueError for what is none."""
    content = from_json(text)
    hold_to(content, Record, InRecord)
    return {field.name: content[field.name] for field in fields(Record) if field.name in content}


def hold_to(content: Any, *kinds: type) -> None:
    """Raises ValueError, which names a key, for what does not hold the keys of some classes in their types."""
    for kind in kinds:
        try:
            _adapter(kind).validate_python(content)  # its result is not taken: it lacks all keys without a type
        except ValidationError as error:
            raise ValueError(_first(error)) from error


@cache
def _adapter(kind: type) -> TypeAdapter[dict[str, Any]]:
    hints = get_type_hints(kind, include_extras=True)
    keys = {name: NotRequired[hint] if name in _LATER else hint for name, hint in hints.items()}
    strict = with_config(ConfigDict(strict=True, allow_inf_nan=False))
    return TypeAdapter(strict(TypedDict(kind.__name__, keys)))  # type: ignore[operator]


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, in a few words."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in found["loc"] if not str(part)[:1].isupper()) or "all of it"
    return f"'{where}': {found['msg']}"
