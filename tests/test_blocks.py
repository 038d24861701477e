"""Every block of code and every command on a page is run, or read by what it is for; a block that nothing reads is an error."""

import re
import tomllib
from collections.abc import Callable
from contextlib import AbstractContextManager, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import yaml

from losslab.cli import main as cli
from losslab.cli import messages
from losslab.request.command import check_command
from losslab.schema import cards
from losslab.sweep import engines
from losslab.sweep.forecast import Forecast
from support import pages
from support.picture_files import COLOURS, class_folders

ROOT = pages.ROOT
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TARGETS = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
PLACEHOLDERS = re.compile(r"\b(NAME|DIR|FILE|FOLDER|DATA)\b|\.\.\.")


class Parsed(Exception):
    """A command line was understood."""


def parsed() -> AbstractContextManager[None]:
    """In the place of what a command does once its words are read."""
    raise Parsed


def is_request(line: str) -> None:
    """A run, sweep or study that would be trained."""
    words = pages.words(line)[2:]
    if not words or words == ["--help"] or any(PLACEHOLDERS.search(word) for word in words):
        return
    check_command([word for word in words if word != "-m"], multirun="-m" in words)


def is_of_losslab(line: str) -> None:
    """A command of losslab whose words it knows; or the name of one."""
    command, *words = pages.words(line)[1:]
    with redirect_stdout(StringIO()) as shown, pytest.raises(SystemExit, match=r"^0$"):
        cli.main([command, "--help"])
    for option in (word.partition("=")[0] for word in words if word.startswith("--")):
        assert re.search(rf"{option}\b", shown.getvalue()), option  # some commands leave what they do not know to Hydra
    if words:
        with pytest.raises(Parsed):
            cli.main([command, *words])


def is_target(line: str) -> None:
    assert line.split()[1] in TARGETS


def is_program(line: str) -> None:
    """A program of the repository, with options that it has and studies that are there."""
    program, *words = pages.words(line)[1:]
    path = ROOT / program if program != "-m" else ROOT / "tests" / f"{words.pop(0).replace('.', '/')}.py"
    text = path.read_text(encoding="utf-8")
    for word in words:
        if word.startswith("--"):
            assert f'"{word}"' in text, word
    for word in [one for one in words[:1] if one.isidentifier()]:
        assert (ROOT / "experiments" / word).is_dir(), word


def is_install(line: str) -> None:
    """An installation of losslab, with extras that it has."""
    for extra in re.findall(r"\[([\w,]+)\]", line):
        assert set(extra.split(",")) <= set(EXTRAS), extra


def is_marker(line: str) -> None:
    assert "not slow" in line
    assert "slow:" in (ROOT / "pyproject.toml").read_text()


def is_nothing_of_ours(line: str) -> None:
    """A command of Python or the shell, written out in full in the table below."""


KINDS: dict[str, Callable[[str], None]] = {
    r"python train\.py( |$)|losslab train( |$)": is_request,
    r"losslab( (?!train)|$)": is_of_losslab,
    r"make [\w-]+$": is_target,
    r"python experiments/[\w/]+\.py|PYTHONPATH=tests python -m \w+\.\w+": is_program,
    r"pip install (-e )?(['\"]?)(\.|losslab)(\[[\w,]+\])?\2$": is_install,
    r"python -m venv (\.?\w+) && source \1/bin/activate$|tensorboard --logdir runs/\w+$": is_nothing_of_ours,
    r'python -c "import torch, pytorch_lightning"$|source \.venv/bin/activate$': is_nothing_of_ours,
    r"python -m pytest ": is_marker,
}


def kind(line: str) -> Callable[[str], None]:
    """How a command is checked. Raises LookupError for one that no rule knows."""
    found = [check for pattern, check in KINDS.items() if re.match(pattern, line)]
    if len(found) != 1:
        raise LookupError(f"{line!r} is a command that {len(found)} rules of this test read; it takes one.")
    return found[0]


