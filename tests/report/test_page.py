"""The report of a study: what stands in it, that nothing in it is taken for code, and that it opens without a network."""

import html
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from losslab.report import answer, render, tables
from losslab.report.analysis import find
from losslab.report.charts import build, emphasis, pairs, plotly_backend, svg_backend
from losslab.report.charts.spec import Chart, apart, short, ticks
from losslab.report.charts.style import COLOURS, GREY, INK, NEITHER, REST, look
from losslab.report.results import Results
from losslab.report.sections import sections
from support.browser import chromium, needs_browser, outside
from support.counted import calls
from support.studies import study

HOSTILE = '</script><script>alert(1)</script>{{7*7}}" onload="x" <b>|`_$\\frac$ ${x}'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, str, str, Path]:
    """A study with its page, its Markdown, and the folder that they lie in."""
    results, folder = study(), tmp_path_factory.mktemp("report")
    written = render.write_html(results, folder / "report.html"), render.write_markdown(results, folder)
    return results, written[0].read_text(encoding="utf-8"), written[1].read_text(encoding="utf-8"), folder


def charts(text: str) -> dict[str, str]:
    """The figures of a page by key, as markup."""
    found = re.findall(r'<figure[^>]* data-chart="([^"]+)"[^>]*>(.*?)</figure>', text, re.DOTALL)
    assert len(found) == len(dict(found)) == text.count("data-chart=")
    return dict(found)


def words_in(markup: str) -> list[str]:
    """All texts of a figure, as a reader sees them."""
    return [html.unescape(text) for text in re.findall(r"<text [^>]*>([^<]*)</text>", markup)]


def cells(text: str) -> list[list[str]]:
    """The rows of all tables of a page, as a reader sees them."""
    text = re.sub(r"<figure.*?</figure>", "", text, flags=re.DOTALL)
    rows = re.findall(r"<tr>(?=<td)(.*?)</tr>", text, re.DOTALL)
    return [
        [html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<td.*?>(.*?)</td>", row)] for row in rows
    ]


@pytest.mark.slow
def test_every_section_has_its_figures(made: tuple[Results, str, str, Path]) -> None:
    results, text, _, _ = made
    keys = set(charts(text))
    settings, conditions = range(len(results.settings)), results.conditions
    assert keys == {
        "ranking-overall",
        *(f"ranking-{place}" for place in settings),
        *(f"paired-{place}" for place in (0, 1)),  # in the last the reference diverged
        *(f"slopes-{place}" for place in settings),
        *(f"curves-{place}-{condition}" for place in settings for condition in conditions),
        *(f"differences-{place}-{condition}" for place in settings for condition in conditions),
        *(f"robustness-0-{condition}" for condition in conditions),
        "rates-0",
        "budget-0",
        *(f"profile-{condition}" for condition in conditions),
    }


@pytest.mark.slow
def test_markdown_has_its_pictures_and_the_page_none(made: tuple[Results, str, str, Path]) -> None:
    _, text, markdown, folder = made
    named = re.findall(r"!\[[^]]*\]\((figures/[a-z]+\.png)\)", markdown)
    assert len(named) == 5
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in named)
    assert sorted(path.name for path in (folder / "figures").iterdir()) == sorted(Path(name).name for name in named)
    assert "<img" not in text


@pytest.mark.slow
def test_page_and_markdown_have_the_same_tables(made: tuple[Results, str, str, Path]) -> None:
    _, text, markdown, _ = made
    lines = [line for line in markdown.splitlines() if line.startswith("| ")]
    heads = [place for place, line in enumerate(markdown.splitlines()) if line.startswith("|---")]
    shown = [[cell.strip().replace("\\", "").replace("`", "") for cell in line[1:-1].split("|")] for line in lines]
    shown = [[html.unescape(cell) for cell in row] for row in shown]
    in_html = cells(text)
    assert len(shown) - len(heads) == len(in_html) > 50
    assert [row for row in shown if row in in_html] == in_html


def test_numbers_are_those_of_the_runs(made: tuple[Results, str, str, Path]) -> None:
    results, text, _, _ = made
    runs = results.runs.query("condition == 'shared' and setting == 'fraction=0' and loss == 'l1'")["value"]
    row = next(row for row in cells(text) if row[0] == "l1" and len(row) == 9)  # the first setting's ranking
    assert row[6].startswith(f"{runs.mean():.3f} [")
    assert row[7:] == ["5", "0"]


