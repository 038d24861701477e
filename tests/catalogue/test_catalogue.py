"""What a user sees of the losses: the list, a card, its figure, and the page of all."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from losslab import BadRequest, losses, register
from losslab.catalogue import curve_paths, gallery, listing, timing
from losslab.catalogue.curve_paths import PLANS
from losslab.catalogue.loss_curves import Curve, portrait, together
from losslab.catalogue.plot import draw
from losslab.cli import main
from losslab.schema import cards, compatibility
from losslab.schema import cards as schema_cards
from losslab.schema.loss_facts import FACTS
from losslab.spaces import SPACES

NAMES = schema_cards.names("loss")
Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """`said("show", "huber")`: status, stdout and stderr of `losslab show huber` in an empty folder, 80 columns wide."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str, columns: int = 80) -> tuple[int, str, str]:
        monkeypatch.setenv("COLUMNS", str(columns))
        status = main.main(list(words))
        answer = capsys.readouterr()
        return status, answer.out, answer.err

    return call


def curves(name: str, panel: int, role: str = "own", **params: float) -> list[Curve]:
    return [curve for curve in portrait(name, **params).panels[panel].curves if curve.role == role]


# ---- the list


@pytest.mark.parametrize("columns", [80, 120])
def test_the_list_fits_the_window_and_cuts_nothing(said: Said, columns: int) -> None:
    status, out, _ = said("losses", columns=columns)
    assert status == 0
    assert max(map(len, out.splitlines())) <= columns
    assert "…" not in out
    words = " ".join(out.split())
    for name in NAMES:
        loss = listing.entry(name)
        assert re.search(rf"(?m)^{name} ", out)
        for text in (loss.gist, loss.assignments, *loss.notable_facts):
            assert " ".join(text.split()) in words


def test_the_list_of_a_task_holds_what_serves_it(said: Said) -> None:
    _, out, _ = said("losses", "--task", "counts")
    listed = re.findall(r"(?m)^(\w+)  +\S", out)
    assert sorted(listed) == compatibility.fitting("loss", "counts")


def test_a_loss_is_listed_once_under_the_tasks_that_it_serves() -> None:
    groups = listing.grouped(NAMES)
    assert sorted(loss.name for _, those in groups for loss in those) == sorted(NAMES)
    for tasks, those in groups:
        for loss in those:
            assert list(tasks) == [
                task for task in schema_cards.names("task") if loss.name in compatibility.fitting("loss", task)
            ]


def test_the_markdown_has_a_row_for_each_loss_and_whole_tables(said: Said) -> None:
    _, out, _ = said("losses", "--markdown")
    assert sorted(re.findall(r"(?m)^\| `(\w+)` \|", out)) == sorted(NAMES)
    for line in out.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 6, line


def test_markdown_signs_are_escaped_outside_code() -> None:
    assert listing._cell("a*b |c| `d*e|f` <g") == r"a\*b \|c\| `d*e\|f` \<g"


@pytest.mark.slow
def test_listing_does_not_wait_for_torch() -> None:
    code = "import sys; from losslab.cli.main import main; main(['losses']); print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "False"


@pytest.mark.slow
@pytest.mark.parametrize("words", ["losses", "losses --markdown"])
def test_a_reader_who_leaves_early_gets_no_traceback(words: str) -> None:
    code = f"import sys; from losslab.cli.main import main; sys.exit(main({words.split()}))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""


# ---- a card


def test_comments_are_read_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "name: x\na: 1.0   # > 0; what it is,\n         # and more\nb: [1.0]\nabout:\n  reads: [values]  # no\n"
    )
    found = cards._comments(path)
    assert found["a"] == "> 0; what it is, and more"
    assert found["b"] == ""


def test_docstrings_are_those_of_the_functions() -> None:
    import inspect

    for name, function in losses.LOSSES.items():
        assert inspect.cleandoc(listing.entry(name).docstring) == inspect.getdoc(function)


