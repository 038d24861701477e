"""The tab key after `losslab`, and `losslab tensorboard`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from losslab.cli import completion
from losslab.cli.main import main


def completed(line: str, tmp_path: Path) -> list[str]:
    """What a shell is answered that asks for the rest of a line."""
    answer = tmp_path / "answer"
    with answer.open("w") as file:
        environment = os.environ | {
            "_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_LINE": line, "COMP_POINT": str(len(line)),
            "COMP_TYPE": "9", "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        }  # fmt: skip
        subprocess.run(
            [sys.executable, "-c", "from losslab.cli.main import main; main()"],
            env=environment,
            stdout=file,
            timeout=60,
        )
    return [word.strip() for word in answer.read_text().splitlines()]


@pytest.mark.slow
def test_a_shell_is_answered(tmp_path: Path) -> None:
    assert {"inspect", "compare", "train", "tensorboard"} <= set(completed("losslab ", tmp_path))
    assert completed("losslab show hub", tmp_path) == ["huber"]


def test_words_of_a_request_are_completed() -> None:
    assert completion.request_words("loss=hub") == ["loss=huber"]
    assert completion.request_words("loss=mse,hub") == ["loss=mse,huber"]
    assert "data.path=" in completion.request_words("data.p")
    assert {"task=", "trainer="} <= set(completion.request_words("t"))
    assert completion.request_words("nothing=") == []
    assert "corruption=leverage" in completion.what_is_drawn("corruption=le")
    assert completion.losses("hub") == ["huber"]


@pytest.mark.slow
def test_tensorboard_is_started_on_a_folder_with_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tensorboard", "nowhere"]) == 2
    assert "There is no folder nowhere." in capfd.readouterr().err
    (tmp_path / "runs").mkdir()
    assert main(["tensorboard", "runs"]) == 2
    assert "no TensorBoard files below runs" in capfd.readouterr().err
    words = ["task=regression", "trainer.max_epochs=1", "trainer=cpu", "hydra.run.dir=runs/one"]
    assert main(["train", *words]) == 0
    assert main(["tensorboard", "runs", "--inspect"]) == 0
    assert "val/loss" in capfd.readouterr().out
