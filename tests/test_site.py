"""The documentation builds without a warning and without a network, and what a reader needs is in it."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from losslab.schema import cards
from support.browser import chromium, needs_browser, outside

pytest.importorskip("sphinx", reason="the site needs the extra `docs`")
ROOT = Path(__file__).resolve().parents[1]
WANTED = (
    "docs/first_answer",
    "docs/own_data",
    "docs/comparing",
    "docs/own_parts",
    "docs/clusters",
    "docs/speed",
    "docs/conformance",
    "api",
)


class Links(HTMLParser):
    """What a page loads or links, and the anchors that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.anchors |= {given[key] for key in ("id", "name") if key in given}
        if tag == "a" and "href" in given:
            self.targets.append(given["href"])
        self.loaded += [
            given[key] for key in ("src", "href") if key in given and tag in ("img", "script", "link", "source")
        ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built anew."""
    folder = tmp_path_factory.mktemp("site")
    environment = os.environ | {"no_proxy": "", "https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, str(ROOT / "docs/site/build.py"), str(folder)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return (folder / "html").resolve()


@pytest.fixture(scope="module")
def read(site: Path) -> dict[str, Links]:
    """Every page of the site by its path."""
    found = {}
    for path in site.glob("**/*.html"):
        links = found[path.relative_to(site).as_posix()] = Links()
        links.feed(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.slow
def test_every_page_that_is_wanted_is_there(site: Path, read: dict[str, Links]) -> None:
    assert {f"{page}.html" for page in WANTED} <= set(read)
    assert {f"catalogue/{name}.html" for name in cards.names("loss")} <= set(read)
    assert all((site / "_images" / f"{name}.svg").exists() for name in cards.names("loss"))
    studies = [path.parent.name for path in ROOT.glob("experiments/*/README.md")]
    assert {f"experiments/{study}/README.html" for study in studies} <= set(read)
    examples = {path.stem for path in ROOT.glob("examples/gallery/plot_*.py")}
    assert len(examples) >= 20
    assert {f"gallery/{name}.html" for name in examples} <= set(read)
    for name in examples:  # each has a picture
        assert list((site / "_images").glob(f"sphx_glr_{name}_*.png")), name


@pytest.mark.slow
def test_every_link_inside_the_site_leads_somewhere(site: Path, read: dict[str, Links]) -> None:
    for page, links in read.items():
        for target in links.targets:
            path, _, anchor = target.partition("#")
            if re.match(r"\w+:", target):
                continue
            there = ((site / page).parent / unquote(path)).resolve() if path else site / page
            assert there.exists(), f"{page} links {target}"
            known = read.get(there.relative_to(site).as_posix())
            assert not (anchor and known) or unquote(anchor) in known.anchors, f"{page} links {target}"


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site: Path, read: dict[str, Links]) -> None:
    for page, links in read.items():
        assert not [one for one in links.loaded if re.match(r"(https?:)?//", one)], page
    for style in site.glob("_static/**/*.css"):
        assert not re.search(r"@import\s+(url\()?['\"]?https?:", style.read_text(encoding="utf-8")), style


@pytest.mark.slow
def test_the_search_knows_what_users_ask_for(site: Path) -> None:
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text[text.index("(") + 1 : text.rindex(")")])
    for word, page in (
        ("nan", "docs/advice"),
        ("slurm", "docs/clusters"),
        ("csv", "docs/own_data"),
        ("huber", "catalogue/huber"),
        ("tensorboard", "docs/records"),
        ("poisson", "gallery/plot_20_counts"),
    ):
        found = index["terms"].get(word, [])
        names = {index["docnames"][one] for one in ([found] if isinstance(found, int) else found)}
        titled = {index["docnames"][one] for one in _listed(index["titleterms"].get(word, []))}
        assert page in names | titled, word


@pytest.mark.slow
@needs_browser
def test_a_phone_never_scrolls_sideways_and_the_search_needs_no_network(site: Path, tmp_path: Path) -> None:
    wide = ("index", "docs/conformance", "experiments/label_noise/README", "catalogue/giou", "gallery/index", "api")
    frames = "".join(f'<iframe width="420" height="900" src="{page}.html"></iframe>' for page in wide)
    outside_of = """frame => Array.from(frame.document.querySelectorAll("article *"))
      .filter(it => !it.closest(".table-wrapper, pre, figure.wide"))  // these scroll by themselves
      .filter(it => it.getBoundingClientRect().right > frame.innerWidth + 1).length"""
    phone = site / "phone.html"
    counting = f"onload = () => document.title = Array.from(frames, {outside_of})"
    phone.write_text(f"<body>{frames}<script>{counting}</script></body>")
    drawn = chromium(tmp_path, "--allow-file-access-from-files", "--dump-dom", phone.as_uri()).stdout
    phone.unlink()
    title = re.search(r"<title>([\d,]+)</title>", drawn)
    assert title
    too_wide = dict(zip(wide, map(int, title[1].split(",")), strict=True))
    assert not any(too_wide.values()), too_wide

    log = tmp_path / "net.json"
    asked = f"{(site / 'search.html').as_uri()}?q=slurm"
    found = chromium(tmp_path, f"--log-net-log={log}", "--dump-dom", asked).stdout
    assert re.search(r'id="search-results".*href="docs/clusters\.html', found, re.DOTALL)
    assert not outside(log)


def _listed(found: int | list[int]) -> list[int]:
    return [found] if isinstance(found, int) else found