def test_diverged_runs_are_told_wherever_they_matter(made: tuple[Results, str, str, Path]) -> None:
    _, text, _, _ = made
    figures = charts(text)
    assert ["confirm", "mse", "fraction=0.5", "diverged", "4", "0, 1", "the loss was not finite in epoch 3"] in cells(
        text
    )
    assert "2 of 5 diverged" in words_in(figures["ranking-2"])
    assert "2 of 5 diverged" not in words_in(figures["ranking-1"])
    assert figures["robustness-0-tuned"].count("M-4 -4L4 4") == 1
    first = re.findall(r"<td style[^>]*>(.*?)</td>", figures["differences-2-tuned"])[:4]
    assert first[0] == ""
    assert set(first[1:]) <= {"–", "worse"}  # noqa: RUF001  # where runs diverged there is no number to be trusted
    assert "diverged or far off" in words_in(figures["rates-0"])


def test_a_trial_that_is_far_off_does_not_flatten_the_others() -> None:
    results = study(losses=2, levels=1, seeds=5, diverged=0)
    far = results.trials["trial"] == results.trials["trial"].iloc[0]
    trials = results.trials.assign(value=results.trials["value"].mask(far, 1e9))
    (chart,) = build.rates(replace(results, trials=trials), find(results))[str(trials["at"].iloc[0])]
    crosses = [one for one in chart.series if one.form == "crosses"]
    assert len(crosses) == 2
    assert max(y for one in chart.series for y in one.y) < 100
    assert (
        "1e+09" in crosses[0].hover[0] or "1,000,000,000" in crosses[0].hover[0] or "1000000000" in crosses[0].hover[0]
    )


def test_where_nothing_failed_the_report_says_so() -> None:
    results = study(losses=2, levels=1, seeds=5, diverged=0, epochs=0, trials=0, conditions=("asked",))
    found = find(results)
    told = {section.key: section for section in sections(results, found)}
    assert told["failures"].lead == ["No run failed or diverged."]
    assert [table.head[-1] for table in told["failures"].tables] == ["may diverge"]


def test_a_plain_sweep_has_only_what_it_has_data_for(tmp_path: Path) -> None:
    results = study(losses=2, levels=1, seeds=1, diverged=0, epochs=0, trials=0, conditions=("asked",))
    results = replace(results, name="", question="", notes=[], failures=pd.DataFrame())
    text = render.write_html(results, tmp_path / "deep" / "report.html").read_text(encoding="utf-8")
    assert set(charts(text)) == {"paired-0", "ranking-0", "profile-asked", "differences-0-asked"}
    assert re.findall(r'<section id="([a-z]+)">', text) == [
        "ranking",
        "profile",
        "differences",
        "failures",
        "how",
        "source",
    ]
    markdown = render.write_markdown(results, tmp_path).read_text(encoding="utf-8")
    assert markdown.count("![") == 2


@pytest.mark.slow
def test_without_a_run_that_is_done_only_crosses_are_left(tmp_path: Path) -> None:
    results = study(losses=2, levels=2, seeds=2, epochs=0, trials=0)
    results = replace(results, runs=results.runs.assign(status="diverged", value=float("nan")))
    text = render.write_html(results, tmp_path / "report.html").read_text(encoding="utf-8")
    figures = charts(text)
    assert set(figures) == {"ranking-overall", "robustness-0-shared", "robustness-0-tuned"}
    assert figures["robustness-0-tuned"].count("M-4 -4L4 4") == 4  # two losses at two levels
    render.write_markdown(results, tmp_path)


def test_curves_are_means_of_the_runs_that_did_not_diverge() -> None:
    results = study(losses=2, levels=2, epochs=4)
    of_mse = results.curves.query("condition == 'tuned' and setting == 'fraction=0.5' and loss == 'mse'")
    line = build.curves(results, find(results))["fraction=0.5"][0].series[0]
    assert line.x == [1, 2, 3, 4]
    assert line.y == pytest.approx(of_mse[of_mse["seed"] >= 2].groupby("epoch")["val"].mean())
    values = of_mse[(of_mse["seed"] >= 2) & (of_mse["epoch"] == 4)]["val"]
    assert line.high[3] - line.y[3] == pytest.approx(4.302653 * values.std() / 3**0.5)  # t of 2 degrees of freedom


