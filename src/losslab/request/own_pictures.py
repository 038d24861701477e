"""From a folder of pictures, or annotations of boxes in them, to a study: what was read, and the words that ask for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from losslab.errors import BadRequest, nearest
from losslab.request.own_study import decided
from losslab.request.questions import Options, Question
from losslab.schema import cards, requirements
from losslab.schema.source_hashes import files_below

if TYPE_CHECKING:
    from losslab.pictures import Chosen, Labelled, Size

MODEL = "cnn"
_SMALL = 0.01  # share of a picture that a box covers, below which little of it is left
_ROOTS = (("Annotations", "JPEGImages"), ("labels", "images"))  # of Pascal VOC and YOLO


def is_one(path: Path, options: Options) -> bool:
    """Whether pictures are asked for: a folder, a COCO file, or anything with a folder of pictures beside it."""
    return path.is_dir() or path.suffix.lower() == ".json" or bool(options.images or options.labels)


def ask(path: Path, options: Options, settings: dict[str, Any], data: str = "") -> Question:
    """Reads pictures, or the boxes in them, and decides what is asked of them. Trains nothing and writes nothing.

    Args:
        path: a folder of classes, a folder beside a table of labels, or annotations of boxes.
        options: what the user says beside.
        settings: further ones of the data, from a card.
        data: images or boxes, where a card says it.

    Raises:
        BadRequest: with the file, for whatever cannot be read or learnt from, and where the task is not clear.
    """
    for word, value in (
        ("group", options.group),
        ("time", options.time),
        ("weight", options.weight),
        ("drop", options.drop),
    ):
        if value:
            raise BadRequest(f"--{word} names a column of a table, and {path} holds pictures.")
    if not data:
        for boxes, pictures in _ROOTS:
            if (path / boxes).is_dir() and (path / pictures).is_dir() and not options.labels:
                path, options = path / boxes, replace(options, images=options.images or str(path / pictures))
        data = "boxes" if _has_boxes(path, options) else "images"
    known = cards.card("data", data).about["tasks"]
    if options.task and options.task not in known:
        what = "boxes in pictures" if data == "boxes" else "pictures with labels"
        raise BadRequest(
            f"Task '{options.task}' does not fit {what}{nearest(options.task, known)}. Valid: {', '.join(known)}."
        )
    requirements.check(
        cards.card("data", data).values | settings | _paths(path, options), cards.card("data", data).about
    )
    return (_boxes if data == "boxes" else _labelled)(path, options, settings)


def _labelled(path: Path, options: Options, settings: dict[str, Any]) -> Question:
    from losslab import pictures
    from losslab.pictures.folders import repeated
    from losslab.tables.targets import CLASSES

    values = cards.card("data", "images").values | settings
    column = options.target or values["label_column"]
    table = None
    if labels := options.labels or values["labels"]:
        table = requirements.beside_path({"path": str(path), "labels": labels}, "labels")
    elif options.target:
        raise BadRequest("--target names a column of a table of labels; add --labels FILE.")
    task, why = _task(path, options, table, column)
    found = pictures.labelled(path, task, table, values["file_column"], column, values["order"])
    sizes = [pictures.size_of(file) for file in found.files]
    side = values["side"] or pictures.sides_of(sizes)
    classes = len(found.names) if task in CLASSES else 0
    seen = [("Pictures", _counted(found, classes))]
    seen += _looks(sizes, side, values["fit"])
    doubts = repeated(found.files, found.labels, found.parts)
    own = {"labels": labels, "label_column": column} if labels else {}
    parts = _given_parts(found.parts)
    return decided(
        Question(
            path=path,
            rows=len(found.files),
            columns=[],
            task=task,
            why=why,
            target=column if labels else "class",
            names=found.names,
            split="",
            losses={},
            metric="",
            doubts=[*doubts, *_of_size(sizes, side)],
            data="images",
            pictures=True,
            seen=tuple(seen),
        ),
        found.targets,
        replace(options, model=options.model or MODEL),
        {**settings, **own} if own else settings,
        parts,
    )


def _boxes(path: Path, options: Options, settings: dict[str, Any]) -> Question:
    import numpy as np

    from losslab import pictures

    if options.target:
        raise BadRequest(f"--target names a column, and what is predicted for {path} are its boxes.")
    values = cards.card("data", "boxes").values | settings
    images = requirements.pictures_of(path, options.images or values["images"])
    found = pictures.chosen(path, images, *(values[key] for key in ("objects", "margin", "classes", "outside")))
    side = values["side"] or pictures.side_of(found.rows)
    counts = Counter(row.label for row in found.rows)
    what = "each in its whole picture" if found.objects == "one" else "each in a part of its picture"
    seen = [
        ("Pictures", f"{found.pictures:,} with annotations in {found.form} format"),
        ("Objects", f"{len(found.rows):,} are used, {what}: {_most(counts)}"),
        *_looks(found.sizes, side, values["fit"]),
    ]
    doubts = [*found.notes, *_of_boxes(found)]
    groups = "by picture: all objects of a picture are in one part" if found.objects == "each" else ""
    return decided(
        Question(
            path=path,
            rows=len(found.rows),
            columns=[],
            task="bbox",
            why="boxes are predicted",
            target="box",
            names=(),
            split="",
            losses={},
            metric="",
            doubts=doubts,
            data="boxes",
            pictures=True,
            seen=tuple(seen),
        ),
        np.zeros((len(found.rows), 1)),
        replace(options, model=options.model or MODEL, task="bbox"),
        settings | ({"images": options.images} if options.images else {}) | {"objects": found.objects},
        together=groups,
    )


def _paths(path: Path, options: Options) -> dict[str, str]:
    said = {"path": str(path), "images": options.images, "labels": options.labels}
    return {key: value for key, value in said.items() if value}


def _has_boxes(path: Path, options: Options) -> bool:
    """Whether a path holds annotations of boxes; a few stray texts in a folder of pictures are none."""
    from losslab.pictures.decode import SUFFIXES

    if options.labels:
        return False
    if not path.is_dir() or options.images or options.task == "bbox":
        return True
    counts = Counter(file.suffix.lower() for file in files_below(path))
    return counts[".xml"] + counts[".txt"] > sum(counts[suffix] for suffix in SUFFIXES) / 2


def _task(path: Path, options: Options, table: Path | None, column: str) -> tuple[str, str]:
    """The task, and how it was found."""
    from losslab.pictures.folders import classes_of
    from losslab.tables import infer_task, read_table

    if options.task:
        return options.task, "as you said"
    if not table:
        names = classes_of(path)
        return ("binary" if len(names) == 2 else "multiclass"), f"there are {len(names)} folders of pictures"
    frame = read_table(table)
    if column not in frame:
        known = list(map(str, frame.columns))
        raise BadRequest(
            f"{table}: there is no column '{column}'{nearest(column, known)}; add --target with one of {', '.join(known[:12])}."
        )
    found = infer_task(frame[column])
    if not found.task:
        typed = " or ".join(f"--task {name}" for name in found.alternatives)
        raise BadRequest(f"{table}: {found.why}{f' Add {typed}.' if typed else ''}")
    return found.task, found.why


def _counted(found: Labelled, classes: int) -> str:
    if not classes:
        return f"{len(found.files):,} with a number each"
    counts = Counter(map(str, found.labels))
    return f"{len(found.files):,} in {len(counts)} classes: {_most(counts)}"


def _most(counts: Counter[str]) -> str:
    shown = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(12))
    return shown + (f" and {len(counts) - 12} more" if len(counts) > 12 else "")


def _looks(sizes: Sequence[Size], side: int, fit: str) -> list[tuple[str, str]]:
    """Sizes and modes of pictures, and what they are brought to."""
    small, large = (choose(sizes, key=lambda size: size.width * size.height) for choose in (min, max))
    span = f"{small.width} x {small.height}"
    span += f" to {large.width} x {large.height}" if small[:2] != large[:2] else ""
    how = "stretched" if fit == "stretch" else "with their shape kept"
    return [
        ("Sizes", f"{span} pixels; brought to {side} x {side}, {how}"),
        ("Modes", _most(Counter(size.mode for size in sizes))),
    ]


def _of_size(sizes: Sequence[Size], side: int) -> list[str]:
    far = sum(max(size.width, size.height) > 8 * side for size in sizes)
    if far <= len(sizes) / 2:
        return []
    return [
        f"Most pictures are more than 8 times as large as {side} x {side}, so details are lost; data.side sets more."
    ]


def _of_boxes(found: Chosen) -> list[str]:
    import statistics

    shares = [
        (row.box[2] - row.box[0])
        * (row.box[3] - row.box[1])
        / ((row.frame[2] - row.frame[0]) * (row.frame[3] - row.frame[1]))
        for row in found.rows
    ]
    if (share := statistics.median(shares)) >= _SMALL:
        return []
    return [f"Half of the boxes cover {share:.2%} of their pictures or less; data.objects=each shows them larger."]


def _given_parts(parts: list[int] | None) -> str:
    """How folders divide the pictures, in words; "" where they do not."""
    if parts is None:
        return ""
    counts = Counter(parts)
    said = ", ".join(
        f"{counts[number]:,} {name}" for number, name in enumerate(("train", "validation", "test")) if counts[number]
    )
    drawn = [name for number, name in enumerate(("train", "validation", "test")) if not counts[number]]
    return f"as the folders say: {said}" + (f"; {' and '.join(drawn)} drawn from train for each seed" if drawn else "")
