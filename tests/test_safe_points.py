"""Ctrl-C and SIGTERM end every command with 130, wherever they come, and leave nothing half made."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from losslab.cli import main, train
from losslab.safe_points import check, noted

ROOT = Path(__file__).resolve().parents[1]
SMALL = ["data.rows=200", "trainer=cpu", "trainer.max_epochs=2", "model.hidden=[8]", "logger=none"]
STUDY = ["study=fair", "study.losses=[mse,huber]", "study.seeds=2", "study.tuning.trials=2", "study.tuning.seeds=1"]


@pytest.fixture(autouse=True)
def _as_they_were() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    assert signal.getsignal(signal.SIGINT) is before, "what was there is put back"


def send(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_a_safe_point_and_a_second_one_does_not(number: int) -> None:
    passed = []

    def once() -> None:
        send(number)
        passed.append("first")
        check()
        passed.append("too far")

    def twice() -> None:
        send(number)
        send(number)
        passed.append("too far")

    def at_the_end() -> None:
        send(number)
        passed.append("end")

    def in_an_error() -> None:
        send(number)
        raise ValueError("made of what was interrupted")

    for what in (once, twice, at_the_end, in_an_error):
        assert interrupted(what)
    check()
    assert passed == ["first", "end"]


def interrupted(what: Callable[[], object]) -> bool:
    try:
        with noted():
            what()
    except KeyboardInterrupt:
        return True
    return False


def test_what_has_no_safe_point_is_interrupted_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("losslab.safe_points._PATIENCE", 0.05)
    handler, passed = signal.getsignal(signal.SIGALRM), []

    def waits() -> None:
        send()
        threading.Event().wait(60)
        passed.append("too far")

    assert interrupted(waits)
    assert not passed
    assert signal.getsignal(signal.SIGALRM) is handler


def test_other_threads_and_ignored_signals_stay_as_they_are() -> None:
    seen = []

    def inside() -> None:
        with noted():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with noted():
        send()
        check()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def swallowing(original: Callable[..., object], number: int) -> Callable[..., object]:
    """A call in which the signal comes, and which passes no KeyboardInterrupt on, as code in Cython does."""

    def call(*args: object, **kwargs: object) -> object:
        with suppress(KeyboardInterrupt):
            send(number)
        return original(*args, **kwargs)

    return call


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "words"),
    [
        ("scipy.stats.qmc.Sobol.random_base2", STUDY),
        ("losslab.training.prepare.fingerprint", []),
        ("losslab.training.prepare.fingerprint", ["-m", "seed=0,1"]),
        ("losslab.training.module.RunModule.raw", []),
        ("losslab.fused.module.FusedModule.outputs", ["-m", "seed=0,1"]),
        ("losslab.schema.canonical.set_value", ["-m", "seed=0,1"]),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_was_swallowed_still_ends_the_command(
    owner: str, words: list[str], number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    path, name = owner.rsplit(".", 1)
    try:
        home = import_module(path)
    except ModuleNotFoundError:
        home = getattr(import_module(path.rsplit(".", 1)[0]), path.rsplit(".", 1)[1])
    monkeypatch.setattr(home, name, swallowing(getattr(home, name), number))
    where = f"hydra.{'sweep' if words else 'run'}.dir={tmp_path / 'all'}"
    assert train.train([*words, *SMALL, where]) == 130
    said = capsys.readouterr().err
    assert said.startswith("\nStopped. The same command repeats no finished run")
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("record.json")), "nothing is trained of what was interrupted"


def test_points_that_are_no_sobol_points_are_not_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("scipy.stats.qmc.Sobol.random_base2", lambda _, power: np.zeros((2**power, 16)))
    assert train.train([*STUDY, *SMALL, f"hydra.sweep.dir={tmp_path}"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("train.py: SciPy gave points that are no Sobol points")
    assert said.count("\n") == 1
    assert not list(tmp_path.rglob("record.json"))


def test_ctrl_c_at_the_very_end_leaves_130_and_no_traceback(tmp_path: Path) -> None:
    code = (
        "import atexit, os, runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT));"
        "sys.argv = ['train.py', '--cfg', 'job']; runpy.run_path('train.py', run_name='__main__')"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, "")


def test_ctrl_c_in_a_report_ends_it_in_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("losslab.cli.main.report_on", lambda *_: send() or 0)
    assert main.main(["report", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "\nStopped.\n"