def test_slopes_go_from_the_place_at_the_shared_rate_to_that_at_the_own() -> None:
    results = study(losses=3, levels=1, diverged=0)
    runs = results.runs
    order = {"tuned": ["mse", "l1", "huber"], "shared": ["huber", "mse", "l1"]}
    value = [
        order[condition].index(loss) + 0.01 * seed
        for condition, loss, seed in zip(runs["condition"], runs["loss"], runs["seed"], strict=True)
    ]
    results = replace(results, runs=runs.assign(value=value))
    (chart,) = build.slopes(results, find(results))["one setting"]
    assert {series.name: series.y for series in chart.series} == {"mse": [-2, -1], "l1": [-3, -2], "huber": [-1, -3]}


def test_the_rates_mark_what_was_chosen() -> None:
    results = study(losses=2, levels=1, trials=5)
    (chart,) = build.rates(results, find(results))["one setting"]
    rings = {series.name: series.x for series in chart.series if series.form == "rings"}
    assert rings == {
        loss: [pytest.approx(lr)] for loss, lr in zip(results.choices["loss"], results.choices["lr"], strict=True)
    }
    crosses = {series.name: series.x for series in chart.series if series.form == "crosses"}
    assert crosses == {"mse": [1.0], "l1": [1.0]}
    assert chart.log_x


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Path]:
    results = study(
        losses=2,
        levels=2,
        seeds=2,
        epochs=3,
        before=HOSTILE + " ",
        name=HOSTILE,
        question=HOSTILE,
        notes=[HOSTILE],
        protocol=[HOSTILE],
        provenance={HOSTILE: HOSTILE},
    )
    worse = results.failures.assign(reason=HOSTILE)
    folder = tmp_path_factory.mktemp("hostile")
    results = replace(results, failures=worse, choices=results.choices.assign(edge=HOSTILE, params=HOSTILE))
    render.write_html(results, folder / "report.html")
    render.write_markdown(results, folder)
    return results, folder


@pytest.mark.slow
def test_hostile_text_is_only_text(hostile: tuple[Results, Path]) -> None:
    text = (hostile[1] / "report.html").read_text(encoding="utf-8")
    assert text.lower().count("</script") == 1  # the page's own
    assert "<script>alert" not in text
    assert "<b>" not in text
    assert not re.search(r'<[^>]*" onload="', text)
    assert html.unescape(text).count("{{7*7}}") > 20
    assert any("</script>" in word for markup in charts(text).values() for word in words_in(markup))


@pytest.mark.slow
def test_plotly_sees_no_markup_in_names(hostile: tuple[Results, Path]) -> None:
    results = hostile[0]
    figures = [
        plotly_backend.figure(chart) for made in build.ranking(results, find(results)).values() for chart in made
    ]
    texts = list(strings(figures))
    assert any("&lt;script&gt;" in text for text in texts)
    assert not [text for text in texts if "<" in text or ">" in text]


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(item)


