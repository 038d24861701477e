"""What the README shows works as it stands there."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from losslab import compose
from losslab.catalogue.listing import markdown
from losslab.cli import main
from losslab.request.command import check_command
from losslab.schema import cards, compatibility
from losslab.study import recipe as study_recipe

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


COMMANDS = [line.split("#")[0].strip() for block in blocks("bash") for line in block.splitlines()]


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("python train.py")])
def test_its_commands_are_valid_requests(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line)[2:]
    check_command([word for word in words if word != "-m"], multirun="-m" in words)


def test_its_make_targets_exist() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for line in COMMANDS:
        if line.startswith("make "):
            assert line.split()[1] in targets


@pytest.mark.parametrize("code", blocks("python"))
def test_its_code_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from losslab.losses.base import LOSSES

    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    known = set(LOSSES)
    exec(compile(code, "README.md", "exec"), {})
    for added in set(LOSSES) - known:
        assert added in [yaml.safe_load(block).get("name") for block in blocks("yaml")]
        del LOSSES[added]


def test_its_study_is_one() -> None:
    recipe = next(yaml.safe_load(block) for block in blocks("yaml") if "study:" in block)
    asked = {**compose("task=regression"), "study": cards.card("study", "fair").values | recipe["study"]}
    study = study_recipe.of(asked, "readme")
    assert study.losses == recipe["study"]["losses"]
    assert len(study.settings()) == 3


def test_its_table_names_what_each_task_takes() -> None:
    for task in cards.names("task"):
        row = next(line for line in README.splitlines() if line.startswith(f"| `{task}` "))
        columns = row.split("|")
        assert re.findall(r"`(\w+)`", columns[3]) == [compose(f"task={task}")["loss"]["name"]]
        assert sorted(re.findall(r"`(\w+)`", columns[4])) == compatibility.fitting("data", task)


def test_its_table_of_corruptions_names_what_fits_each_task() -> None:
    section = README.split("## Corruption")[1].split("\n## ")[0]
    rows = {line.split("|")[1].strip(" `"): line for line in section.splitlines() if line.startswith("| ")}
    named = {task: set(re.findall(r"`(\w+)`", row)) & set(cards.names("corruption")) for task, row in rows.items()}
    named["regression"] |= named["counts"]  # "those of counts"
    for task in cards.names("task"):
        assert sorted(named[task] | named["every task"]) == compatibility.fitting("corruption", task)


def test_its_catalogue_is_that_of_the_cards() -> None:
    _, between, _ = re.split(r"<!-- /?catalogue -->", README)
    assert between.strip() == markdown(cards.names("loss")), "`make catalogue` enters what the cards say"


def test_its_losslab_commands_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [line.split()[1:] for line in COMMANDS if line.startswith("losslab ") and "report" not in line]
    assert len(lines) >= 2
    for words in lines:
        assert main.main(words) == 0


@pytest.mark.parametrize("group", ["model", "optimizer", "corruption", "trainer", "logger"])
def test_it_names_every_choice(group: str) -> None:
    for name in cards.names(group):
        assert f"`{name}`" in README


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *(ROOT / "experiments").glob("*/README.md")], ids=lambda page: page.parent.name
)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target
