"""What the tests share: one thread, a quick run, and example inputs for any loss of the registry."""

import gc
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from faults import children

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what third parties say while they are imported
    gc.disable()  # until all tests are collected: what is imported and collected stays
    import pytorch_lightning  # noqa: F401

from losslab import compose, register
from losslab.records.record import Record
from losslab.schema import cards
from losslab.training.run import run

# Two workers on two cores: threads that wait for one another across processes would make a step take a hundred times as long.
torch.set_num_threads(1)
children.plain(os.environ)  # for what tests print, and for the processes that they start


def pytest_collection_finish() -> None:
    """Looks for garbage from here on, but no more among the million objects that stay."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Lets what stayed be freed in order at the end: libraries complain of what is left."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _as_in_the_foreground() -> Iterator[None]:
    """A shell starts what runs in its background deaf to Ctrl-C, and so are the processes that it starts."""
    with children.in_foreground():
        yield


@pytest.fixture(autouse=True)
def _forgets_what_a_test_registers() -> Iterator[None]:
    """A loss that a test or a notebook registers lasts as long as the process, and would be listed in the tests after it."""
    before = set(cards.from_outside())
    yield
    for group, name in set(cards.from_outside()) - before:
        register.forget(group, name)


SMALL = {
    "multiclass": ["data=digits"],
    "binary": ["data=breast_cancer"],
    "regression": ["data.rows=300"],
    "counts": ["data.rows=300"],
    "quantiles": ["data.rows=300"],
    "ordinal": ["data.rows=300"],
    "multilabel": ["data.rows=300"],
    "segmentation": ["data.rows=300", "data.side=8"],
    "bbox": ["data.rows=120", "data.batch_size=32", "model.channels=[4,8,8]", "model.hidden=16"],
}


@pytest.fixture
def quick(tmp_path: Path) -> Callable[..., Record]:
    """`quick("task=bbox", "loss=l1", into="a")`: a run of two epochs on few rows, in tmp_path/a."""

    def train(*overrides: str, into: str = "run") -> Record:
        task = next((text.removeprefix("task=") for text in overrides if text.startswith("task=")), "regression")
        return run(
            compose(f"task={task}", *SMALL[task], "trainer.max_epochs=2", "trainer=cpu", "logger=none", *overrides),
            tmp_path / into,
        )

    return train
