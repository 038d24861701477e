"""`losslab advise` and its page: every loss, command and place that they name is there, and words find symptoms."""

import ast
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pages
import pytest

from losslab.catalogue import advice
from losslab.cli.main import main
from losslab.request.command import check_command
from losslab.schema import cards, compatibility
from losslab.stats.paired import BETTER
from support import advice_evidence

ROOT = Path(__file__).resolve().parents[2]
SYMPTOMS = advice.symptoms()
REMEDIES = advice_evidence.remedies()
COMMANDS = list(dict.fromkeys(command for remedy in REMEDIES for command in remedy.commands))


@cache
def functions(path: Path) -> set[str]:
    """The names of the functions at the top of a file of Python."""
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def shown(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    status = main(["advise", *words])
    said = capsys.readouterr()
    return status, said.out, said.err


# What the advice names


def test_every_loss_exists_and_serves_the_task_for_which_it_is_named() -> None:
    for remedy in REMEDIES:
        assert remedy.losses or remedy.commands
        for task, losses in remedy.losses.items():
            assert set(losses) <= set(compatibility.fitting("loss", task)), remedy.cause
    named = set(re.findall(r"`([a-z]\w*)`", advice.markdown()))
    assert named <= {*cards.names("loss"), "sigmoid", "softmax", "log", "diverged", "c", "beta"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_accepted(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training is checked and not started; of `compare`, the data are read and the study is planned."""
    monkeypatch.chdir(tmp_path)
    program, name, *words = shlex.split(command)
    assert program == "losslab"
    if name == "train":
        check_command([word for word in words if word != "-m"], multirun="-m" in words)
        return
    rows = [f"{5 + 3 * (i % 7) + 0.37 * i:.2f},{i % 7},{'abc'[i % 3]}" for i in range(150)]
    (tmp_path / "sales.csv").write_text("\n".join(["price,rooms,town", *rows]))
    assert main(["inspect" if name == "compare" else name, *words]) == 0


def test_every_loss_that_is_advised_is_in_the_evidence() -> None:
    for remedy in REMEDIES:
        backed = " ".join(one.says for one in remedy.evidence)
        for loss in (loss for losses in remedy.losses.values() for loss in losses):
            assert re.search(rf"`{loss}[(`]", backed), f"{remedy.cause}: {loss}"


def test_every_piece_of_evidence_is_there() -> None:
    studies = set(pages.studies())
    assert {claim.study for claim in advice_evidence.claims()} <= studies
    for remedy in REMEDIES:
        assert remedy.evidence, remedy.cause
        for one in remedy.evidence:
            for place in advice.place(one):
                path, _, test = place.partition("::")
                assert (ROOT / path).is_file(), place
                assert not test or test in functions(ROOT / path), place


def test_a_loss_that_studies_alone_stand_behind_is_shown_to_be_better() -> None:
    """The figures of the claims are held to the records in test_pages_of_studies.py."""
    for remedy in REMEDIES:
        found = [one for one in remedy.evidence if isinstance(one, advice.Claim)]
        better = {claim.loss.split("(")[0] for claim in found if claim.shown.startswith(f"{BETTER} than")}
        advised = {loss for losses in remedy.losses.values() for loss in losses}
        assert better <= advised, remedy.cause
        if len(found) == len(remedy.evidence):
            assert better == advised, remedy.cause


def test_a_claim_is_one_sentence_with_its_setting_and_metric() -> None:
    claim = next(claim for claim in advice_evidence.claims() if claim.loss == "cauchy")
    assert claim.says == (
        "With 10 % of outliers on both sides, by test MAE, `cauchy` is better than `mse` by 1.40 (1.02 to 1.78)."
    )
    for claim in advice_evidence.claims():
        assert f"`{claim.other}`" in claim.shown


# The page


def test_the_page_is_that_of_the_source() -> None:
    page = (ROOT / "docs/advice.md").read_text()
    _, between, _ = re.split(r"<!-- /?advice -->", page)
    assert between.strip() == advice.markdown(), "`make catalogue` enters what the source says"


def test_make_catalogue_writes_the_page() -> None:
    recipe = (ROOT / "Makefile").read_text().split("\ncatalogue:")[1].split("\n\n")[0]
    assert "losslab advise --markdown > runs/advice.md" in recipe
    assert "runs/advice.md' docs/advice.md\n" in recipe


def test_the_page_fits_a_narrow_screen() -> None:
    """Nothing stands in a block of code that does not wrap, but for two short lines on top; no table is wide."""
    _, between, _ = re.split(r"<!-- /?advice -->", (ROOT / "docs/advice.md").read_text())
    assert "```" not in between
    assert "<" not in re.sub(r"`[^`]*`", "", between)
    for line in between.splitlines():
        assert not line.startswith("|") or line.count("|") == 3


# The terminal


def test_the_list_has_every_symptom_and_fits_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    status, out, _ = shown(capsys=capsys)
    assert status == 0
    for symptom in SYMPTOMS:
        assert f"{symptom.number}. {symptom.title}" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("symptom", SYMPTOMS, ids=lambda symptom: symptom.words[0])
def test_a_symptom_is_printed_whole_at_80_columns(
    symptom: advice.Symptom, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    status, out, _ = shown(str(symptom.number), capsys=capsys)
    assert status == 0
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    typed = [shlex.split(text.replace("\\\n", " ")) for text in re.findall(r"(?m)^  \$ ((?:.*\\\n)*.*)$", out)]
    assert typed == [shlex.split(command) for remedy in symptom.remedies for command in remedy.commands]
    for remedy in symptom.remedies:
        for text in (remedy.cause, remedy.tell, remedy.action, remedy.why, advice.loss_words(remedy.losses)):
            assert " ".join(text.split()) in words
        for one in remedy.evidence:
            assert " ".join(one.says.split()) in words
            for place in advice.place(one):
                assert place in "".join(out.split())


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("loss is NaN", "nan"),
        ("learns nothing", "nothing"),
        ("softmax twice", "nothing"),
        ("one outlier drags the fit", "outlier"),
        ("labels are wrong", "labels"),
        ("classes are rare", "rare"),
        ("boxes do not overlap", "boxes"),
        ("the target is heavy-tailed", "heavy"),
        ("a count", "heavy"),
        ("errors cost more on one side", "cost"),
        ("the mean is not what is wanted", "mean"),
        ("OUTLIERS", "outlier"),
        ("imbal", "rare"),
    ],
)
def test_plain_words_find_a_symptom(typed: str, first: str) -> None:
    (found,) = advice.find(typed.split())
    assert found.words[0] == first


def test_every_word_of_a_symptom_finds_it() -> None:
    for symptom in SYMPTOMS:
        for word in symptom.words:
            assert symptom in advice.find([word]), word
        assert advice.find([symptom.words[0]]) == [symptom], "the word that the list and the refusal name"


def test_words_that_fit_several_symptoms_list_these(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = shown("skewed", capsys=capsys)
    assert status == 0
    assert "2 symptoms fit 'skewed'" in out
    assert re.findall(r"(?m)^ *(\d+)\. ", out) == ["7", "9"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["foo"], "No symptom is found by 'foo'; `losslab advise` lists all"),
        (["outlyer"], "(did you mean 'outlier'?)"),
        (["the", "of"], "No symptom is found by 'the of'"),
        (["0"], "There is no symptom 0; they are numbered from 1 to 9."),
        (["10"], "There is no symptom 10"),
    ],
)
def test_unknown_words_get_one_sentence(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = shown(*words, capsys=capsys)
    assert (status, out) == (2, "")
    assert err.startswith("losslab advise: ")
    assert says in err
    assert err.count("\n") == 1


def test_it_does_not_wait_for_torch() -> None:
    code = "import sys; from losslab.cli.main import main; main(['advise', 'nan']); print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "False"