def test_a_docstring_is_taken_apart_without_losing_a_word() -> None:
    text = (
        "First: a\nline.\n\nl = x\n\nArgs:\n    pred: [N],\n        and more.\n    target: [N].\n\nReturns:\n    [N]."
    )
    found = listing.blocks(text)
    assert found == [
        ("", ["First: a line."]),
        ("", ["l = x"]),
        ("Args", ["pred: [N], and more.", "target: [N]."]),
        ("Returns", ["[N]."]),
    ]
    for docstring in filter(None, (listing.entry(name).docstring for name in NAMES)):
        kept = " ".join(
            f"{title}: {' '.join(items)}" if title else items[0] for title, items in listing.blocks(docstring)
        )
        assert kept.split() == docstring.split()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["huber", "giou", "detr"])
def test_a_card_says_all_and_its_figure_is_there(said: Said, tmp_path: Path, name: str) -> None:
    status, out, err = said("show", name)
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    words, loss = " ".join(out.split()), listing.entry(name)
    assert " ".join(loss.source.split()) in words
    for title, items in listing.blocks(loss.docstring) if loss.docstring else []:
        assert title in out
        for item in items:
            assert " ".join(item.split()) in words
    for fact in loss.facts:
        assert f"{fact}: {FACTS[fact]}" in words
    for setting in loss.settings:
        assert f"{setting.key}={listing.shown(setting.default)}" in words
        assert setting.comment in words
    assert out.splitlines()[-1] == f"Figure: {name}.png"
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_goes_where_it_is_told_under_the_hyperparameters_that_are_given(said: Said, tmp_path: Path) -> None:
    assert said("show", "huber", "--out", "h.svg", "delta=2")[0] == 0
    assert "huber (delta=2)" in (tmp_path / "h.svg").read_text()
    assert said("show", "sum", "terms=mse + 0.5*huber(delta=3.0)", "--out", "s.svg")[0] == 0
    assert "0.5 * huber (delta=3)" in (tmp_path / "s.svg").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["delta=1.345"], "delta=1.345 (default 1), in (0, inf)"),
        (["delta=efficient95"], "delta=1.345 (default 1), in (0, inf)"),
        (["label_smoothing=0.1", "delta=2"], "label_smoothing=0.1 (default 0)"),
        (["delta=1"], "delta=1, in (0, inf)"),
    ],
)
def test_a_card_says_the_hyperparameters_that_are_used(said: Said, words: list[str], says: str) -> None:
    status, out, _ = said("show", "huber", *words)
    assert status == 0
    assert says in out


