"""Which runs of a sweep train as one stack, where their splits may have parts of several sizes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from losslab import compose, data
from losslab.sweep.jobs import Job
from losslab.sweep.planning import plan
from losslab.sweep.training import train_stack
from losslab.training.run import run

QUICK = ("trainer=cpu", "logger=none", "trainer.max_epochs=3", "fused.size=100")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 2))
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "who": rng.integers(0, 23, 200), "y": x.sum(1)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


def jobs(table: Path, *words: str) -> list[Job]:
    asked = (
        "task=regression",
        "data=table",
        f"data.path={table}",
        "data.target=y",
        "data.batch_size=16",
        *QUICK,
        *words,
    )
    requests = [compose(*asked, f"loss={loss}", f"seed={seed}") for loss in ("mse", "l1") for seed in range(6)]
    return [Job(request, table.parent / str(number), number) for number, request in enumerate(requests)]


@pytest.mark.slow
def test_folds_of_one_size_are_one_stack(table: Path) -> None:
    assert [len(stack.jobs) for stack in plan(jobs(table, "data.folds=5"))] == [12]


@pytest.mark.slow
def test_runs_of_a_stack_have_parts_of_the_same_sizes(table: Path) -> None:
    stacks = plan(jobs(table, "data.group=who"))
    assert sum(len(stack.jobs) for stack in stacks) == 12
    assert 1 < len(stacks) < 12
    for stack in stacks:
        found = {
            tuple(data.sizes(one.request["data"], one.request["seed"], "regression").values()) for one in stack.jobs
        }
        assert len(found) == 1


@pytest.mark.slow
def test_a_stack_of_folds_gives_what_lone_runs_give(table: Path) -> None:
    some = jobs(table, "data.folds=5")
    [whole] = plan(some)
    records = train_stack(whole, table.parent)
    for one in some[::5]:
        alone = run(one.request, table.parent / f"alone{one.number}")
        stacked = next(record for record in records if record.config == alone.config)
        assert stacked.fused > 1
        assert stacked.metrics["best/test/mae"] == pytest.approx(alone.metrics["best/test/mae"], rel=1e-4)
        assert stacked.pairing == alone.pairing


def test_runs_that_share_rows_and_weights_lie_in_one_stack(tmp_path: Path) -> None:
    requests = [
        compose("trainer=cpu", "fused.size=4", f"loss={loss}", f"seed={seed}")
        for loss in ("mse", "l1", "huber", "tukey")
        for seed in range(3)
    ]
    stacks = plan([Job(request, tmp_path / str(number), number) for number, request in enumerate(requests)])
    found = [{(job.request["seed"], job.request["loss"]["name"]) for job in stack.jobs} for stack in stacks]
    assert sorted(len({seed for seed, _ in runs}) for runs in found) == [1, 1, 1]
    assert [len(runs) for runs in found] == [4, 4, 4]
