"""What the README and the pages below docs/ show works as it stands there."""

import math
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from losslab import compose
from losslab.catalogue.listing import markdown
from losslab.cli.main import main
from losslab.records.run_folder import write_config
from losslab.schema import cards, compatibility
from losslab.study import asking
from support import pages

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = {path: path.read_text() for path in [README, *sorted((ROOT / "docs").glob("*.md"))]}
PAGES_BY_NAME = {path.relative_to(ROOT).as_posix() for path in PAGES}
FURTHER = sorted([*(ROOT / "experiments").glob("*/*.md"), *(ROOT / "examples").glob("*.md")])


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def page(name: str) -> str:
    return PAGES[ROOT / name]


PYTHON = [(block.page, block.code) for block in pages.blocks("python")]
YAML = [yaml.safe_load(block.code) for block in pages.blocks("yaml")]
COMMANDS = [(block.page, line) for block in pages.blocks("bash") for line in block.commands]


def put_runs(folder: Path) -> None:
    """Two runs, stopped before their records, with the names that the pages have."""
    for name in ("mse-e07df9fd", "l1-a392c632"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        write_config(folder / name, compose())


def test_the_readme_is_one_page_with_one_figure() -> None:
    assert README.stat().st_size <= 10_000
    assert len(re.findall(r"!\[[^\]]*\]\(", page("README.md"))) == 1
    for part in ("make demo", "make test", "python train.py -m ", "python train.py study="):
        assert any(where == "README.md" and line.startswith(part) for where, line in COMMANDS), part


def test_the_numbers_of_the_readme_are_those_of_the_code() -> None:
    text, words = (
        page("README.md"),
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"**{words[len(cards.names('task'))].capitalize()} tasks**" in text
    assert project["requires-python"] == ">=3.11,<3.14"
    assert "Python 3.11 to 3.13" in text
    assert "Python 3.11 to 3.13" in page("docs/first_answer.md")
    for name, version in re.findall(r"(torch|pytorch-lightning) ([\d.]+\d) or newer", text):
        assert f"{name}>={version}" in project["dependencies"]
    fair = cards.card("study", "fair").values
    assert f"number of trials, {words[fair['tuning']['repeats']]} times over" in text
    assert f"on {words[fair['seeds']]} fresh seeds" in text
    study = fair | yaml.safe_load((ROOT / "conf/experiment/outlier_robustness.yaml").read_text())["study"]
    assert f"The figure shows {words[len(study['losses'])]} losses" in text
    assert f"means over {words[study['seeds']]} seeds" in text
    demo = next(line for line in (ROOT / "Makefile").read_text().splitlines() if "train.py -m" in line)
    losses = re.search(r" loss=(\S+)", demo)
    assert losses
    assert f"compares {words[losses[1].count(',') + 1]} losses" in text


def test_a_page_of_advice_quotes_what_is_computed_and_has_no_other_figure() -> None:
    """Study figures are quoted from docs/findings.md, which is held to the records; the rest can be reckoned here."""
    rows = dict(re.findall(r"(?m)^\| \[(\w+)\]\(.*?\) \| (.+) \|$", page("docs/findings.md")))
    quotes = re.findall(r"(?m)^> \[(\w+)\]\(\.\./experiments/\w+/README\.md\): (.+)$", page("docs/comparing.md"))
    assert len(quotes) >= 4
    for study, said in quotes:
        assert rows[study] == said, study
    assert math.comb(8, 2) == 28
    assert 1 < 28 * 0.05 < 2  # "Eight losses make 28 pairs. At 5 % each, one or two of them differ by chance."
    known = {
        "docs/questions.md": {"0"},
        "docs/comparing.md": {"28", "5"},
        "docs/first_answer.md": {"1", "2", "3", "4", "5", "6", "3.11", "3.13", "0"},
    }
    for name, numbers in known.items():
        prose = re.sub(r"(?ms)^> .*?$|```.*?```|`[^`]*`|\]\([^)]*\)", "", page(name))
        assert set(re.findall(r"\d+(?:\.\d+)?", prose)) <= numbers, name


def test_every_page_of_docs_is_linked_from_the_readme_and_from_the_index() -> None:
    for path in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{path.name})" in page("README.md"), path.name
        assert path.name == "README.md" or f"({path.name})" in page("docs/README.md"), path.name


def test_its_make_targets_exist() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    shown = [line.split()[1] for _, line in COMMANDS if line.startswith("make ")]
    shown += [target for text in PAGES.values() for target in re.findall(r"`make ([\w-]+)", text)]
    assert {"demo", "test", "catalogue", "conformance", "experiments"} <= set(shown) <= set(targets)


def test_one_page_names_every_make_target() -> None:
    for target in re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE):
        assert f"`make {target}`" in page("docs/development.md"), target