IN_BLOCKS = {line: block.page for block in pages.blocks("bash") for line in block.commands}
IN_TEXT = {span: page for page, span in pages.in_text() if re.match(r"(losslab|python|make|pip|tensorboard) ", span)}
WRONG = {"python train.py los=mse", "python train.py loss=huber loss.delta=-1"}  # shown as what is refused


def commands(*, requests: bool) -> list[str]:
    """All commands of blocks and of the text, requests or the others.

    tests/catalogue/test_advice.py tries those of docs/advice.md, which is written from advice.yaml.
    """
    every = {line: page for line, page in {**IN_BLOCKS, **IN_TEXT}.items() if page != "docs/advice.md"}
    return sorted(line for line in every if (kind(line) is is_request) == requests and line not in WRONG)


def test_every_block_has_a_language_that_is_checked() -> None:
    """Python is run by test_pages.py; the others below. Directives are Sphinx's, and its build reads them."""
    for block in pages.blocks():
        checked = block.language in ("python", "bash", "yaml", "text")
        directive = block.page.startswith("docs/site/") and re.fullmatch(r"\{[\w-]+\}( .*)?", block.language)
        assert checked or directive, f"{block.page}, line {block.line}: nothing checks a block in '{block.language}'"


def test_a_command_that_no_rule_knows_is_an_error() -> None:
    for line in (
        "curl example",
        "python other.py",
        "pip install numpy",
        "make",
        "python -m venv a && source b/bin/activate",
    ):
        with pytest.raises(LookupError):
            kind(line)
    for wrong in (
        "make nothing",
        "python experiments/gone.py",
        "pip install 'losslab[gone]'",
        "python train.py loss=gone",
    ):
        with pytest.raises((AssertionError, OSError, ValueError)):
            kind(wrong)(wrong)
    with pytest.raises(AssertionError):
        is_program("python experiments/split_schemes/study.py --gone")


@pytest.mark.parametrize("line", commands(requests=False))
def test_a_command_is_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "noted", parsed)
    kind(line)(line)


@pytest.mark.slow
def test_a_request_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(engines, "check", lambda settings: None)  # a cluster is rarely there
    pages.put_files(tmp_path)
    for line in commands(requests=True):
        try:
            is_request(line)
        except Exception as error:
            raise AssertionError(f"{line} on {({**IN_BLOCKS, **IN_TEXT})[line]}: {error}") from error


def test_a_block_of_yaml_is_a_card_or_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pages.put_files(tmp_path)
    for block in pages.blocks("yaml"):
        read = yaml.safe_load(block.code)
        assert ("study" in read) != ("about" in read), block.page  # test_pages.py asks for the study
        if "about" in read:
            assert cli.main(["show", read["name"], "--out", "drawn.png"]) == 0
            assert cards.card("loss", read["name"]).values["c"] == read["c"]


def test_a_block_of_text_is_what_is_printed_or_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in pages.blocks("text"):
        if block.code.startswith("Plan: "):
            is_plan(block.code.strip())
        else:
            are_folders_of_classes(block.code, capsys)


def is_plan(text: str) -> None:
    """The line of a plan is the one that its numbers give."""
    runs, stacks, workers, seconds, files, kilobytes = map(int, re.findall(r"\d+", text))
    made = messages.plan(Forecast(runs, stacks, workers, workers, seconds, 0.0, 0.0, files, 1000 * kilobytes))
    assert made == text


def are_folders_of_classes(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Pictures that lie so are read, each in its class."""
    drawn = [Path(line.split()[0]) for line in text.splitlines()]
    colours = dict(zip([path.parts[1] for path in drawn], COLOURS.values(), strict=False))
    class_folders(Path(drawn[0].parts[0]), 12, classes=colours)
    assert cli.main(["inspect", drawn[0].parts[0]]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in colours)
