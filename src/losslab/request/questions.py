"""What a user asks of data of their own, and what becomes of it: a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from losslab.tables.columns import Column


@dataclass(frozen=True)
class Options:
    """What a user says beside the file; "" and 0 where it is to be decided from the data.

    Attributes:
        target: the column that is predicted.
        task: binary, multiclass, regression, counts or bbox.
        group, time, weight: columns; see conf/data/table.yaml.
        drop: columns that are not used.
        losses: those to be compared, as in study.losses.
        model, metric: names.
        seeds, trials: of the study.
        folds: see data.folds.
        words: further words of Hydra's, such as "trainer.max_epochs=50".
        images: the folder of the pictures in which boxes were drawn.
        labels: a table with a label for each picture of a folder; `target` is its column.
    """

    target: str = ""
    task: str = ""
    group: str = ""
    time: str = ""
    weight: str = ""
    drop: Sequence[str] = ()
    losses: Sequence[str] = ()
    model: str = ""
    metric: str = ""
    seeds: int = 0
    trials: int = 0
    folds: int = 0
    words: Sequence[str] = ()
    images: str = ""
    labels: str = ""


@dataclass(frozen=True)
class Question:
    """A study of a user's data before it begins.

    Attributes:
        path: the file or folder.
        rows: of it that are used.
        columns: what each is and is used as; none of pictures.
        task: its name; `why` says how it was found.
        target: the column that is predicted, `names` its classes or its name.
        split: how rows are divided, in words.
        losses: with the reason for each.
        doubts: what a user should look at.
        words: Hydra's, that ask for one run; `study` those that make a study of it.
        data: table, images, boxes or arrays.
        pictures: whether inputs are pictures, for which a study is smaller by default.
        seen: what was read of pictures, each line with its label.
    """

    path: Path
    rows: int
    columns: list[Column]
    task: str
    why: str
    target: str
    names: tuple[str, ...]
    split: str
    losses: dict[str, str]
    metric: str
    doubts: list[str] = field(default_factory=list)
    words: tuple[str, ...] = ()
    study: tuple[str, ...] = ()
    data: str = "table"
    pictures: bool = False
    seen: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """What a study of it is called."""
        return self.path.stem or self.path.resolve().stem

    @property
    def command(self) -> str:
        """The same study in Hydra's words."""
        return " ".join(["losslab train study=fair", *map(quote, (*self.words, *self.study))])
