"""Recipes for published tables: each card fits its study, and a wrong card is refused."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from losslab.cli import train
from losslab.errors import BadRequest
from losslab.request.command import StudyRequest, check_command
from losslab.schema import cards
from losslab.study import papers
from losslab.study.recipe import Study


@cache
def study(name: str, *more: str) -> Study:
    asked = check_command([f"experiment={name}", *more], multirun=False)
    assert isinstance(asked, StudyRequest)
    return asked.study


def card(name: str) -> dict[str, Any]:
    return copy.deepcopy(cards.card("experiment", name).about["paper"])


def test_there_are_eight_published_tables() -> None:
    assert len(papers.names()) >= 8


@pytest.mark.parametrize("name", papers.names())
def test_a_card_fits_its_study(name: str) -> None:
    """Every number has its loss, setting and metric; numbers in percent lie in 0 to 100."""
    paper = papers.of_study(study(name))
    assert paper
    assert len(paper.cells) == len(card(name).get("cells", []))
    assert len({(cell.loss, cell.setting, cell.metric) for cell in paper.cells}) == len(paper.cells)
    assert paper.cells or paper.orders
    if paper.unit == "%":
        assert paper.scale == 100
        assert all(0 <= cell.value <= 100 for cell in paper.cells)
    assert ("tuned" in study(name).rates) == (not paper.once)
    assert paper.within > 0 or not paper.cells


def test_a_setting_that_was_left_out_on_the_command_line_has_no_number() -> None:
    paper = papers.of_study(study("paper/jocor", "+study.axes.corruption.fraction=[0.5]"))
    assert paper
    assert [cell.value for cell in paper.cells] == [52.66, 92.74]


def test_a_number_that_fits_several_settings_is_refused() -> None:
    wrong = card("paper/jocor") | {"cells": [{"loss": "cross_entropy(label_smoothing=0.0)", "value": 50}]}
    with pytest.raises(BadRequest, match="fits 3 settings; 'at' must name a value of each axis"):
        papers.read(wrong, study("paper/jocor"))


def test_a_study_without_a_published_loss_is_refused_before_it_trains() -> None:
    with pytest.raises(BadRequest, match=r"the loss 'tukey\(c=3.3110\)', which the study does not train"):
        check_command(["experiment=paper/stars", "study.losses=[mse,l1]"], multirun=False)


def test_another_study_has_no_published_table() -> None:
    assert papers.of_study(study("label_noise")) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tabel": "x"}, "has no entry 'tabel'"),
        ({"read": ""}, "how its numbers came here"),
        ({"cells": [{"loss": "mse", "value": "high"}]}, "'high' for 'mse', which is no number"),
        ({"cells": [{"loss": "mse", "value": float("nan")}]}, "which is no number"),
        ({"cells": [{"loss": "l1", "value": 1}]}, "the loss 'l1', which the study does not train"),
        ({"cells": [{"loss": "mse", "value": 1, "metric": "slope7"}]}, "the metric 'slope7'"),
        ({"cells": [{"loss": "mse", "value": 1, "at": {"fraction": 0}}]}, "'fraction', which is no axis"),
        ({"cells": []}, "holds no number and no order"),
        ({"cells": [], "orders": [{"better": "mse", "than": "l1"}]}, "the loss 'l1'"),
    ],
)
def test_a_wrong_card_is_refused_in_a_sentence(change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequest, match="The published table of paper/stars") as caught:
        papers.read(card("paper/stars") | change, study("paper/stars"))
    assert said in str(caught.value)


@pytest.mark.slow
def test_the_command_prints_published_and_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    brief = ["trainer=cpu", "trainer.max_epochs=2", "logger=none", "study.seeds=2", "hydra.sweep.dir=made"]
    assert train.train(["experiment=paper/stars", *brief]) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert "Published and ours" in out
    assert "As published, of 4 numbers: " in out
    made = Path("made/published.md").read_text(encoding="utf-8").splitlines()
    assert made[0] == "|  | paper | ours, as published | verdict |"
    assert [line.split(" | ")[1] for line in made[2:6]] == ["6.793", "-0.4133", "-4.969", "2.253"]
    assert "| reproduced |" not in made[2]  # after two steps