@pytest.mark.slow
def test_markdown_has_no_markup_of_others(hostile: tuple[Results, Path]) -> None:
    text = (hostile[1] / "report.md").read_text(encoding="utf-8")
    outside = re.sub(r"`[^`]*`", "", text.replace("\\`", ""))
    assert "<" not in outside
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")]
    heads = [place for place, line in enumerate(text.splitlines()) if line.startswith("|---")]
    assert heads
    assert all(width > 3 for width in widths)
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def contrast(colour: str) -> float:
    """Of a colour with white, after WCAG."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)


def test_text_in_the_colour_of_a_loss_is_easy_to_read() -> None:
    assert contrast("#000000") == pytest.approx(21)
    assert all(contrast(colour) >= 4.5 for colour in (*COLOURS, GREY, INK))


@pytest.mark.parametrize("sign", [1, -1])
def test_numbers_in_squares_are_easy_to_read(sign: int) -> None:
    heat = pairs.Heat("k", "", ["a", "b"], [[0.0, -2.0], [2.0, 0.1]], [["1"] * 2] * 2, [[""] * 2] * 2, 2.0, sign)
    colours = re.findall(r"background:(#\w+)", svg_backend.square(heat))
    assert len(set(colours)) == 4
    assert all(contrast(INK) / contrast(colour) >= 4.5 for colour in colours)


def drawn_in(results: Results) -> list[Chart]:
    found = find(results)
    makers = (build.ranking, pairs.paired, build.curves, build.robustness, build.rates, build.slopes)
    made = [tab for maker in makers for tab in maker(results, found).values()]
    return [chart for tab in [*made, build.overall(results, found)] for chart in tab]


@pytest.mark.parametrize("losses", [2, 6, 9])
def test_one_loss_has_one_look_and_no_two_that_stand_out_share_a_colour(losses: int) -> None:
    results = study(losses=losses, levels=2, seeds=5, epochs=2)
    looks: dict[str, set[int]] = {}
    for chart in drawn_in(results):
        for series in chart.series:
            looks.setdefault(series.name, set()).add(series.look)
    assert all(len(found) == 1 for found in looks.values()), "the same in all figures"
    places = {loss: looks[loss].pop() for loss in results.losses}
    named = [look(place).colour for place in places.values() if place != REST]
    assert len(named) == len(set(named)) == min(losses, 6)
    order = find(results).overall.query("condition == 'tuned'").sort_values("mean_rank")["loss"]
    for loss in (order.iloc[0], order.iloc[-1], results.reference):
        assert places[loss] != REST
    assert len({look(place) for place in range(42)}) == 42


@pytest.mark.slow
def test_lines_bear_their_names_and_the_faint_ones_are_named_in_words() -> None:
    results = study(losses=9, levels=3, diverged=0)
    found = find(results)
    faint = emphasis.rest(results, found)
    assert len(faint) == 3
    (chart, _) = build.robustness(results, found)[""]
    words = words_in(svg_backend.picture(chart, "label"))
    assert {loss for loss in results.losses if short(loss, 24) in words} == set(results.losses) - set(faint)
    section = next(each for each in sections(results, found) if each.key == "robustness")
    assert section.lead[-1].startswith("Grey")
    assert all(f"`{loss}`" in section.lead[-1] for loss in faint)


@pytest.mark.parametrize(
    "heights", [[0.0, 0.0, 0.0], [5.0, 1.0, 5.5], [99.0, 100.0, 98.0], [1.0], [50.0, 51.0, 52.0, 10.0]]
)
def test_labels_stand_apart_in_their_order_and_inside(heights: list[float]) -> None:
    placed = apart(heights, 10, 0, 100)
    assert all(0 <= height <= 100 for height in placed)
    order = np.argsort(heights, kind="stable")
    assert (np.diff(np.asarray(placed)[order]) >= 10 - 1e-9).all()
    assert apart([20.0, 70.0], 10, 0, 100) == [20, 70], "where there is room, nothing moves"


@pytest.mark.parametrize(
    ("low", "high", "log", "expected"),
    [
        (0, 0.5, False, [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        (-1.2, 4.1, False, [-1, 0, 1, 2, 3, 4]),
        (0.9, 12, True, [1, 2, 5, 10]),
        (1e-4, 1, True, [0.0001, 0.001, 0.01, 0.1, 1]),
    ],
)
def test_axes_have_round_numbers(low: float, high: float, log: bool, expected: list[float]) -> None:
    assert ticks(low, high, log) == pytest.approx(expected)


def test_paired_differences_stand_first_and_show_what_is_told_apart() -> None:
    results = study(losses=3, levels=1, seeds=10, diverged=0, conditions=("asked",))
    (chart,) = pairs.paired(results, find(results))["one setting"]
    runs = results.runs.pivot(index="seed", columns="loss", values="value")
    for series in chart.series:
        difference = (runs[series.name] - runs["mse"]).mean()
        assert series.x == [pytest.approx(difference)]
        if series.name != "mse":
            assert series.low[0] < difference < series.high[0]
    forms = {series.name: series.form for series in chart.series}
    verdicts = find(results).comparisons.set_index("loss")["verdict"]
    assert forms == {"mse": "dots"} | {
        loss: "dots" if verdict in ("better", "worse") else "hollow" for loss, verdict in verdicts.items()
    }
    ranking = sections(results, find(results))[0]
    assert [chart.key for chart in ranking.tabs["one setting"].charts] == ["paired-0", "ranking-0"]
    assert next(iter(ranking.picture["one setting"])).key == "paired-0"


def test_squares_have_a_colour_only_where_two_losses_are_told_apart() -> None:
    results = study(losses=3, levels=1, seeds=10, diverged=0, conditions=("asked",))
    noise = np.random.default_rng(0).normal(size=len(results.runs))
    values = results.runs["loss"].map({"mse": 0.0, "l1": 0.001, "huber": 5.0}) + noise
    results = replace(results, runs=results.runs.assign(value=values))
    found = find(results)
    (heat,) = pairs.differences(results, found)["one setting"]
    verdicts = found.matrices["asked", "one setting"].set_index(["loss", "other"])["verdict"]
    markup = svg_backend.square(heat)
    colours = re.findall(r"background:(#\w+)", markup)
    for place, (row, column) in enumerate((row, column) for row in heat.names for column in heat.names):
        if row != column:
            known = verdicts[row, column]
            shown = colours[place]
            assert (shown == NEITHER) == (known not in ("better", "worse")), (row, column, known)
    assert NEITHER in colours
    assert colours[0] == "#fff"


@pytest.mark.parametrize(
    ("losses", "levels", "seeds", "most"),
    [(5, 1, 20, 2e6), pytest.param(10, 10, 100, 5e6, marks=pytest.mark.slow)],
)
def test_the_page_stays_small(losses: int, levels: int, seeds: int, most: float, tmp_path: Path) -> None:
    results = study(losses=losses, levels=levels, seeds=seeds, conditions=("asked",), epochs=30)
    assert len(results.runs) == losses * levels * seeds
    assert render.write_html(results, tmp_path / "report.html").stat().st_size < most


def test_the_page_says_its_answer_and_shows_its_figures_without_scripts(made: tuple[Results, str, str, Path]) -> None:
    results, text, _, _ = made
    bare = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    said = answer.answer(results, find(results)).replace("`", "")
    assert said.split(". ")[0] in html.unescape(re.sub(r"<[^>]+>", "", bare))
    assert charts(bare).keys() == charts(text).keys()
    assert all("<svg" in markup or "<table" in markup for markup in charts(bare).values())
    assert "closed" not in re.findall(r'class="([^"]*)"', bare), "all tabs are open until a script closes them"


def test_a_screen_reader_is_told_what_each_figure_shows(made: tuple[Results, str, str, Path]) -> None:
    _, text, _, _ = made
    labels = re.findall(r'<svg [^>]*role="img" aria-label="([^"]*)"', text)
    assert len(labels) == text.count("<svg") == len(set(labels))
    titles = tuple(html.unescape(title) for title in re.findall(r"<h2>([^<]*)</h2>", text))
    assert all(html.unescape(label).startswith(titles) for label in labels)
    levels = [int(level) for level in re.findall(r"<h(\d)", text)]
    assert (levels[0], levels.count(1)) == (1, 1)
    assert all(after <= before + 1 for before, after in pairwise(levels)), "no level is left out"
    for tab in re.findall(r'aria-controls="([^"]+)"', text):
        assert f'id="{tab}"' in text


@pytest.mark.slow
def test_plotly_knows_every_property_of_the_figures() -> None:
    from plotly.graph_objects import Figure

    results = study()
    for section in sections(results, find(results)):
        for tab in section.tabs.values():
            for chart in tab.charts:
                Figure(plotly_backend.figure(chart))  # raises where a name or a value is not one of plotly's


def test_a_logarithmic_axis_where_values_differ_by_orders_of_magnitude() -> None:
    results = study(levels=2)
    far = results.runs["value"].where(results.runs["loss"] != "mse", results.runs["value"] * 1e4)
    results = replace(results, runs=results.runs.assign(value=far, constant=np.nan))
    found = find(results)
    assert all(chart.log_y for chart in build.robustness(results, found)[""])
    assert not any(chart.log_y for chart in build.rates(results, find(results))["fraction=0"])


def test_what_is_far_worse_than_a_constant_does_not_flatten_the_rest() -> None:
    results = study(levels=2)
    best = results.runs["constant"].min()
    far = results.runs["value"].where(results.runs["loss"] != "mse", results.runs["constant"] * 1e4)
    results = replace(results, runs=results.runs.assign(value=far))
    for chart in build.robustness(results, find(results))[""]:
        assert chart.y_range is not None
        assert build.USELESS * best < chart.y_range[1] < 2 * build.USELESS * best
        assert not chart.log_y


@pytest.mark.slow
def test_the_work_grows_no_faster_than_the_study(tmp_path: Path) -> None:
    def work(seeds: int) -> int:
        results = study(losses=4, levels=3, seeds=seeds, trials=4, epochs=20)
        return calls(lambda: render.write_html(results, tmp_path / "report.html", find(results)))

    work(10)
    small, large = work(20), work(200)
    assert large < 10 * small


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("which", ["made", "hostile"])
def test_chromium_draws_every_figure_and_asks_for_nothing(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder: Path = request.getfixturevalue(which)[-1]
    page = folder / "report.html"
    log = tmp_path / "net.json"
    done = chromium(tmp_path, f"--log-net-log={log}", "--dump-dom", page.as_uri())
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    text = page.read_text(encoding="utf-8")
    assert charts(done.stdout).keys() == charts(text).keys()
    shown = {label for markup in charts(done.stdout).values() for label in words_in(markup)}
    assert {short(loss, 24) for loss in request.getfixturevalue(which)[0].losses} <= shown  # letter by letter
    assert not outside(log)


@pytest.mark.slow
@needs_browser
def test_the_page_would_be_caught_if_it_asked_for_something(
    made: tuple[Results, str, str, Path], tmp_path: Path
) -> None:
    leaking = re.sub(r"<meta http-equiv[^>]*>", "", made[1]).replace(
        "</body>", '<img src="http://127.0.0.1:9/x.png"></body>'
    )
    (tmp_path / "leaking.html").write_text(leaking, encoding="utf-8")
    log = tmp_path / "net.json"
    chromium(tmp_path, f"--log-net-log={log}", "--dump-dom", (tmp_path / "leaking.html").as_uri())
    assert outside(log) == ["http://127.0.0.1:9/x.png"]


@pytest.mark.slow
@needs_browser
def test_tabs_open_and_nothing_is_wider_than_a_phone(made: tuple[Results, str, str, Path], tmp_path: Path) -> None:
    script = """<script>
    document.querySelectorAll("#curves .tabs button")[1].click();
    const wide = all(document, "main *").filter(it => !it.closest("svg") && !it.closest(".scroll"))
      .filter(it => it.getBoundingClientRect().right > innerWidth + 1).map(it => it.outerHTML.slice(0, 80));
    const unhinted = all(document, ".scroll")
      .filter(it => (it.scrollWidth > it.clientWidth + 1) !== it.classList.contains("more")).length;
    parent.postMessage(JSON.stringify([all(document, "#curves .tab:not(.closed)").map(tab => tab.id), wide, unhinted,
      all(document, ".scroll.more").length > 0, innerWidth]), "*");
    </script></body>"""
    (tmp_path / "clicked.html").write_text(made[1].replace("</body>", script), encoding="utf-8")
    phone = tmp_path / "phone.html"  # a frame, as a window of Chromium is at least 500 px wide
    frame = '<iframe src="clicked.html" style="width: 420px; height: 900px; border: 0"></iframe>'
    phone.write_text(f"<script>onmessage = event => document.title = event.data</script>{frame}", encoding="utf-8")
    done = chromium(tmp_path, "--dump-dom", phone.as_uri())
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title
    assert json.loads(html.unescape(title[1])) == [["curves-1"], [], 0, True, 420]


@pytest.mark.slow
@needs_browser
def test_on_paper_all_tabs_are_open(made: tuple[Results, str, str, Path], tmp_path: Path) -> None:
    style = re.sub(r"@media print \{", "@media screen {", made[1])  # the rules for paper, on the screen
    script = """<script>document.title = JSON.stringify([all(document, ".tab").filter(tab => !tab.offsetHeight).length,
      all(document, ".tab").length, getComputedStyle(document.querySelector(".tabs")).display])</script></body>"""
    (tmp_path / "paper.html").write_text(style.replace("</body>", script), encoding="utf-8")
    done = chromium(tmp_path, "--dump-dom", (tmp_path / "paper.html").as_uri())
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title
    hidden, tabs, bar = json.loads(html.unescape(title[1]))
    assert (hidden, bar) == (0, "none")
    assert tabs > 5


def test_where_more_is_better_the_largest_area_stands_first() -> None:
    results = study(better="max", metric="r2", diverged=0)
    found = find(results)
    areas = found.robustness.query("condition == 'tuned'").set_index("loss")["area"]
    [table, *_] = tables.robustness(results, found)[""]
    assert [row[0] for row in table.rows] == list(areas.sort_values(ascending=False).index)
    assert areas.nunique() == len(areas) > 1
