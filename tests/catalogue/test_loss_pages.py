"""The page of each loss in the documentation: whole, and its commands and code work."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from markdown_it import MarkdownIt

from losslab import compose, losses
from losslab.catalogue.listing import entry
from losslab.catalogue.loss_curves import Panel, Portrait, portrait
from losslab.schema import cards

ROOT = Path(__file__).resolve().parents[2]
NAMES = cards.names("loss")


@pytest.fixture(scope="module")
def loss_pages() -> ModuleType:
    """docs/site/loss_pages.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("loss_pages", ROOT / "docs/site/loss_pages.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_page_has_all_that_the_card_says(loss_pages: ModuleType) -> None:
    for name in NAMES[::4]:
        loss, text = entry(name), loss_pages.page(name, portrait(name))
        plain = re.sub(r"\\([\\*_<\[\]$~|^{}#])", r"\1", text)
        for setting in loss.settings:
            assert f"| `{setting.key}` |" in text
            assert f"| {setting.range} |" in plain
        for said in (loss.source, *(fact.replace("_", " ") for fact in loss.facts), *loss.reads, *loss.identities):
            assert said in plain, (name, said)
        formulas = re.findall(r"(?m)^l = .*$", loss.docstring)
        assert all(formula in text for formula in formulas), name
        assert f"figures/{name}.svg" in text


def test_the_commands_and_the_code_of_a_page_work(loss_pages: ModuleType) -> None:
    nothing = Portrait("", "", 2, [])
    for name in NAMES:
        blocks = {
            token.info: token.content
            for token in MarkdownIt().parse(loss_pages.page(name, nothing))
            if token.type == "fence"
        }
        train, show = blocks["bash"].splitlines()
        assert compose(*train.removeprefix("losslab train ").split())["loss"]["name"] in (name, "sum")
        assert show == f"losslab show {name}"
        exec(compile(blocks["python"].replace("print(", "repr("), name, "exec"), {})
    assert losses.names()


def test_a_loss_is_advised_on_its_page_as_in_the_advice(loss_pages: ModuleType) -> None:
    text = (ROOT / "docs/advice.md").read_text()
    assert loss_pages.advised("bce_with_logits")
    assert not loss_pages.advised("unhinged")
    for title, anchor, cause, _ in loss_pages.advised("bce_with_logits"):
        assert f"(#{anchor})" in text
        assert f"[{title}]" in text
        assert f"### {cause}" in text


def test_a_page_links_the_studies_that_compare_its_loss(loss_pages: ModuleType) -> None:
    assert {"leverage", "outlier_robustness"} <= {study for study, _ in loss_pages.studies("welsch")}
    assert "outliers_first_look" in {study for study, _ in loss_pages.studies("smoothl1")}  # a sweep
    assert "label_noise" not in {study for study, _ in loss_pages.studies("welsch")}


def test_a_picture_is_drawn_once_for_its_curves(loss_pages: ModuleType, tmp_path: Path) -> None:
    seen, picture = portrait("huber"), tmp_path / "huber.svg"
    loss_pages.draw(seen, picture)
    first = picture.stat().st_mtime_ns
    loss_pages.draw(seen, picture)
    assert picture.stat().st_mtime_ns == first
    other = Portrait(seen.title, "another note", seen.columns, seen.panels)
    loss_pages.draw(other, picture)
    assert "another note" in picture.read_text()


def test_value_and_gradient_of_a_path_stand_beside_each_other(
    loss_pages: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[list[Panel]] = []
    monkeypatch.setattr(loss_pages.plot, "draw", lambda seen, picture, form: drawn.append(seen.panels))
    seen = portrait("giou")
    with pytest.raises(FileNotFoundError):
        loss_pages.draw(seen, Path("/nowhere/giou.svg"))
    (panels,) = drawn
    assert [panel.ylabel for panel in panels] == ["loss", "norm of the gradient"] * 3
    assert [panel.xlabel for panel in panels[::2]] == [panel.xlabel for panel in panels[1::2]]
