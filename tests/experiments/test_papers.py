"""docs/papers.md says what the records say, and the records are those that the recipes ask for."""

from pathlib import Path

import papers as page
import pytest

from losslab.records.record import HASHES
from losslab.study import papers

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_page_is_what_the_records_give() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.render()


@pytest.mark.slow
@pytest.mark.parametrize("name", papers.names())
def test_published_records_are_those_that_the_recipe_asks_for(name: str) -> None:
    shown = page.shown(name)
    study, records = shown.study, shown.records
    commits = {str(record.commit) for record in records}
    assert len(commits) == 1
    assert not commits.pop().endswith("+"), "made from files that no commit holds"
    compared = [record for record in records if record.study and record.study["phase"] == "confirm"]
    settings = [study.label(setting) for setting in study.settings()]
    runs = {(record.study["loss"], record.study["setting"], record.seed) for record in compared if record.study}
    assert runs == {(loss, at, seed) for loss in study.losses for at in settings for seed in study.fresh_seeds}
    assert all(study.made(record.study["study"]) for record in compared if record.study)
    for stream in HASHES:
        for at in settings:
            of_seed = {
                (record.seed, record.pairing[stream])
                for record in compared
                if record.study and record.study["setting"] == at
            }
            assert len(of_seed) == study.seeds, stream


def test_every_paper_stands_on_the_page() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    for name in papers.names():
        assert f"experiment={name}\n" in text, name