def test_the_sum_that_is_given_is_the_one_that_is_shown(said: Said) -> None:
    assert "The sum `1*mse + 0.5*l1`." in said("show", "sum", "terms=mse + 0.5*l1")[1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["hubber"], "did you mean 'huber'"),
        (["huber", "delta=0"], "loss.delta must be above 0"),
        (["huber", "delta"], "KEY=VALUE"),
        (["huber", "deltaa=1"], "did you mean 'loss.delta'"),
        (["sum", "terms=*x"], "cannot be read"),
        (["huber", "--out", "x.docx"], ".png or an .svg"),
        (["huber", "--out", "/nowhere/x.png"], "Nothing can be written to /nowhere/x.png"),
        (["mse", "hubber"], "did you mean 'huber'"),
        (["mse", "huber", "delta=0"], "loss.delta must be above 0"),
        (["mse", "delta=2", "huber"], "loss.delta"),
        (["mse", "huber", "delta"], "'delta' cannot be read; write a hyperparameter as KEY=VALUE"),
        (["mse", "l1", "mse"], "The loss 'mse' is there twice"),
        (["huber", "huber", "delta=1.0"], "The loss 'huber (delta=1)' is there twice"),
        (
            ["mse", "giou", "bce"],
            "read no space in common, so that they share no axes: 'mse' reads values, class_probs",
        ),
        (["mse", "cross_entropy"], "'cross_entropy' reads class_logits."),
        (["mse", "corruption=outliers"], "A corruption is shown alone"),
        (["l1", "l1", *(word for c in range(1, 9) for word in ("tukey", f"c={c}"))], "is there twice"),
        (["l1", *(word for c in range(1, 9) for word in ("tukey", f"c={c}"))], "at most 8 losses, and these are 9"),
    ],
)
def test_a_wrong_request_gets_one_sentence(said: Said, tmp_path: Path, words: list[str], says: str) -> None:
    status, _, err = said("show", *words)
    assert status == 2
    assert err.startswith("losslab show: ")
    assert says in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_drawn_is_said_plainly(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, _ = said("show", "sum", "terms=cross_entropy + giou")
    assert status == 0
    assert "No figure: The terms" in out
    monkeypatch.delitem(curve_paths.PLANS, "values")
    status, out, _ = said("show", "l1")
    assert status == 0
    assert "No figure: There is no drawing for losses that read 'values'." in out


# ---- several losses


def test_several_losses_share_a_table_and_a_picture(said: Said, tmp_path: Path) -> None:
    status, out, err = said("show", "mse", "huber", "delta=1.345", "loss=tukey", "c=3", "--out", "some.svg")
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    for text in ("delta=1.345", "c=3", "redescending", "Figure: some.svg", "MSE (mean squared error)"):
        assert text in words
    picture = (tmp_path / "some.svg").read_text()
    for label in ("mse", "huber (delta=1.345)", "tukey (c=3)"):
        assert len(re.findall(f">{re.escape(label)}<", picture)) == 1, "one entry in the legend"


def test_the_file_is_named_after_the_losses(said: Said, tmp_path: Path) -> None:
    assert said("show", "l1", "huber", "huber", "delta=2")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["l1_huber.png"]


def test_several_losses_have_the_same_axes_and_each_its_own_hyperparameters() -> None:
    seen = together([("huber", {"delta": 2.0}), ("huber", {"delta": 1.0}), ("l1", {})])
    assert len(seen.panels) == 3
    assert {curve.role for panel in seen.panels for curve in panel.curves} == {"equal"}
    slopes = {curve.label: curve for curve in seen.panels[1].curves}
    r = slopes["l1"].x
    for curve in slopes.values():
        assert torch.equal(curve.x, r)
    torch.testing.assert_close(slopes["huber (delta=2)"].y, r.clamp(-2, 2))
    torch.testing.assert_close(slopes["huber (delta=1)"].y, r.clamp(-1, 1))


def test_a_sum_has_its_terms_in_the_legend() -> None:
    seen = together([("sum", {"terms": "mse + 0.5*l1"}), ("sum", {"terms": "mse + 2*l1"})])
    assert [curve.label for curve in seen.panels[0].curves] == ["1*mse + 0.5*l1", "1*mse + 2*l1"]


def test_the_axes_are_those_of_the_first_space_that_all_read() -> None:
    assert together([("mse", {}), ("bce", {})]).note == "on binary prob"
    assert together([("giou", {}), ("mse", {})]).note == "on boxes"
    assert together([("mse", {}), ("huber", {})]).note == "on values"
    assert "ciou: gradients are those of training" in together([("giou", {}), ("ciou", {})]).note


def test_a_loss_that_depends_on_the_path_gives_each_path_a_panel() -> None:
    alike, apart = together([("bce_with_logits", {}), ("focal", {})]), together([("focal", {}), ("asymmetric", {})])
    assert [panel.title for panel in alike.panels] == ["", ""]
    assert [panel.title for panel in apart.panels] == 2 * ["target 1", "target 0"]
    assert apart.columns == 2


def test_the_axis_of_several_losses_suits_the_middle_one() -> None:
    import losslab.catalogue.plot as drawing

    values = together([("mse", {}), ("l1", {}), ("huber", {})]).panels[0]
    low, high = drawing._limits(values)
    assert low < 0
    assert 15 < high < 22, "four times that of l1, and not that of mse"


# ---- curves


def test_the_curves_are_those_of_the_loss() -> None:
    (value,), (slope,), (weight,) = (curves("l1", panel) for panel in range(3))
    r = value.x
    torch.testing.assert_close(value.y, r.abs())
    torch.testing.assert_close(slope.y, r.sign())
    torch.testing.assert_close(weight.y, 1 / r.abs())
    torch.testing.assert_close(curves("huber", 1, delta=2.0)[0].y, r.clamp(-2, 2))


def test_a_gradient_over_that_of_cross_entropy_is_one_for_cross_entropy() -> None:
    panels = portrait("cross_entropy").panels
    assert not any("that of" in panel.ylabel for panel in panels)
    (slope,) = curves("cross_entropy", 1)
    p = slope.x.exp() / (slope.x.exp() + curve_paths.CLASSES - 1)
    torch.testing.assert_close(slope.y, p - 1)


def test_a_box_slides_grows_and_nests() -> None:
    away, grows, nested = (curves("giou", panel)[0] for panel in range(3))
    torch.testing.assert_close(away.y, 2 * away.x / (1 + away.x))  # 1 - IoU + (C - U) / C of unit boxes, worked by hand
    inside = nested.x.abs() < 0.3
    torch.testing.assert_close(nested.y[inside], torch.full_like(nested.y[inside], 1 - 0.16))
    assert grows.x[grows.y.argmin()] == pytest.approx(1, abs=0.02)
    assert portrait("giou").columns == 3


def test_a_count_is_drawn_for_two_targets() -> None:
    (one,), (five,) = curves("poisson_nll", 0), curves("poisson_nll", 0, role="path")
    assert one.x[one.y.argmin()] == pytest.approx(1, abs=0.05)
    assert five.x[five.y.argmin()] == pytest.approx(5, abs=0.05)


def test_a_target_that_makes_no_difference_is_drawn_once() -> None:
    assert not curves("huber", 0, role="path")
    assert not curves("bce_with_logits", 0, role="path")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_neighbours_settings_and_terms_stand_beside_a_loss(name: str) -> None:
    others = {curve.label for panel in portrait(name).panels for curve in panel.curves if curve.role == "other"}
    assert not any(re.match(rf"{name}\b", label) for label in others)
    if terms := listing.entry(name).terms:
        assert len(others) == len(terms.split(" + "))
    varied = curves(name, 0, role="setting")
    floats = [key for key, value in schema_cards.card("loss", name).values.items() if isinstance(value, float)]
    assert bool(varied) == bool(floats)
    assert all(curve.label.startswith(f"{floats[0]}=") for curve in varied)


def test_the_settings_lie_about_the_one_that_is_given() -> None:
    assert [curve.label for curve in curves("huber", 0, role="setting", delta=6.0)] == ["delta=2", "delta=18"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_loss_has_a_portrait_of_finite_numbers(name: str) -> None:
    for panel in portrait(name).panels:
        assert panel.xlabel
        assert panel.ylabel
        for curve in panel.curves:
            if curve.role == "own":
                assert torch.isfinite(curve.y).all(), panel.ylabel


def test_every_space_that_a_task_offers_is_told_and_drawn() -> None:
    offered = {
        space for task in schema_cards.names("task") for space in schema_cards.card("task", task).about["spaces"]
    }
    assert offered <= set(SPACES) == set(PLANS)
    assert offered <= set(curve_paths.PLANS)


def test_a_spike_does_not_flatten_the_rest(tmp_path: Path) -> None:
    import losslab.catalogue.plot as drawing

    low, high = drawing._limits(portrait("l1").panels[2])  # 1 / |r|
    assert low < 0
    assert 2 < high < 10
    low, high = drawing._limits(portrait("huber").panels[2])
    assert high > 2, "the weight of mse, 2 everywhere, is in sight"


# ---- the page


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> str:
    return gallery.write(
        ["huber", "cross_entropy", "detr"], tmp_path_factory.mktemp("page") / "new" / "g.html", 2
    ).read_text()


@pytest.mark.slow
def test_the_page_has_each_loss_its_pictures_and_its_speed(made: str) -> None:
    tags = Tags(made).found
    assert [attributes["id"] for tag, attributes in tags if tag == "article"] == ["huber", "cross_entropy", "detr"]
    pictures = [attributes for tag, attributes in tags if tag == "img"]
    assert len(pictures) == 3
    assert all(picture["src"].startswith("data:image/svg+xml;base64,") and picture["alt"] for picture in pictures)
    assert re.search(r'#huber">huber</a></td><td><code>F.huber_loss</code>', made)
    links = {attributes["href"] for tag, attributes in tags if tag == "a"}
    assert links == {"#huber", "#cross_entropy", "#detr", "#speed"}
    for text in (FACTS["bounded_gradient"], listing.entry("huber").settings[0].comment.split(";")[-1].strip()):
        assert text in made


@pytest.mark.slow
def test_the_page_asks_nothing_of_a_network(made: str) -> None:
    assert "http" not in made
    assert "@import" not in made
    for _, attributes in Tags(made).found:
        for key in ("src", "srcset", "href"):
            assert (attributes.get(key) or "#").startswith(("#", "data:"))


def test_what_a_card_says_is_never_a_tag() -> None:
    bad = "<script>alert(1)</script>"
    loss = listing.entry("huber")
    loss = replace(
        loss,
        source=bad,
        docstring=f"{bad} `{bad}`: x.\n\nArgs:\n    pred: {bad}",
        settings=(replace(loss.settings[0], comment=bad, range=bad, presets={bad: 1.0}),),
    )
    text = gallery.render([loss], [])
    assert "alert(1)&lt;/script&gt;" in text
    assert [tag for tag, _ in Tags(text).found].count("script") == 1  # the filter's own


def test_numbers_in_a_picture_are_shortened_and_its_words_are_not() -> None:
    import base64

    picture = gallery.pictures("huber")["wide"]
    text = base64.b64decode(picture.split(",")[1]).decode()
    assert "delta=0.33" in text
    assert not re.search(r' d="[^"]*\d\.\d\d', text)


@pytest.mark.parametrize("name", [name for name in timing.COUNTERPARTS if name in NAMES])
def test_a_counterpart_computes_the_same(name: str) -> None:
    ours, theirs = timing.both_ways(name)
    torch.testing.assert_close(ours(), theirs(), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_the_whole_gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All losses on one page, of which each eighth is drawn and measured: that takes most of a minute for all of them."""
    some, draw_both, table = NAMES[::8], gallery.pictures, timing.table
    monkeypatch.setattr(gallery, "pictures", lambda name: draw_both(name) if name in some else {"missing": "left out"})
    monkeypatch.setattr(timing, "table", lambda names, rounds: table(some, 1))
    assert main.main(["gallery", "--out", str(tmp_path / "g.html")]) == 0
    text = (tmp_path / "g.html").read_text()
    articles = [attributes["id"] for tag, attributes in Tags(text).found if tag == "article"]
    assert articles == list(NAMES)
    assert text.count("No figure: ") == text.count("No figure: left out") == len(NAMES) - len(some)


def test_a_portrait_under_a_wrong_hyperparameter_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"loss.delta must be above 0"):
        portrait("huber", delta=-1.0)


def test_a_figure_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw(portrait("mse"), tmp_path / f"{name}.svg", form="svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_corruption_is_shown_by_its_name_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["show", "imbalance", "--out", str(tmp_path / "a.png")]) == 0
    assert "Corrupted rows:" in capsys.readouterr().out
    assert main.main(["show", "imbalanse"]) == 2


def test_a_loss_that_is_defined_anew_is_listed_as_it_is_now() -> None:
    for width in (1.0, 2.0):

        def mine(pred: torch.Tensor, target: torch.Tensor, *, c: float = width) -> torch.Tensor:
            return ((pred - target) / c).abs().mean(-1)

        register.loss(reads="values", ranges={"c": "(0, inf)"})(mine)
        found = listing.entry("mine")
        assert found.settings[0].default == width
        register.forget("loss", "mine")
