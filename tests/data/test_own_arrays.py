"""Arrays of any shape: as a file, by the library and as a dataset of torch."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

import losslab
from losslab import data
from losslab.errors import BadRequest
from losslab.request.command import StudyRequest, check_command
from losslab.request.own_data import Options, ask, study_of

N = 60
RNG = np.random.default_rng(8)
PICTURES = RNG.integers(0, 256, (N, 3, 9, 9)).astype("uint8")
LABELS = RNG.choice(["cat", "dog", "eel"], N)
QUICK: dict[str, Any] = {
    "seeds": 5, "trials": 2, "progress": False, "options": ["trainer.max_epochs=1", "trainer=cpu", "logger=none"],
}  # fmt: skip


def saved(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "x.npz", **arrays)
    return folder / "x.npz"


def test_pictures_as_arrays_are_shares_with_their_labels(tmp_path: Path) -> None:
    path = saved(tmp_path, inputs=PICTURES, targets=LABELS, groups=np.arange(N) % 20, weights=np.ones(N))
    source, parts = data.load(
        {"name": "arrays", "path": str(path), "order": [], "batch_size": 8, "val_fraction": 0.2, "test_fraction": 0.2},
        0,
        "multiclass",
    )
    assert source.kind == "picture"
    assert torch.equal(source.inputs, torch.tensor(PICTURES).float() / 255)
    assert source.target_names == ("cat", "dog", "eel")
    assert [source.target_names[number] for number in source.targets] == list(LABELS)
    assert source.groups is not None
    assert not set(source.groups[parts["train"]].tolist()) & set(source.groups[parts["test"]].tolist())


@pytest.mark.parametrize(
    ("inputs", "targets", "task", "kind"),
    [
        (PICTURES, LABELS, "multiclass", "picture"),
        (PICTURES[:, 0], RNG.normal(size=N), "regression", "picture"),
        (RNG.normal(size=(N, 4)), RNG.normal(size=(N, 3)), "regression", "table"),
        (RNG.normal(size=(N, 4)), RNG.integers(0, 2, (N, 3)), "multilabel", "table"),
        (RNG.normal(size=(N, 2, 9, 9)), np.tile([0.1, 0.2, 0.6, 0.7], (N, 1)), "bbox", "picture"),
    ],
)
def test_the_words_ask_for_the_same_study(
    tmp_path: Path, inputs: Any, targets: Any, task: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path, inputs=inputs, targets=targets)
    found = ask(path, Options(task="" if task != "bbox" else task))
    assert found.task == task
    asked = check_command(shlex.split(found.command)[2:], multirun=False)
    assert isinstance(asked, StudyRequest)
    assert study_of(found, "study", "").mark()["base"] == asked.study.mark()["base"]
    loaded, _ = data.load(asked.study.base["data"], 0, task)
    assert loaded.kind == kind


def test_words_of_arrays_lie_in_the_order_that_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, inputs=PICTURES, targets=LABELS)
    with pytest.raises(BadRequest, match=r"needs their order.*data.order=\[cat,dog,eel\]"):
        ask(path, Options(task="ordinal"))
    found = ask(path, Options(task="ordinal", words=["data.order=[dog,eel,cat]"]))
    source, _ = data.load(study_of(found, "study", "").base["data"], 0, "ordinal")
    assert source.target_names == ("dog", "eel", "cat")
    assert [source.target_names[number] for number in source.targets] == list(LABELS)


@pytest.mark.slow
def test_compare_takes_pictures_several_targets_and_datasets(tmp_path: Path) -> None:
    found = losslab.compare(PICTURES, LABELS, ["cross_entropy", "focal"], store=tmp_path / "a", **QUICK)
    assert found.study.base["model"]["name"] == "cnn"
    assert set(found.frame()["status"]) == {"done"}
    again = losslab.compare(
        TensorDataset(torch.tensor(PICTURES), torch.tensor(np.unique(LABELS, return_inverse=True)[1])),
        losses=["cross_entropy", "focal"], task="multiclass", store=tmp_path / "b", **QUICK,
    )  # fmt: skip
    assert list(again.frame()["value"]) == list(found.frame()["value"])
    both = losslab.compare(
        RNG.normal(size=(N, 4)), RNG.normal(size=(N, 2)), ["mse", "l1"], store=tmp_path / "c", **QUICK
    )
    assert both.question.names == ("target0", "target1")


@pytest.mark.parametrize(
    ("arrays", "task", "said"),
    [
        ({"inputs": PICTURES, "targets": LABELS[:9]}, "", "one row for each of the 60 inputs"),
        (
            {"inputs": np.full((N, 2, 2), np.nan), "targets": LABELS},
            "",
            "row 1 of inputs holds a number that is not finite",
        ),
        ({"inputs": np.array(["a"] * N)[:, None], "targets": LABELS}, "", "inputs must be numbers"),
        ({"inputs": PICTURES, "targets": RNG.normal(size=(N, 4))}, "", "Add --task bbox or --task regression"),
        ({"inputs": PICTURES, "targets": np.full((N, 4), 7.0)}, "bbox", "in shares of the picture"),
        ({"inputs": PICTURES, "targets": np.full(N, "cat")}, "multiclass", "one"),
        ({"inputs": PICTURES, "targets": RNG.normal(size=(N, 2))}, "multiclass", "one label a row"),
        ({"inputs": PICTURES, "targets": np.eye(3)[RNG.integers(0, 3, N)]}, "", "one 1 among 0s.*--task multilabel"),
        ({"inputs": PICTURES, "targets": RNG.normal(size=(N, 2))}, "multilabel", "are 0 or 1"),
        ({"inputs": PICTURES, "targets": RNG.integers(0, 2, N)}, "multilabel", "two labels or more"),
        ({"inputs": PICTURES, "targets": np.eye(3)[np.arange(N) % 2]}, "multilabel", "label 2 holds for no row"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(tmp_path: Path, arrays: Any, task: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said) as caught:
        ask(saved(tmp_path, **arrays), Options(task=task))
    assert "\n" not in str(caught.value)


def test_the_library_refuses_what_it_cannot_join() -> None:
    with pytest.raises(BadRequest, match="y is missing"):
        losslab.compare(PICTURES)
    with pytest.raises(BadRequest, match="arrays have no columns"):
        losslab.compare(PICTURES, "label")
    with pytest.raises(BadRequest, match="must be a pair"):
        losslab.compare(TensorDataset(torch.zeros(5, 2)))
    with pytest.raises(BadRequest, match="leave y away"):
        losslab.compare(TensorDataset(torch.zeros(5, 2), torch.zeros(5)), torch.zeros(5))