def test_make_catalogue_writes_the_page_that_holds_it() -> None:
    recipe = (ROOT / "Makefile").read_text().split("\ncatalogue:")[1].split("\n\n")[0]
    assert "runs/catalogue.md' docs/losses.md\n" in recipe
    assert "README" not in recipe


@pytest.mark.parametrize(("where", "code"), PYTHON, ids=[f"{where}-{i}" for i, (where, _) in enumerate(PYTHON)])
def test_its_code_runs(where: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from losslab.data import SOURCES
    from losslab.losses.base import LOSSES

    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    before = [(registry, set(registry)) for registry in (LOSSES, SOURCES)]
    exec(compile(code, where, "exec"), {})
    for registry, known in before:
        for added in set(registry) - known:
            assert added in [card.get("name") for card in YAML]
            del registry[added]


def test_its_study_is_one() -> None:
    recipe = next(found for found in YAML if "study" in found)
    asked = {**compose("task=regression"), "study": cards.card("study", "fair").values | recipe["study"]}
    study = asking.of(asked, "readme")
    assert study.losses == recipe["study"]["losses"]
    assert len(study.settings()) == 3


@pytest.mark.slow
def test_its_table_names_what_each_task_takes() -> None:
    for task in cards.names("task"):
        row = next(line for line in page("docs/tasks_and_data.md").splitlines() if line.startswith(f"| `{task}` "))
        columns = row.split("|")
        assert re.findall(r"`(\w+)`", columns[3]) == [compose(f"task={task}")["loss"]["name"]]
        assert sorted(re.findall(r"`(\w+)`", columns[4])) == compatibility.fitting("data", task)


def test_its_table_of_corruptions_names_what_fits_each_task() -> None:
    rows = {row.split("|")[1].strip(" `"): row for row in page("docs/corruption.md").splitlines() if row[:2] == "| "}
    fit = {task: set(re.findall(r"`(\w+)`", row)) & set(cards.names("corruption")) for task, row in rows.items()}
    fit["regression"] |= fit["counts"]  # "those of counts"
    for task in cards.names("task"):
        assert sorted(fit[task] | fit["every task"]) == compatibility.fitting("corruption", task)


def test_its_catalogue_is_that_of_the_cards() -> None:
    assert [named(path) for path, text in PAGES.items() if "<!-- catalogue -->" in text] == ["docs/losses.md"]
    _, between, _ = re.split(r"<!-- /?catalogue -->", page("docs/losses.md"))
    assert between.strip() == markdown(cards.names("loss")), "`make catalogue` enters what the cards say"


@pytest.mark.slow
def test_its_losslab_commands_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pages.put_files(tmp_path)
    (tmp_path / "runs" / "shared").mkdir(parents=True)
    shown = {line for place, line in COMMANDS if line.startswith("losslab ") and place in PAGES_BY_NAME}
    shown = {line for line in shown if "report" not in line and "executor=" not in line}
    assert {"inspect", "compare", "train", "check", "show"} <= {line.split()[1] for line in shown}
    # compare and inspect take the same words, and only inspect is quick
    for line in sorted({line.replace("losslab compare", "losslab inspect") for line in shown}):
        command, *words = shlex.split(line)[1:]
        if command == "train":
            words += ["trainer.max_epochs=1"]
        if command == "worker":
            words += ["--wait=0"]
        put_runs(tmp_path / "runs" / "sweep")
        assert main([command, *words]) == 0, line


@pytest.mark.parametrize("group", ["model", "optimizer", "corruption", "trainer", "logger"])
def test_it_names_every_choice(group: str) -> None:
    for name in cards.names(group):
        assert any(f"`{name}`" in text for text in PAGES.values()), name


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?s)```.*?```", "", text))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", [*PAGES, *FURTHER], ids=named)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", path.read_text()):
        there = path.parent / target if target else path
        assert there.exists(), target
        assert there.resolve().is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(there.read_text()), f"{target}#{anchor}"
