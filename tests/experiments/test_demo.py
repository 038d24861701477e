"""`make demo`: what it asks for, and what it shows."""

import re
import shlex
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from losslab import compose
from losslab.cli import main, train
from losslab.request.command import check_command
from losslab.request.compose import hydra_at_conf
from losslab.request.overrides import axes
from losslab.schema import identities

ROOT = Path(__file__).resolve().parents[2]


def words() -> list[str]:
    """What the demo types after `train.py`, but for its folder."""
    recipe = (ROOT / "Makefile").read_text().split("\ndemo:")[1].split("\n\n")[0]
    (line,) = re.findall(r"train\.py (.*?)\n\t\$", recipe.replace("\\\n", ""), re.S)
    return [word for word in shlex.split(line) if not word.startswith("hydra.sweep.dir")]


def test_the_demo_has_seeds_enough_for_a_claim_and_no_loss_twice() -> None:
    with hydra_at_conf():
        given = axes([word for word in words() if word != "-m"])
    check_command([word for word in words() if word != "-m"], multirun=True)
    assert len(given["seed"]) >= 7
    assert given["corruption.side"] == ["corruption.side=one_sided"]
    assert len(given["corruption.fraction"]) >= 3
    assert len(given["loss"]) == 4
    asked = {loss: [compose("task=regression", loss)["loss"]] for loss in given["loss"]}
    assert identities.same(asked, "regression") == [], "no two of them are one loss"


@pytest.mark.slow
def test_the_demo_answers_and_leads_with_robustness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["train.py"])
    GlobalHydra.instance().clear()
    assert train.train([*words(), "hydra.sweep.dir=demo"]) == 0
    assert "128 done" in capsys.readouterr().out
    assert main.main(["report", "demo"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "One loss for 4 settings: `tukey`. " in out
    assert "use `tukey`: test MAE 1." in out
    assert re.search(r"`mse` [3-9]\.\d", out), "which the outliers drag along"
    sections = re.findall(r'<section id="([a-z]+)">', Path("demo/report.html").read_text())
    assert sections[0] == "robustness"
    assert Path("demo/report.md").read_text().split("![")[1].split("](")[1].startswith("figures/robustness.png")
