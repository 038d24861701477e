"""Which pictures there are and what is known of each: by the folder of its class, or by a table of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from losslab.errors import BadRequest, nearest
from losslab.pictures.decode import SUFFIXES
from losslab.schema.source_hashes import files_below, is_clutter, of_path
from losslab.tables import read_table, target_values
from losslab.tables.targets import CLASSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARTS = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "dev": 1, "test": 2, "testing": 2}
_FEWEST = 3  # pictures of a class: one for each part


@dataclass(frozen=True)
class Labelled:
    """Pictures in the order of their names, each with its label.

    Attributes:
        files: of the pictures.
        labels: of each: the name of its class, or a number.
        targets: class numbers [n], 0 or 1 [n], or numbers [n, 1], by the task.
        names: of the classes, or of the number.
        parts: of each, as folders say it: 0 train, 1 val, 2 test; None where they say nothing.
    """

    files: list[Path]
    labels: list[Any]
    targets: NDArray[Any]
    names: tuple[str, ...]
    parts: list[int] | None = None


def labelled(
    folder: Path,
    task: str,
    labels: Path | None = None,
    file_column: str = "file",
    label_column: str = "label",
    order: Sequence[Any] = (),
) -> Labelled:
    """The pictures below a folder with their labels.

    Without a table, the label of a picture is the folder directly below `folder`, or below `folder`/train, /val and /test, that
    holds it. With one, it is in a row of the table, whose file is named from `folder` on, or by its name alone.

    order: the classes from the lowest up, for task=ordinal.

    Raises:
        BadRequest: no pictures, a file that is none, an empty folder of a class, fewer than two classes, a class with too few
            pictures; a label without its picture, a picture without a label, or with two.
    """
    if labels:
        return _of_table(folder, task, labels, file_column, label_column, order)
    return _of_folders(folder, task, order)


def pictures_below(folder: Path, ignored: Sequence[Path] = ()) -> list[Path]:
    """All pictures below a folder, sorted. Raises BadRequest for a file that is none, and where there are no pictures."""
    files = [file for file in files_below(folder) if file not in ignored]
    for file in files:
        if file.suffix.lower() not in SUFFIXES:
            hint = "; if it holds labels, name it in data.labels" if file.suffix.lower() in (".csv", ".tsv") else ""
            raise BadRequest(f"{file} is no picture{hint or '; take it away'}. What is read: {', '.join(SUFFIXES)}.")
    if not files:
        raise BadRequest(f"{folder} holds no pictures.")
    return files


def classes_of(folder: Path) -> list[str]:
    """The names of the folders of classes; see `labelled`."""
    return sorted({name for place in _places(folder)[0] for name in _folders_in(place)})


def repeated(files: Sequence[Path], labels: Sequence[Any], parts: Sequence[int] | None) -> list[str]:
    """Sentences on pictures whose files are equal, and so may be both in training and in test."""
    by_size: dict[int, list[int]] = {}
    for number, file in enumerate(files):
        by_size.setdefault(file.stat().st_size, []).append(number)
    first: dict[str, int] = {}
    pairs = []
    for number in sorted(one for same in by_size.values() if len(same) > 1 for one in same):
        digest = of_path(files[number])
        if digest in first:
            pairs.append((first[digest], number))
        first.setdefault(digest, number)
    if not pairs:
        return []
    one, two = next((pair for pair in pairs if str(labels[pair[0]]) != str(labels[pair[1]])), pairs[0])
    other = " with different labels" if str(labels[one]) != str(labels[two]) else ""
    across = sum(parts[one] != parts[two] for one, two in pairs) if parts else 0
    said = f"{len(pairs)} pictures are copies of others, such as {files[one]} and {files[two]}{other}"
    return [
        f"{said}; {f'{across} of them in another part' if across else 'a copy of a training picture may be tested on'}."
    ]


def _places(folder: Path) -> tuple[list[Path], bool]:
    """The folders that hold those of the classes, and whether they are parts of a split."""
    top = _folders_in(folder)
    parted = bool(top) and all(name.lower() in PARTS for name in top) and not any(map(_pictures_in, top.values()))
    return (list(top.values()) if parted else [folder]), parted


def _of_folders(folder: Path, task: str, order: Sequence[Any]) -> Labelled:
    import pandas as pd

    places, parted = _places(folder)
    files = pictures_below(folder)
    for place in places:
        for name, inner in _folders_in(place).items():
            if not any(file.is_relative_to(inner) for file in files):
                raise BadRequest(f"{inner} holds no pictures, so class '{name}' has none; fill it or take it away.")
    classes, parts = [], []
    for file in files:
        place = next(place for place in places if file.is_relative_to(place))
        inside = file.relative_to(place).parts
        if len(inside) == 1:
            raise BadRequest(
                f"{file} lies in no folder of a class; a picture of class cat belongs in {place / 'cat'}. A table of labels is "
                "named in data.labels."
            )
        classes.append(inside[0])
        parts.append(PARTS[place.name.lower()] if parted else 0)
    if task not in CLASSES:
        raise BadRequest(
            f"{folder} has folders of classes, and task={task} needs numbers; name a table of them in data.labels."
        )
    _check_classes(folder, classes, task, parted)
    targets, names = _targets(pd.DataFrame({"class": classes}), "class", task, order, folder)
    if parted:
        _check_parts(folder, targets, names, parts)
    return Labelled(files, classes, targets, names, parts if parted else None)


def _of_table(
    folder: Path, task: str, table: Path, file_column: str, label_column: str, order: Sequence[Any]
) -> Labelled:
    frame = read_table(table)
    for setting, column in (("file_column", file_column), ("label_column", label_column)):
        if column not in frame:
            known = list(map(str, frame.columns))
            raise BadRequest(
                f"{table}: there is no column '{column}'{nearest(column, known)}; name another of its columns, "
                f"{', '.join(known[:12])}, in data.{setting}."
            )
    files = pictures_below(folder, [table])
    by_name: dict[str, set[Path]] = {}
    for file in files:
        for name in {file.relative_to(folder).as_posix(), file.name, file.stem}:
            by_name.setdefault(name, set()).add(file)
    rows: dict[Path, int] = {}
    for row, said in enumerate(frame[file_column].astype("string")):
        file = _named(said, by_name, f"{table}, row {row + 1}", folder)
        if file in rows:
            raise BadRequest(f"{table}, row {row + 1}: {said} has a label in row {rows[file] + 1} already.")
        rows[file] = row
    if missing := [file for file in files if file not in rows]:
        raise BadRequest(
            f"{missing[0]} has no label in {table}; {len(missing)} of {len(files)} pictures have none. Add them to the table or "
            "take the pictures away."
        )
    targets, names = _targets(frame, label_column, task, order, table)
    order = [rows[file] for file in files]
    tops = [file.relative_to(folder).parts[0].lower() for file in files]
    parts = [PARTS[top] for top in tops] if all(top in PARTS for top in tops) else None
    if parts is not None:
        _check_parts(folder, targets[order], names if task in CLASSES else (), parts)
    return Labelled(files, frame[label_column].iloc[order].tolist(), targets[order], names, parts)


def _targets(
    frame: Any, column: str, task: str, order: Sequence[Any], where: Path
) -> tuple[NDArray[Any], tuple[str, ...]]:
    try:
        return target_values(frame, column, task, order)
    except BadRequest as error:
        raise BadRequest(f"{where}: {error}") from error


def _check_classes(where: Path, labels: list[Any], task: str, parted: bool) -> None:
    """Raises BadRequest where there are too few classes for a task, or too few pictures of one."""
    counts = Counter(map(str, labels))
    if len(counts) == 1:
        raise BadRequest(f"{where} has one class, '{next(iter(counts))}', so there is nothing to learn.")
    if task == "binary" and len(counts) != 2:
        raise BadRequest(f"{where} has {len(counts)} classes, and task=binary needs two; use task=multiclass.")
    rarest = min(counts, key=lambda name: (counts[name], name))
    if not parted and counts[rarest] < _FEWEST:
        raise BadRequest(
            f"{where}: class '{rarest}' has {counts[rarest]} picture{'s' if counts[rarest] > 1 else ''}, and each of train, "
            "validation and test needs one; add pictures or take the class away."
        )


def _check_parts(where: Path, targets: NDArray[Any], names: Sequence[str], parts: list[int]) -> None:
    """Raises BadRequest where folders say which pictures are for training, and these are none or lack a class."""
    import numpy as np

    training = np.array(parts) == 0
    if not training.any():
        raise BadRequest(f"{where} has a folder for validation or test and none for training; add {where / 'train'}.")
    for number, name in enumerate(names):
        if not (targets[training] == number).any():
            raise BadRequest(f"{where}: class '{name}' has no picture in train, so it cannot be learnt.")


def _named(said: Any, by_name: dict[str, set[Path]], where: str, folder: Path) -> Path:
    """The picture that a row of a table names."""
    if not isinstance(said, str):
        raise BadRequest(f"{where}: the name of the picture is missing.")
    name = said.replace("\\", "/").removeprefix("./")
    found = by_name.get(name) or by_name.get(name.removeprefix(f"{folder.as_posix()}/")) or set()
    if len(found) > 1:
        raise BadRequest(f"{where}: '{said}' may be any of {len(found)} pictures; name it with its folder.")
    if not found:
        raise BadRequest(f"{where}: there is no picture '{said}' below {folder}{nearest(name, by_name)}.")
    return next(iter(found))


def _folders_in(folder: Path) -> dict[str, Path]:
    return {one.name: one for one in sorted(folder.iterdir()) if one.is_dir() and not is_clutter(one.name)}


def _pictures_in(folder: Path) -> list[Path]:
    return [one for one in folder.iterdir() if one.is_file() and one.suffix.lower() in SUFFIXES]
