"""range() in sweeps, studies and recipes: the end left out, decimals clean, equal values once."""

import json
from pathlib import Path

import pytest

from losslab import compose
from losslab.cli import train
from losslab.errors import BadRequest
from losslab.schema import canonical
from losslab.schema.ranges import typed
from losslab.sweep import value_ranges
from support.made_up_studies import asked


def values(written: str) -> list[str]:
    found = value_ranges.choices(value_ranges.parser().parse_override(f"optimizer.lr={written}"))
    return [choice.removeprefix("optimizer.lr=") for choice in found]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("range(0,0.4,0.1)", "0.0 0.1 0.2 0.3"),
        ("range(0.1,0.5,0.2)", "0.1 0.3"),
        ("range(0.4,0,-0.1)", "0.4 0.3 0.2 0.1"),
        ("range(1,0,-0.2)", "1.0 0.8 0.6 0.4 0.2"),
        ("range(-0.3,0.3,0.1)", "-0.3 -0.2 -0.1 0.0 0.1 0.2"),
        ("range(0,1,0.35)", "0.0 0.35 0.7"),
        ("range(0.7,1.1,0.1)", "0.7 0.8 0.9 1.0"),
        ("range(1e-50,4e-50,1e-50)", "1e-50 2e-50 3e-50"),
        ("range(1e20,100000000000000000003,1)", "1e+20"),
        ("range(3)", "0 1 2"),
        ("range(5,0,-2)", "5 3 1"),
        ("range(start=0,stop=0.3,step=0.1)", "0.0 0.1 0.2"),
        ("sort(range(0,0.4,0.15),reverse=true)", "0.3 0.15 0.0"),
        ("sort(range(0.4,0,-0.1))", "0.1 0.2 0.3 0.4"),
        ("tag(a,range(0,0.3,0.1))", "0.0 0.1 0.2"),
        ("float(range(0,3))", "0.0 1.0 2.0"),
        ("0.1,1e-1,.1,0.10,0.2", "0.1 0.2"),
        ("1,1.0,2", "1 2"),
        ("a,'a',b", "a b"),
    ],
)
def test_a_sweep_holds_the_values_that_are_written(written: str, meant: str) -> None:
    assert values(written) == meant.split()


def test_a_shuffled_sweep_is_the_same_each_time() -> None:
    shuffled = values("shuffle(range(0,0.8,0.1))")
    assert shuffled == values("shuffle(range(0,0.8,0.1))") != values("range(0,0.8,0.1)")
    assert sorted(shuffled) == values("range(0,0.8,0.1)")


@pytest.mark.parametrize("written", ["range(0,1,0)", "range(1,0,0.1)", "range(0,1,1e-9)", "range(0,inf)", "range(nan)"])
def test_a_range_that_leads_nowhere_is_refused(written: str) -> None:
    with pytest.raises(BadRequest, match="steps that lead from its start to its end"):
        compose(f"optimizer.lr={written}")


@pytest.mark.slow
@pytest.mark.parametrize("sweeper", ["losslab", "basic"])
def test_a_sweep_trains_the_values_that_are_written(sweeper: str, tmp_path: Path) -> None:
    words = f"-m hydra/sweeper={sweeper} corruption.fraction=range(0.1,0.5,0.2) data.rows=30 data.batch_size=4 hydra.sweep.dir={tmp_path}"
    more = "trainer.max_epochs=1 trainer=cpu logger=none +hydra.sweeper.params.seed='range(0,4,2)'"
    assert train.train([*words.split(), *more.split()]) == 0
    records = [json.loads(path.read_text()) for path in tmp_path.rglob("record.json")]
    assert sorted((record["corruption"]["fraction"], record["seed"]) for record in records) == [
        (fraction, seed) for fraction in (0.1, 0.3) for seed in (0, 2)
    ]


def test_a_study_takes_ranges_for_its_axes_and_its_losses() -> None:
    study = asked(
        "+study.axes.corruption.fraction=range(0,0.4,0.1)",
        losses="study.losses=[mse,'huber(delta=range(0.1,0.5,0.2))']",
    )
    assert study.losses == ["mse", "huber(delta=0.1)", "huber(delta=0.3)"]
    assert study.axes["corruption.fraction"] == [0.0, 0.1, 0.2, 0.3]
    quoted = asked("+study.axes.corruption.fraction='sort(range(0,0.4,0.1),reverse=true)'")
    assert quoted.axes["corruption.fraction"] == [0.3, 0.2, 0.1, 0.0]


def test_numbers_that_are_equal_are_one_setting_however_they_are_written() -> None:
    assert str(typed("x", -0.0, 1.0, {})) == "0.0"
    base = compose("task=regression")
    ids = {canonical.run_id(base | {"penalty": {"l1": zero, "l2": 0.0}}) for zero in (0, 0.0, -0.0)}
    assert len(ids) == 1
