"""Every file under conf/ is composed and checked."""

import itertools
from pathlib import Path

import pytest
import yaml

from examples import installed
from losslab import compose, config
from losslab.request import check_command

ROOT = Path(__file__).resolve().parents[1]

VALID = [
    (task, data, loss, model)
    for task in config.names("task")
    for data, loss in itertools.product(config.fitting("data", task), config.fitting("loss", task))
    for model in config.names("model")
    if data in installed() and config.card("data", data).about["kind"] in config.card("model", model).about["kinds"]
]


def test_every_valid_combination_composes() -> None:
    for task, data, loss, model in VALID[:: max(1, len(VALID) // 40)]:
        made = compose(f"task={task}", f"data={data}", f"loss={loss}", f"model={model}")
        assert [made[g]["name"] for g in ("task", "data", "loss", "model")] == [task, data, loss, model]


@pytest.mark.parametrize("group", config.GROUPS)
def test_every_file_says_its_name_and_keeps_to_its_ranges(group: str) -> None:
    assert config.names(group)
    for name in config.names(group):
        card = config.card(group, name)
        assert card.values["name"] == name
        assert config._group(group, card.values, config.card("", "config").about["ranges"]) == card.values


def test_every_file_begins_by_saying_what_it_is() -> None:
    for path in config.CONF.rglob("*.yaml"):
        if path.parent.name != "loss":  # a loss says it in its docstring, and names its source as a fact
            assert path.read_text().startswith("# "), path


def test_every_stated_range_belongs_to_a_key() -> None:
    shared = config.card("", "config").about["ranges"]
    keys = {"seed", "penalty.l1", "penalty.l2", "fused.size", "fused.audit"}
    for group in config.GROUPS:
        for name in config.names(group):
            card = config.card(group, name)
            assert set(card.about.get("ranges", {})) <= set(card.values)
            keys |= {f"{group}.{key}" for key in card.values}
    assert set(shared) <= keys


def test_defaults_of_each_task_fit_it() -> None:
    for task in config.names("task"):
        config.check_fit(compose(f"task={task}"))


@pytest.mark.parametrize("recipe", config.names("experiment"))
def test_every_recipe_composes_and_has_its_folder(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_command([f"experiment={recipe}"], multirun=False)
    assert (ROOT / "experiments" / recipe / "README.md").exists()
    assert (ROOT / "experiments" / recipe / "records.parquet").exists()


def test_a_composed_request_survives_yaml() -> None:
    made = compose("task=bbox", "loss=smoothl1", "optimizer=adamw")
    assert config.check(yaml.safe_load(yaml.safe_dump(made))) == made
