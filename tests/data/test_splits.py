"""How rows are divided: no row twice, no group in two parts, no training row later than a test row, the same shares of classes."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from losslab import seeding
from losslab.data.splits import split
from losslab.errors import BadRequest

DATA: dict[str, Any] = {
    "name": "friedman",
    "rows": 0,
    "noise": 1.0,
    "batch_size": 2,
    "val_fraction": 0.2,
    "test_fraction": 0.2,
}
SEEDS = st.integers(0, 2**40)


def asked(**settings: Any) -> dict[str, Any]:
    return DATA | settings


def labels_of(rows: int, classes: int, seed: int) -> torch.Tensor:
    return torch.randint(classes, (rows,), generator=torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(60, 300),
    seed=SEEDS,
    scheme=st.sampled_from(["random", "stratified", "group", "time"]),
    folds=st.sampled_from([0, 2, 5]),
)
def test_no_row_is_in_two_parts(rows: int, seed: int, scheme: str, folds: int) -> None:
    parts = split(
        asked(split=scheme, folds=folds),
        rows,
        seed,
        labels_of(rows, 3, seed),
        labels_of(rows, 20, seed + 1),
        torch.rand(rows, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)),
    )
    together = torch.cat(list(parts.values()))
    assert together.unique().numel() == together.numel()
    assert set(parts) == {"train", "val", "test"}
    if not (scheme == "time" and folds):
        assert together.numel() == rows, "every row is used"
    again = split(
        asked(split=scheme, folds=folds),
        rows,
        seed,
        labels_of(rows, 3, seed),
        labels_of(rows, 20, seed + 1),
        torch.rand(rows, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)),
    )
    assert all(torch.equal(parts[part], again[part]) for part in parts)


@settings(deadline=None, max_examples=60)
@given(rows=st.integers(80, 300), many=st.integers(8, 60), seed=SEEDS, folds=st.sampled_from([0, 4]))
def test_no_group_is_in_two_parts(rows: int, many: int, seed: int, folds: int) -> None:
    groups = labels_of(rows, many, seed)
    parts = split(asked(folds=folds), rows, seed, groups=groups)  # auto takes the groups
    held = [set(groups[numbers].tolist()) for numbers in parts.values()]
    assert not held[0] & held[1]
    assert not held[0] & held[2]
    assert not held[1] & held[2]


@settings(deadline=None, max_examples=60)
@given(rows=st.integers(60, 300), moments=st.integers(20, 400), seed=SEEDS, fold=st.sampled_from([None, 0, 1, 2]))
def test_no_training_row_is_later_than_a_test_row(rows: int, moments: int, seed: int, fold: int | None) -> None:
    times = labels_of(rows, moments, seed).double()
    parts = split(asked(folds=0 if fold is None else 3), rows, seed if fold is None else fold, times=times)
    assert times[parts["train"]].max() < times[parts["val"]].min()
    assert times[parts["val"]].max() < times[parts["test"]].min()


@settings(deadline=None, max_examples=60)
@given(rows=st.integers(100, 400), seed=SEEDS, folds=st.sampled_from([0, 5]))
def test_each_part_has_the_shares_of_the_classes(rows: int, seed: int, folds: int) -> None:
    labels = (torch.arange(rows) % 10 == 0).long()
    parts = split(asked(split="stratified", folds=folds), rows, seed, labels)
    for part, numbers in parts.items():
        expected = labels.double().mean() * len(numbers)
        assert abs(labels[numbers].sum() - expected) <= 1.5, part


@pytest.mark.parametrize("scheme", ["random", "stratified", "group"])
def test_the_folds_of_successive_seeds_cover_every_row_once(scheme: str) -> None:
    rows, labels, groups = 103, labels_of(103, 3, 0), labels_of(103, 30, 1)
    tests = [split(asked(split=scheme, folds=5), rows, seed, labels, groups)["test"] for seed in range(5, 10)]
    assert torch.cat(tests).sort().values.tolist() == list(range(rows))
    other = [split(asked(split=scheme, folds=5), rows, seed, labels, groups)["test"] for seed in range(10, 15)]
    assert {tuple(one.tolist()) for one in tests} != {tuple(one.tolist()) for one in other}, "drawn anew after K seeds"


def test_folds_in_time_move_on() -> None:
    times = torch.arange(120.0, dtype=torch.float64).flip(0)
    parts = [split(asked(folds=3), 120, seed, times=times) for seed in range(3)]
    starts = [int(times[one["test"]].min()) for one in parts]
    assert starts == [30, 60, 90]
    assert [len(one["test"]) for one in parts] == [30, 30, 30]


def test_without_a_scheme_the_split_is_what_it_always_was() -> None:
    parts = split(asked(), 10, 3)
    order = torch.cat([parts["train"], parts["val"], parts["test"]])
    assert torch.equal(order, torch.randperm(10, generator=seeding.generator(3, "split")))
    assert {part: len(numbers) for part, numbers in parts.items()} == {"train": 6, "val": 2, "test": 2}
    assert all(torch.equal(parts[part], split(asked(split="random"), 10, 3)[part]) for part in parts)


def test_what_the_data_say_is_kept() -> None:
    given = torch.tensor([-1] * 40 + [2] * 10 + [1] * 10 + [0] * 20)
    parts = split(asked(), 80, 0, given=given)
    assert parts["test"].tolist() == list(range(40, 50))
    assert parts["val"].tolist() == list(range(50, 60))
    assert sorted(parts["train"].tolist()) == [*range(40), *range(60, 80)]
    drawn = split(asked(), 80, 0, given=torch.where(given == 1, -1, given))
    assert drawn["test"].tolist() == list(range(40, 50))
    assert len(drawn["val"]) == 16
    assert not set(drawn["val"].tolist()) & set(range(40, 50))


@pytest.mark.parametrize(
    ("settings", "of_rows", "message"),
    [
        ({"split": "stratified"}, {}, "needs targets that are classes"),
        ({"split": "group"}, {}, "needs groups"),
        ({"split": "time"}, {}, "needs times"),
        ({}, {"groups": torch.arange(50), "times": torch.arange(50.0)}, "data.split=group or data.split=time"),
        ({"folds": 9}, {"groups": torch.arange(50) % 4}, "needs so many groups, and there are 4"),
        ({}, {"groups": torch.arange(50) // 49}, "The rows belong to 2 groups"),
        ({"folds": 50}, {}, "leaves 1 rows for testing, and .* for training; ask for fewer folds"),
        ({"batch_size": 31}, {}, "larger than the training split, which has 30 rows"),
        ({"folds": 3}, {"given": torch.arange(50) % 3}, "leave data.folds away"),
        (
            {"path": "x.csv", "split": "random"},
            {"labels": (torch.arange(50) == 7).long()},
            "stratified gives each part",
        ),
    ],
)
def test_what_cannot_be_split_is_refused(settings: dict[str, Any], of_rows: dict[str, Any], message: str) -> None:
    seed = next(s for s in range(100) if 7 in split(asked(), 50, s)["test"].tolist())
    with pytest.raises(BadRequest, match=message):
        split(asked(**settings), 50, seed, **of_rows)


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(80, 300),
    seeds=st.lists(SEEDS, min_size=2, max_size=2, unique=True),
    scheme=st.sampled_from(["random", "stratified", "group", "time"]),
    folds=st.sampled_from([0, 3]),
)
def test_seeds_of_one_test_seed_test_on_the_same_rows_and_train_on_none_of_them(
    rows: int, seeds: list[int], scheme: str, folds: int
) -> None:
    of_rows = labels_of(rows, 3, 0), labels_of(rows, 20, 1), torch.rand(rows, dtype=torch.float64)
    first, second = (split(asked(split=scheme, folds=folds, test_seed=7), rows, seed, *of_rows) for seed in seeds)
    own = split(asked(split=scheme, folds=folds), rows, 7, *of_rows)
    assert set(first["test"].tolist()) == set(second["test"].tolist()) == set(own["test"].tolist())
    for parts in (first, second):
        assert not set(parts["test"].tolist()) & {*parts["train"].tolist(), *parts["val"].tolist()}
    if scheme != "time":
        assert set(first["val"].tolist()) != set(second["val"].tolist()), "each seed draws its own validation rows"
        other = split(asked(split=scheme, folds=folds, test_seed=8), rows, seeds[0], *of_rows)
        assert set(other["test"].tolist()) != set(first["test"].tolist())
    unset, none = (
        split(asked(split=scheme, folds=folds, **more), rows, 7, *of_rows) for more in ({}, {"test_seed": -1})
    )
    assert all(torch.equal(unset[part], none[part]) for part in unset)
