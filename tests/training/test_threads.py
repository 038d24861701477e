"""How many CPU threads torch computes with, and that losslab leaves them as it found them."""

import builtins
import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from losslab import compose
from losslab.cli import train as cli_train
from losslab.fused.sizing import Size
from losslab.schema import check
from losslab.sweep.jobs import Job
from losslab.sweep.resume import Resumption
from losslab.sweep.runner import train_all
from losslab.training import threads
from losslab.training.prepare import prepare
from losslab.training.run import run

SHORT = {"GOMP_SPINCOUNT": "5000", "KMP_BLOCKTIME": "1"}
SMALL = ("data.rows=300", "trainer.max_epochs=2", "trainer=cpu", "logger=none")


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with eight CPUs whose user has said nothing of threads."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "most", lambda: 8)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["task=regression"], 1),
        (["task=multiclass", "data=mnist5k", "model.hidden=[128,64]", "data.batch_size=128"], 1),
        (["task=multiclass", "model=cnn"], 1),
        (["task=bbox"], 7),
        (["task=regression", "data.batch_size=1000", "model.hidden=[256,256]"], 3),
    ],
)
def test_small_runs_take_one_thread(eight: None, words: list[str], count: int) -> None:
    parts = prepare(check.check(compose(*words)))
    assert parts.threads() == count
    assert parts.threads(runs=1000) == 8


def test_an_operation_that_cannot_be_counted_is_worth_its_weights(eight: None) -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.Parameter(torch.ones(1_000_000))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs * self.weights.cumsum(0)[-1]

    assert threads.worth(Odd(), torch.ones(100, 1)) == 4


def test_a_model_that_cannot_be_counted_is_worth_its_weights(eight: None) -> None:
    class Shy(nn.Linear):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            if is_in_torch_dispatch_mode():
                raise RuntimeError("cannot be watched")
            return super().forward(inputs)

    model = Shy(1000, 1000)
    model(torch.ones(1, 1000))
    assert threads.worth(model, torch.ones(100, 1000)) == 4
    assert model.training


def test_counting_changes_neither_model_nor_generators(eight: None) -> None:
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(3, 1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    threads.worth(model, torch.randn(5, 3, generator=torch.Generator().manual_seed(0)))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_run_and_a_sweep_leave_the_threads_as_they_were(eight: None, tmp_path: Path) -> None:
    record = run(compose(*SMALL), tmp_path / "lone", bar=False)
    assert (record.device, torch.get_num_threads()) == ("cpu, 1 thread", 2)
    request = check.check(compose(*SMALL))
    jobs = [Job(request | {"seed": seed}, tmp_path / f"{seed}", seed) for seed in range(3)]
    records = train_all(jobs, lambda *_: None).records
    assert [(one.device, one.fused) for one in records] == [("cpu, 1 thread", 3)] * 3
    assert torch.get_num_threads() == 2


@pytest.mark.slow
def test_a_stack_goes_on_with_the_threads_that_were_measured(
    eight: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = check.check(compose(*SMALL[1:], "trainer.max_epochs=100"))
    jobs = [Job(request | {"seed": seed}, tmp_path / f"{seed}", seed) for seed in range(4)]
    used = []

    def stop(self: object, *_: object) -> None:
        used.append(torch.get_num_threads())
        raise KeyboardInterrupt

    monkeypatch.setattr("losslab.fused.module.FusedModule.on_train_epoch_end", stop)
    for measured in (3, 5):  # the machine has become busier in between
        monkeypatch.setattr("losslab.sweep.planning.fastest", lambda run, most, device, count=measured: Size(4, count))
        with pytest.raises(KeyboardInterrupt):
            train_all(jobs, lambda *_: None)
    assert used == [3, 3]
    plan = json.loads((Resumption(jobs).folder / "plan.json").read_text())
    assert [stack["threads"] for stack in plan["stacks"]] == [3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "given", "kept"),
    [
        ("hydra.run.dir=one", {}, SHORT),
        ("-m loss=l1,mse", {}, SHORT),
        ("study=fair study.losses=[l1,mse]", {}, SHORT),
        ("hydra.run.dir=one", {"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
        ("-m loss=l1,mse", {"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ("study=fair study.losses=[l1,mse]", {"KMP_BLOCKTIME": "0"}, {"KMP_BLOCKTIME": "0"}),
    ],
)
def test_the_command_lets_threads_sleep_unless_the_user_says_otherwise(
    line: str, given: dict, kept: dict, tmp_path: Path
) -> None:
    """In a process of its own, at the moment in which torch is imported."""
    code = (
        "import os, sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': print({k: v for k, v in os.environ.items() if k in "
        "('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME')}); sys.stdout.flush(); os._exit(0)\n"
        "sys.meta_path.insert(0, Watch())\n"
        "from losslab.cli.train import train\n"
        "train(sys.argv[1:])\n"
    )
    others = {
        key: value
        for key, value in os.environ.items()
        if key not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    }
    done = subprocess.run(
        [sys.executable, "-c", code, *line.split()],
        env=others | given,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1:] == [str(kept)], done.stderr


def test_a_number_that_the_user_gives_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("joblib.cpu_count", lambda: 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert threads.most() == 1, "no more than the CPUs that the process may use"
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    assert threads.most() == threads.worth(nn.Linear(1, 1), torch.ones(1, 1)) == 6


def test_torch_is_imported_once_without_a_look_for_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[bool] = []
    imported = builtins.__import__

    def noted(name: str, *more: Any) -> Any:
        if name == "losslab.training.run":
            looked.append(gc.isenabled())
        return imported(name, *more)

    monkeypatch.setattr(builtins, "__import__", noted)
    cli_train.before_torch([])
    assert looked == []
    with monkeypatch.context() as patched:
        patched.delitem(sys.modules, "torch")
        cli_train.before_torch([])
    assert looked == [False]
    assert gc.isenabled()
