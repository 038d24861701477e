"""What record.json and study.yaml must hold, as types, and the one validator that reads both strictly.

pydantic imports in some milliseconds, and only where a file is read.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

_OPEN = ConfigDict(strict=True, extra="allow")  # settings hold more than reports read of them
_CLOSED = ConfigDict(strict=True, extra="ignore")
Number = Annotated[float, Field(allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Empty = Annotated[dict[str, Any], Field(max_length=0)]  # nothing was trained


class Named(TypedDict):
    """The settings of a component."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    name: str


class DataSettings(Named):
    """Those of data, and how many rows each split has."""

    rows_in: NotRequired[dict[str, Whole]]


class ModelSettings(Named):
    """Those of a model, and its size."""

    parameters: NotRequired[Whole]


class OptimizerSettings(Named):
    """Those of an optimizer."""

    lr: Number


class CorruptionSettings(Named):
    """Those of a corruption, and how many rows it changed."""

    rows_hit: NotRequired[dict[str, Whole]]
    splits: NotRequired[list[str]]


class Selection(TypedDict):
    """What chose the best epoch."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    metric: str
    better: str
    validation: str


class Pairing(TypedDict):
    """The hashes by which runs prove that they saw the same."""

    __pydantic_config__ = ConfigDict(strict=True, extra="allow")  # type: ignore[misc]
    data: str
    split: str
    corruption: str
    init: str
    order: str


class Request(TypedDict):
    """The request of a run, as far as reports read it."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    data: dict[str, Any]


class OfStudy(TypedDict):
    """The study that a run is part of."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    name: str


class TrialPart(TypedDict):
    """A run of a trial."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    study: OfStudy
    phase: Literal["tune"]
    loss: str
    at: str
    trial: Whole


class ComparisonPart(TypedDict):
    """A run of the comparison."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    study: OfStudy
    phase: Literal["confirm"]
    loss: str
    setting: str
    arms: list[str]


class RecordContent(TypedDict):
    """What record.json holds; see `losslab.records.record.Record`."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    status: str
    reason: str | None
    task: str
    loss: str
    loss_params: dict[str, Any]
    data: DataSettings
    model: ModelSettings
    optimizer: OptimizerSettings
    corruption: CorruptionSettings
    seed: Whole
    config: Request
    selection: Selection | Empty
    epochs: Whole
    best_epoch: Whole | None
    metrics: dict[str, Number | None]
    pairing: Pairing | Empty
    fused: Whole
    seconds: dict[str, Number]
    device: str
    traceback: str | None
    versions: dict[str, str]
    commit: str | None
    curves: NotRequired[dict[str, list[Number | None]]]  # earlier versions did not write it
    study: NotRequired[TrialPart | ComparisonPart | Empty | None]  # nor this


class BaseRequest(TypedDict):
    """The request of which every run of a study is a change, as far as reports read it."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    task: Named
    optimizer: OptimizerSettings
    seed: Whole


class StudyContent(TypedDict):
    """What study.yaml and the records of a study hold; see `losslab.study.recipe.Study`."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")  # type: ignore[misc]
    name: str
    question: str
    losses: list[str]
    reference: str
    metric: str
    epoch: str
    axes: dict[str, list[Any]]
    seeds: Whole
    rates: list[str]
    tuning: dict[str, Any]
    base: BaseRequest
    command: NotRequired[str]


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def record_content(text: bytes) -> dict[str, Any]:
    """The content of a record.json. Raises ValueError, which names a key, for what is none."""
    try:
        content: dict[str, Any] = _adapter(RecordContent).validate_json(text)
    except ValidationError as error:
        raise ValueError(_first(error)) from error
    return content


def study_content(content: Any) -> dict[str, Any]:
    """The content of a study.yaml, or of the study in a record. Raises ValueError, which names a key, for what is none."""
    try:
        checked: dict[str, Any] = _adapter(StudyContent).validate_python(content)
    except ValidationError as error:
        raise ValueError(_first(error)) from error
    return checked


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, in a few words."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in found["loc"] if not str(part)[:1].isupper()) or "all of it"
    return f"'{where}': {found['msg']}"
