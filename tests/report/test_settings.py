"""Settings in words, and settings that are one."""

from dataclasses import replace

import pytest

from losslab.records.record import Record
from losslab.report import analysis, collect
from losslab.report.answer import answer
from losslab.report.setting_words import phrase
from support.made_up_studies import asked, conducted

WORDS = {
    "corruption.fraction": "share of outliers",
    "corruption.side": "side of the outliers",
    "corruption.magnitude": "size of the errors, in spreads of the targets",
    "corruption.noise": "largest error, in sizes of the box",
    "model": "model",
    "optimizer.lr": "learning rate",
}
SIDES = ("+study.axes.corruption.side=[symmetric,one_sided]", "+study.axes.corruption.fraction=[0,0.2]")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"corruption.fraction": 0.2}, "20 % outliers"),
        ({"corruption.fraction": 0}, "no outliers"),
        ({"corruption.fraction": 0.05, "corruption.side": "one_sided"}, "5 % outliers on one side"),
        ({"corruption.side": "symmetric", "corruption.fraction": 0.0}, "no outliers"),
        ({"corruption.side": "one_sided"}, "outliers on one side"),
        ({"model": "linear", "optimizer.lr": 0.1}, "model linear and learning rate 0.1"),
        ({"corruption.noise": 0.1}, "boxes off by up to 0.1 of their size"),
        ({"corruption.noise": 0.0}, "no jitter"),
        ({"corruption.magnitude": 3.0}, "size of the errors 3 in spreads of the targets"),
    ],
)
def test_a_setting_in_words(setting: dict[str, object], words: str) -> None:
    assert phrase(setting, WORDS) == words


def corrupted_at_zero_alike(records: list[Record]) -> list[Record]:
    """As real data are: with a share of 0 nothing is corrupted, whatever the side."""
    return [
        one
        if one.config["corruption"]["fraction"]
        else replace(one, pairing=one.pairing | {"corruption": f"none{one.seed}"})
        for one in records
    ]


@pytest.mark.slow
def test_a_setting_that_is_there_twice_counts_once() -> None:
    study = asked(*SIDES)
    apart = conducted(study)
    together = corrupted_at_zero_alike(apart)
    before, after = collect.results(apart), collect.results(together)
    assert before.twins == {}
    assert after.twins == {"side=one_sided, fraction=0": "side=symmetric, fraction=0"}
    assert any("trains on the same data as" in note for note in after.notes)
    one, other = analysis.find(before), analysis.find(after)
    assert other.family < one.family
    assert list(other.overall["settings"]) <= list(one.overall["settings"])
    assert set(one.ranking["setting"]) == set(other.ranking["setting"]), "tables and curves keep it"
    assert "all 4 settings" in answer(before, one)
    assert "all 3 settings" in answer(after, other)
