"""Every file under conf/ is composed and checked."""

import itertools
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from losslab import compose, errors
from losslab.request.command import check_command
from losslab.schema import canonical, cards, check, compatibility
from losslab.study.papers import GROUP
from support.examples import installed

ROOT = Path(__file__).resolve().parents[2]

FITTED = ("data", "corruption", "loss", "model")  # groups of which not each file goes with each; of the others all do
GPU = ("trainer", "gpu")  # refused where there is none


def combinations(task: str) -> Iterator[dict[str, str]]:
    """Each choice of a data set that is there, a corruption and a loss that a task takes, and a model."""
    offered = [compatibility.fitting(group, task) for group in FITTED[:3]]
    offered[0] = [name for name in offered[0] if name in installed()]
    for names in itertools.product(*offered, cards.names("model")):
        yield dict(zip(FITTED, names, strict=True))


def fits(chosen: dict[str, str]) -> bool:
    data, model = cards.card("data", chosen["data"]).about, cards.card("model", chosen["model"]).about
    return data["kind"] in model["kinds"] and not (data.get("one_split") and chosen["corruption"] != "none")


OWN_MODEL = "losslab.models:linear"  # stands for a user's


def values(group: str, name: str) -> dict[str, Any]:
    """What a file sets; a model of the user's own has to be named."""
    return cards.card(group, name).values | ({"target": OWN_MODEL} if name == "own" else {})


@pytest.mark.parametrize("share", [50, pytest.param(1, marks=pytest.mark.slow)])
def test_every_combination_is_taken_or_refused_as_one_that_does_not_fit(share: int) -> None:
    for task in cards.names("task"):
        base = compose(f"task={task}")
        for chosen in itertools.islice(combinations(task), 0, None, share):
            request = base | {group: values(group, name) for group, name in chosen.items()}
            if fits(chosen):
                assert check.check(request) == request, chosen
            else:
                with pytest.raises(errors.Incompatible):
                    check.check(request)


@pytest.mark.slow
@pytest.mark.parametrize("share", [20, pytest.param(1, marks=pytest.mark.slow)])
def test_every_file_of_every_group_composes_with_a_task_that_takes_it(share: int) -> None:
    """As Hydra composes it; what the test above puts together are the same values."""
    a_task = {
        (group, name): task
        for task in cards.names("task")
        for group in cards.GROUPS
        if group != "task"
        for name in (compatibility.fitting(group, task) if group in FITTED[:3] else cards.names(group))
        if (group, name) != GPU and (group != "data" or name in installed())
        if group != "logger" or find_spec(cards.card(group, name).about.get("package", "losslab"))
    }
    asked = [(task, group, name) for (group, name), task in a_task.items()]
    defaults = {task: compose(f"task={task}") for task in cards.names("task")}
    for task, group, name in asked[::share]:
        usual = defaults[task]
        chosen = {part: usual[part]["name"] for part in FITTED} | {group: name}
        if group in ("data", "model"):  # those that fit one another, and a corruption that fits both
            kind = [(data, model) for data in [name] if group == "data" for model in cards.names("model")]
            kind += [
                (data, name) for data in compatibility.fitting("data", task) if group == "model" and data in installed()
            ]
            chosen |= {"corruption": "none"}
            pairs = [
                {"data": data, "model": model} for data, model in kind if fits(chosen | {"data": data, "model": model})
            ]
            if not pairs:  # a model of pictures, and a task without any
                continue
            chosen |= pairs[0]
        needs = [f"model.target={OWN_MODEL}"] if chosen["model"] == "own" else []
        made = compose(f"task={task}", *(f"{part}={file}" for part, file in chosen.items()), *needs)
        assert made == usual | {part: values(part, file) for part, file in chosen.items()}


@pytest.mark.parametrize("group", cards.GROUPS)
def test_every_file_says_its_name_and_keeps_to_its_ranges(group: str) -> None:
    assert cards.names(group)
    for name in cards.names(group):
        card = cards.card(group, name)
        assert card.values["name"] == name
        assert canonical._group(group, card.values) == card.values


def test_every_file_begins_by_saying_what_it_is() -> None:
    for path in cards.CONF.rglob("*.yaml"):
        if path.parent.name != "loss":  # a loss says it in its docstring, and names its source as a fact
            assert path.read_text().startswith("# "), path


def test_every_stated_range_belongs_to_a_key() -> None:
    shared = cards.card("", "config").about["ranges"]
    keys = {"seed", "store", "penalty.l1", "penalty.l2", "fused.size", "fused.engine", "fused.processes", "fused.audit"}
    for group in cards.GROUPS:
        for name in cards.names(group):
            card = cards.card(group, name)
            assert set(card.about.get("ranges", {})) <= set(card.values)
            keys |= {f"{group}.{key}" for key in {**card.values, **cards.options(group)}}
    assert set(shared) <= keys


def test_defaults_of_each_task_fit_it() -> None:
    for task in cards.names("task"):
        compatibility.check_fit(compose(f"task={task}"))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", cards.names("experiment"))
def test_every_recipe_composes_and_has_its_folder(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_command([f"experiment={recipe}"], multirun=False)
    paper = recipe.startswith(GROUP)  # docs/papers.md is the page of all of them
    assert paper or (ROOT / "experiments" / recipe / "README.md").exists()
    assert (ROOT / "experiments" / recipe / "records.parquet").exists()


def test_a_composed_request_survives_yaml() -> None:
    made = compose("task=bbox", "loss=smoothl1", "optimizer=adamw")
    assert check.check(yaml.safe_load(yaml.safe_dump(made))) == made


def test_what_was_checked_once_is_checked_as_if_anew() -> None:
    first = canonical.component("model", "mlp", {"hidden": [8]})
    first["hidden"].append(3)
    assert canonical.component("model", "mlp", {"hidden": [8]})["hidden"] == [8]
    assert type(canonical.component("optimizer", "adam", {"lr": 1})["lr"]) is float
    for wrong in (True, "1"):
        with pytest.raises(errors.BadRequest, match="must be a number"):
            canonical.component("optimizer", "adam", {"lr": wrong})


def test_a_card_that_has_changed_is_not_taken_for_what_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    card = tmp_path / "conf" / "loss" / "mine.yaml"
    card.parent.mkdir(parents=True)
    for most in (2, 1):
        card.write_text(
            f"name: mine\nc: 1.0\nabout:\n  reads: [values]\n  function: mse\n  ranges: {{c: '[0, {most}]'}}\n"
        )
        cards.refresh()
        if most == 2:
            assert canonical.component("loss", "mine", {"c": 1.5})["c"] == 1.5
    with pytest.raises(errors.BadRequest, match="at most 1"):
        canonical.component("loss", "mine", {"c": 1.5})
