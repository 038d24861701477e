"""How rows are divided into train, val and test: by chance, class, group or time, in folds, or as the data themselves say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from losslab import seeding
from losslab.errors import BadRequest
from losslab.schema import check

Split = dict[str, Tensor]  # "train", "val", "test" -> row numbers, int64
PARTS = ("train", "val", "test")


def split(
    data: Mapping[str, Any],
    rows: int,
    seed: int,
    labels: Tensor | None = None,
    groups: Tensor | None = None,
    times: Tensor | None = None,
    given: Tensor | None = None,
    names: Sequence[str] = (),
) -> Split:
    """Row numbers of each part, without overlap, drawn from the seed's stream `split`.

    `data.split` names the scheme. random: every row by itself. stratified: each part has the same shares of the classes.
    group: all rows of a group are in one part. time: validation rows are later than training rows, and test rows later still;
    rows of one moment stay together. auto: by group or time where the data have one of them, else random.
    With `data.folds` = K, seed s tests on fold s mod K, and seeds s and s + K differ in how the folds were drawn. Folds in time
    are the last K of K + 1 blocks, and what is later than the test rows is not used. Validation rows are val_fraction / (1 -
    test_fraction) of what is not test. With `data.test_seed` that seed draws the test rows, or names the fold, and the run's own
    seed divides the others into train and val.

    Args:
        data: the data of a config.
        rows: their number n.
        seed: of the run.
        labels: class of each row [n]; None where targets are not classes.
        groups: group of each row [n], int64.
        times: moment of each row [n], in any unit.
        given: part of each row as the data say it [n]: 0 train, 1 val, 2 test; -1: not said, drawn from what is not test.
        names: of the classes, for messages.

    Raises:
        BadRequest: a scheme for which the data lack what it needs, parts of fewer than two rows, a batch larger than the training
            split, or a class without a training row.
    """
    scheme = _scheme(data, labels, groups, times)
    sizes = check.split_sizes(data, rows)
    folds = int(data.get("folds", 0))
    locked = int(data.get("test_seed", -1))
    of_test = seed if locked < 0 else locked
    if given is not None:
        parts = _as_given(data, given, scheme, sizes, (of_test, seed), labels, groups, times)
    elif scheme == "random" and not folds:
        check.check_split(data, rows)
        order = torch.randperm(rows, generator=seeding.generator(of_test, "split"))
        rest, test = order.split([sizes["train"] + sizes["val"], sizes["test"]])
        if of_test != seed:
            rest = rest[torch.randperm(len(rest), generator=seeding.generator(seed, "split"))]
        train, val = rest.split([sizes["train"], sizes["val"]])
        parts = {"train": train, "val": val, "test": test}
    else:
        step = of_test // folds if folds else of_test
        generator = seeding.generator(step, "split")
        all_rows = torch.arange(rows)
        test = _fold(scheme, of_test % folds, folds, all_rows, generator, labels, groups, times) if folds else None
        if test is None:
            test = _chosen(scheme, sizes["test"], all_rows, generator, labels, groups, times)
        rest = _without(all_rows, test)
        if scheme == "time":
            assert times is not None
            rest = rest[times[rest] < times[test].min()]
        if of_test != seed:
            generator = seeding.generator(seed, "split")
        share = data["val_fraction"] / (1 - data["test_fraction"])  # of what is not test
        val = _chosen(scheme, int(share * len(rest)) if folds else sizes["val"], rest, generator, labels, groups, times)
        parts = {"train": _without(rest, val), "val": val, "test": test}
    _check(data, parts, labels, names, groups if scheme == "group" else None)
    return parts


def _scheme(data: Mapping[str, Any], labels: Tensor | None, groups: Tensor | None, times: Tensor | None) -> str:
    scheme = str(data.get("split", "auto"))
    if scheme == "auto":
        if groups is not None and times is not None:
            raise BadRequest(
                "The data have groups and times, and a split keeps to one of them: give data.split=group or data.split=time."
            )
        return "group" if groups is not None else "time" if times is not None else "random"
    for word, needed, what in (
        ("stratified", labels, "targets that are classes"),
        ("group", groups, "groups, such as data.group=COLUMN of a table"),
        ("time", times, "times, such as data.time=COLUMN of a table"),
    ):
        if scheme == word and needed is None:
            raise BadRequest(f"data.split={scheme} needs {what}, and data={data['name']} has none.")
    return scheme


def _as_given(
    data: Mapping[str, Any],
    given: Tensor,
    scheme: str,
    sizes: Mapping[str, int],
    seeds: tuple[int, int],
    *of_rows: Tensor | None,
) -> Split:
    """The parts that the data name, and the others drawn from the rows that they leave."""
    if data.get("folds", 0):
        raise BadRequest("The data say which rows are for testing, so they have no folds; leave data.folds away.")
    of_test, seed = seeds
    generator = seeding.generator(of_test, "split")
    left, parts = (given < 1).nonzero().flatten(), {}
    for number, part in ((2, "test"), (1, "val")):
        said = (given == number).nonzero().flatten()
        parts[part] = said if len(said) else _chosen(scheme, sizes[part], left, generator, *of_rows)
        left = _without(left, parts[part])
        if part == "test" and of_test != seed:
            generator = seeding.generator(seed, "split")
    return {"train": left} | parts


def _chosen(
    scheme: str,
    count: int,
    rows: Tensor,
    generator: torch.Generator,
    labels: Tensor | None,
    groups: Tensor | None,
    times: Tensor | None,
) -> Tensor:
    """Some `count` of the rows; a few more where rows stay together."""
    if not len(rows):
        return rows
    order = rows[torch.randperm(len(rows), generator=generator)]
    if scheme == "stratified":
        assert labels is not None
        return order[_spread(labels[order]).argsort(stable=True)[:count]]
    if scheme == "group":
        assert groups is not None
        ranks = _ranks(groups[order])
        sizes = torch.bincount(ranks)
        whole = int((sizes.cumsum(0) - sizes < count).sum())  # groups that begin before `count` rows are full
        return order[ranks < whole]
    if scheme == "time":
        assert times is not None
        latest = times[rows].sort().values[max(len(rows) - count, 0)] if count else torch.inf
        return rows[times[rows] >= latest]
    return order[:count]


def _fold(
    scheme: str,
    fold: int,
    folds: int,
    rows: Tensor,
    generator: torch.Generator,
    labels: Tensor | None,
    groups: Tensor | None,
    times: Tensor | None,
) -> Tensor:
    """The rows of one of `folds` folds."""
    if scheme == "time":
        assert times is not None
        moments = times.sort().values
        edges = [moments[len(rows) * block // (folds + 1)] for block in range(folds + 1)]
        end = edges[fold + 2] if fold + 2 <= folds else torch.inf
        return rows[(times >= edges[fold + 1]) & (times < end)]
    order = rows[torch.randperm(len(rows), generator=generator)]
    if scheme == "group":
        assert groups is not None
        ranks = _ranks(groups[order])
        if (many := int(ranks.max()) + 1) < folds:
            raise BadRequest(f"data.folds={folds} needs so many groups, and there are {many}.")
        filled, of_group = [0] * folds, []
        for size in torch.bincount(ranks).tolist():
            of_group.append(filled.index(min(filled)))
            filled[of_group[-1]] += size
        return order[torch.tensor(of_group)[ranks] == fold]
    if scheme == "stratified":
        assert labels is not None
        order = order[labels[order].argsort(stable=True)]
    return order[fold::folds]


def _spread(labels: Tensor) -> Tensor:
    """A number for each row such that the first rows in its order have the classes in the shares of all: k-th of m at (k + 1/2) / m."""
    places = torch.empty(len(labels), dtype=torch.float64)
    for label in labels.unique():
        of_class = labels == label
        count = int(of_class.sum())
        places[of_class] = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return places


def _ranks(groups: Tensor) -> Tensor:
    """The number of each row's group, counted in the order in which the groups come."""
    _, numbers = groups.unique(return_inverse=True)
    first = torch.full((int(numbers.max()) + 1,), len(groups)).scatter_reduce(
        0, numbers, torch.arange(len(groups)), "amin"
    )
    return first.argsort().argsort()[numbers]


