"""The report of a study: what stands in it, that nothing in it is taken for code, and that it opens without a network."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from losslab.report import render, tables
from losslab.report.analysis import find
from losslab.report.charts import build, plotly_backend
from losslab.report.charts.spec import Chart, short
from losslab.report.charts.style import look
from losslab.report.results import Results
from losslab.report.sections import sections
from support.counted import calls
from support.studies import study

HOSTILE = '</script><script>alert(1)</script>{{7*7}}" onload="x" <b>|`_$\\frac$ ${x}'
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, str, str, Path]:
    """A study with its page, its Markdown, and the folder that they lie in."""
    results, folder = study(), tmp_path_factory.mktemp("report")
    written = render.write_html(results, folder / "report.html"), render.write_markdown(results, folder)
    return results, written[0].read_text(encoding="utf-8"), written[1].read_text(encoding="utf-8"), folder


def in_page(text: str) -> dict[str, dict]:
    """The figures of a page, as plotly will read them."""
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def without_plotly(text: str) -> str:
    return re.sub(r"<script>/\*\*\n\* plotly.js.*?</script>", "", text, flags=re.DOTALL)


def cells(text: str) -> list[list[str]]:
    """The rows of all tables of a page, as a reader sees them."""
    rows = re.findall(r"<tr>(?=<td)(.*?)</tr>", text, re.DOTALL)
    return [
        [html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<td.*?>(.*?)</td>", row)] for row in rows
    ]


@pytest.mark.slow
def test_every_section_has_its_figures(made: tuple[Results, str, str, Path]) -> None:
    results, text, _, _ = made
    keys = set(in_page(text))
    boxes = re.findall(r'data-chart="([^"]+)"', text)
    assert sorted(boxes) == sorted(keys)
    settings, conditions = range(len(results.settings)), results.conditions
    assert keys == {
        "ranking-overall",
        *(f"ranking-{place}" for place in settings),
        *(f"slopes-{place}" for place in settings),
        *(f"curves-{place}-{condition}" for place in settings for condition in conditions),
        *(f"differences-{place}-{condition}" for place in settings for condition in conditions),
        *(f"robustness-0-{condition}" for condition in conditions),
        "rates-0",
    }


@pytest.mark.slow
def test_markdown_has_its_pictures_and_the_page_none(made: tuple[Results, str, str, Path]) -> None:
    _, text, markdown, folder = made
    named = re.findall(r"!\[[^]]*\]\((figures/[a-z]+\.png)\)", markdown)
    assert len(named) == 4
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in named)
    assert sorted(path.name for path in (folder / "figures").iterdir()) == sorted(Path(name).name for name in named)
    assert "<img" not in without_plotly(text)


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
    figures = in_page(text)
    assert ["confirm", "mse", "fraction=0.5", "diverged", "4", "0, 1", "the loss was not finite in epoch 3"] in cells(
        text
    )
    assert {note["text"] for note in figures["ranking-2"]["layout"]["annotations"]} == {"2 of 5 diverged"}
    crosses = [t for t in figures["robustness-0-tuned"]["data"] if t.get("marker", {}).get("symbol") == "x-thin"]
    assert [trace["x"] for trace in crosses] == [[0.5]]
    words = figures["differences-2-tuned"]["data"][0]["text"]
    assert words[0][1:] == ["–"] * 3  # noqa: RUF001  # five seeds cannot say, and there is no number to be trusted
    assert "diverged or far off" in [note["text"] for note in figures["rates-0"]["layout"]["annotations"]]


def test_a_trial_that_is_far_off_does_not_flatten_the_others() -> None:
    results = study(losses=2, levels=1, seeds=5, diverged=0)
    far = results.trials["trial"] == results.trials["trial"].iloc[0]
    trials = results.trials.assign(value=results.trials["value"].mask(far, 1e9))
    (chart,) = build.rates(replace(results, trials=trials))[str(trials["at"].iloc[0])]
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
    assert set(in_page(text)) == {"ranking-0", "differences-0-asked"}
    assert re.findall(r'<section id="([a-z]+)">', text) == ["ranking", "differences", "failures", "how", "source"]
    markdown = render.write_markdown(results, tmp_path).read_text(encoding="utf-8")
    assert markdown.count("![") == 1


def test_without_a_run_that_is_done_only_crosses_are_left(tmp_path: Path) -> None:
    results = study(losses=2, levels=2, seeds=2, epochs=0, trials=0)
    results = replace(results, runs=results.runs.assign(status="diverged", value=float("nan")))
    text = render.write_html(results, tmp_path / "report.html").read_text(encoding="utf-8")
    figures = in_page(text)
    assert set(figures) == {"ranking-overall", "robustness-0-shared", "robustness-0-tuned"}
    crosses = [trace["marker"]["symbol"] for trace in figures["robustness-0-tuned"]["data"] if trace["meta"] >= 0]
    assert crosses == ["x-thin", "x-thin"]
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
    (chart,) = build.rates(results)["one setting"]
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
    rest = without_plotly(text)
    assert rest.lower().count("</script") == 2  # the figures, and the page's own
    assert "<script>alert" not in rest
    assert "<b>" not in rest
    assert not re.search(r'<[^>]*" onload="', rest)
    assert "49" not in re.sub(r"#\w+|\d\.\d+", "", rest.split("<body>")[1].split('<script type="app')[0])
    assert html.unescape(rest).count("{{7*7}}") > 20


@pytest.mark.slow
def test_plotly_sees_no_markup_in_names(hostile: tuple[Results, Path]) -> None:
    figures = in_page((hostile[1] / "report.html").read_text(encoding="utf-8"))
    texts = list(strings(figures))
    assert any("&lt;script&gt;" in text for text in texts)
    assert not [text for text in texts if "<" in text or ">" in text]


def test_no_text_ends_the_block_of_figures() -> None:
    text = plotly_backend.in_script({"a": HOSTILE + "<!--", "b": [float("nan"), 1.23456789]})
    assert "<" not in text
    assert json.loads(text) == {"a": HOSTILE + "<!--", "b": [None, 1.23457]}


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(item)


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


def test_no_two_losses_look_alike_and_one_loss_looks_the_same_everywhere() -> None:
    assert len({look(place) for place in range(40)}) == 40
    assert len({look(place).colour for place in range(8)}) == 8
    for place in range(16):  # of one colour: told apart by dash and by marker
        assert look(place).dash != look(place + 8).dash
        assert look(place).marker != look(place + 8).marker
    results = study(losses=9, levels=2, seeds=2, epochs=2)
    found = find(results)
    drawn = [
        *build.ranking(results, found).values(),
        *build.curves(results, find(results)).values(),
        *build.robustness(results, found).values(),
        *build.rates(results).values(),
        *build.slopes(results, found).values(),
    ]
    charts: list[Chart] = [chart for tab in drawn for chart in tab]
    places = {(series.name, series.look) for chart in charts for series in chart.series if series.look >= 0}
    assert places == {(loss, place) for place, loss in enumerate(results.losses)}


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
    assert not any(chart.log_y for chart in build.rates(results)["fraction=0"])


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


def chromium(folder: Path, *asked: str) -> subprocess.CompletedProcess[str]:
    """Chromium as a new user, who knows no host."""
    quiet = ("quic", "background-networking", "component-update", "sync", "default-apps", "gpu", "extensions")
    command = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--no-first-run",
        *(f"--disable-{word}" for word in quiet),
        f"--user-data-dir={folder / 'profile'}",
        "--enable-logging=stderr",
        "--v=0",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--virtual-time-budget=8000",
        "--window-size=1200,1600",
        *asked,
    ]
    shutil.rmtree(folder / "profile", ignore_errors=True)
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="There is neither chromium nor google-chrome on this machine."
)


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("which", ["made", "hostile"])
def test_chromium_draws_every_figure_and_asks_for_nothing(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder: Path = request.getfixturevalue(which)[-1]
    text = (folder / "report.html").read_text(encoding="utf-8")
    printed = tmp_path / "all.html"  # as it is printed: all tabs open, all figures drawn
    asked = "<script>dispatchEvent(new Event('beforeprint'))</script></body>"
    printed.write_text(text.replace("</body>", asked), encoding="utf-8")
    log = tmp_path / "net.json"
    done = chromium(tmp_path, f"--log-net-log={log}", "--dump-dom", printed.as_uri())
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not complaints
    dom = without_plotly(done.stdout)
    drawn = re.findall(r'<div data-chart="([^"]+)" data-drawn="yes" class="js-plotly-plot">', dom)
    assert sorted(drawn) == sorted(in_page(text))
    assert dom.count('class="main-svg"') >= len(drawn)
    labels = {html.unescape(label) for label in re.findall(r"<text [^>]*>([^<]*)</text>", dom)}
    assert {short(loss) for loss in request.getfixturevalue(which)[0].losses} <= labels  # letter by letter
    assert not outside(log)


def outside(log: Path) -> list[str]:
    """Addresses that a page asked for, from Chromium's log of its network; what Chromium asks for itself has no origin."""
    text = log.read_text(encoding="utf-8").rstrip()
    events = json.loads(text if text.endswith("}") else text.rstrip(",") + "]}")["events"]
    asked = [event["params"] for event in events if isinstance(event.get("params"), dict)]
    urls = {one["url"] for one in asked if "url" in one and one.get("initiator", "not an origin") != "not an origin"}
    return sorted(url for url in urls if not url.startswith(("file:", "data:", "about:", "chrome:", "blob:")))


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
def test_tabs_open_and_losses_hide(made: tuple[Results, str, str, Path], tmp_path: Path) -> None:
    script = """<script>
    document.querySelectorAll("#curves .tabs button")[1].click();
    document.querySelector('#curves .legend [data-loss="1"]').click();
    document.title = JSON.stringify([...document.querySelectorAll("#curves [data-drawn]")].map(box =>
      [box.dataset.chart, box.data.filter(trace => trace.visible === false).map(trace => trace.meta)]));
    </script></body>"""
    (tmp_path / "clicked.html").write_text(made[1].replace("</body>", script), encoding="utf-8")
    done = chromium(tmp_path, "--dump-dom", (tmp_path / "clicked.html").as_uri())
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title
    shown = dict(json.loads(html.unescape(title[1])))
    assert set(shown) == {f"curves-{place}-{condition}" for place in (0, 1) for condition in ("tuned", "shared")}
    assert all(set(hidden) == {1} for hidden in shown.values())


def test_where_more_is_better_the_largest_area_stands_first() -> None:
    results = study(better="max", metric="r2", diverged=0)
    found = find(results)
    areas = found.robustness.query("condition == 'tuned'").set_index("loss")["area"]
    [table, *_] = tables.robustness(results, found)[""]
    assert [row[0] for row in table.rows] == list(areas.sort_values(ascending=False).index)
    assert areas.nunique() == len(areas) > 1