def _without(rows: Tensor, others: Tensor) -> Tensor:
    return rows[~torch.isin(rows, others)]


def _check(
    data: Mapping[str, Any], parts: Split, labels: Tensor | None, names: Sequence[str], groups: Tensor | None
) -> None:
    sizes = {part: len(parts[part]) for part in PARTS}
    if min(sizes.values()) < 2 and data.get("folds"):
        raise BadRequest(
            f"data.folds={data['folds']} leaves {sizes['test']} rows for testing, and {sizes['train']} for training; ask for fewer folds."
        )
    if min(sizes.values()) < 2 and groups is not None and (many := groups.unique().numel()) < len(PARTS):
        raise BadRequest(
            f"The rows belong to {many} group{'s' if many > 1 else ''}, and each of train, val and test needs one; split by something else."
        )
    if min(sizes.values()) < 2:
        raise BadRequest(
            f"Each split needs two rows or more, and '{data['name']}' would be split into {sizes}; ask for more rows, other "
            "fractions or another data.split."
        )
    if data["batch_size"] > sizes["train"]:
        raise BadRequest(
            f"data.batch_size={data['batch_size']} is larger than the training split, which has {sizes['train']} rows; give that "
            "many or fewer."
        )
    if labels is not None and "path" in data:  # shipped data have no rare classes
        lost = set(labels.unique().tolist()) - set(labels[parts["train"]].unique().tolist())
        if lost:
            named = f"'{names[min(lost)]}'" if names else str(min(lost))
            raise BadRequest(
                f"No training row has class {named}, which is rare; data.split=stratified gives each part its share."
            )
