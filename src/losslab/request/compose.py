"""From words to a composed config, or one sentence that says what was wrong. No torch here."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, ListConfig, OmegaConf
from yaml import YAMLError

from losslab import errors
from losslab.errors import BadRequest, first_line, raise_if_ended
from losslab.request import jobs
from losslab.request.overrides import axes, read, single, with_own_data
from losslab.schema import canonical, cards, compatibility, executor, references
from losslab.schema import check as schema_check

OmegaConf.register_new_resolver("run_id", lambda _root_: canonical.run_id(_root_), replace=True)


def compose(*overrides: str) -> dict[str, Any]:
    """A checked request, as on the command line: `compose("task=bbox", "loss=smoothl1", "loss.beta=0.5")`.

    Raises BadRequest for whatever the command line would refuse.
    """
    with hydra_at_conf():
        words = single(axes(with_own_data(overrides)))
        whole = _without_hydra(words) or composed(words)
        executor.refuse_for_one_run(executor.of(whole))
        return checked(whole)


def _without_hydra(words: Sequence[str]) -> dict[str, Any] | None:
    """What Hydra would compose from these words, from cards and values that are put into the request of a task.

    None where a word may do anything else: be wrong, refer to another value, bring a recipe or a study. A composition takes Hydra some
    hundred milliseconds, this a few.
    """
    parsed = {text: read(text) for text in words}
    files = jobs.files(list(parsed.values()))
    values = {text: one for text, one in parsed.items() if one not in files and jobs.is_plain_value(one)}
    fixed = [text for text, one in parsed.items() if one not in files and text not in values]
    task = fixed[0].removeprefix("task=") if fixed else "regression"
    if len(fixed) > 1 or task not in cards.names("task") or not cards.card("task", task).shipped:
        return None
    whole = copy.deepcopy(_of_task(task))
    for one in files:
        whole[one.key_or_group] = copy.deepcopy(cards.card(one.key_or_group, str(one.value())).values)
    for text, one in values.items():
        if any(mark in text for mark in "?{") or not (
            _is_setting(whole, one.key_or_group) or jobs.is_option(one.key_or_group)
        ):
            return None
        canonical.set_value(whole, one.key_or_group, one.value())
    return whole


@cache
def _of_task(task: str) -> dict[str, Any]:
    """The request of one of losslab's own tasks; its files do not change while losslab runs."""
    return canonical.resolved(composed([f"task={task}"]))


def _is_setting(whole: Mapping[str, Any], key: str) -> bool:
    """Whether a dotted key leads to a value that holds no others."""
    found: Any = whole
    for part in key.split("."):
        if not isinstance(found, dict) or part not in found:
            return False
        found = found[part]
    return not isinstance(found, dict)


def checked(config: Mapping[str, Any] | DictConfig) -> dict[str, Any]:
    """The whole check of a composed config, with a trial of each loss that is named by where it stands. Raises BadRequest."""
    request = schema_check.check(config)
    if any(cards.is_reference("loss", term["name"]) for _, term in compatibility.terms(request["loss"])):
        from losslab.losses import trial  # imports torch, as the user's file mostly does

        trial.check(request["task"]["name"], request["loss"])
    if request["task"].get("metrics"):
        from losslab.metrics import outside

        outside.check(request["task"])
    return request


def offer_cards() -> None:
    """Lets Hydra find the cards and recipes from outside, and what a request names by where it stands."""
    store = ConfigStore.instance().store
    for group, name in cards.from_outside():
        store(group=group, name=name, node=cards.card(group, name).values, provider="losslab")
    for name, path in cards.recipes_of_user().items():
        try:
            content = OmegaConf.load(path)
        except (YAMLError, ValueError) as error:
            raise BadRequest(f"{path} cannot be read: {first_line(error)}.") from error
        store(group="experiment", name=name, node=_with_aliases(content), package="_global_", provider="losslab")
    for group, alias, card in references.entered():
        store(group=group, name=alias, node=card.values, provider="losslab")


def _with_aliases(recipe: Any) -> Any:
    """A recipe in which a reference to the user's code, among its defaults, is a name that Hydra can look for."""
    defaults = recipe.get("defaults") if isinstance(recipe, DictConfig) else None
    for entry in defaults if isinstance(defaults, ListConfig) else []:
        for key, value in entry.items() if isinstance(entry, DictConfig) else ():
            group = re.fullmatch(r"(override\s+)?/?(loss|model)(@.*)?", str(key))
            if group and isinstance(value, str) and references.is_one(value) and cards.has(group[2], value):
                entry[key] = references.alias(value)
    return recipe


def composed(overrides: Sequence[str], with_hydra: bool = False) -> DictConfig:
    """What Hydra composes from these words. Raises BadRequest, in one sentence, where it cannot."""
    offer_cards()
    try:
        return hydra_compose("config", overrides=jobs.for_hydra(overrides), return_hydra_config=with_hydra)
    except Exception as error:
        raise_if_ended(error)  # else the words did it, whatever it is: nothing else differs between two compositions
        raise BadRequest(_diagnosis(overrides, error)) from error


def _diagnosis(overrides: Sequence[str], error: Exception) -> str:
    """One sentence for a composition that failed."""
    chosen = {read(text).key_or_group: str(read(text).value()) for text in overrides}
    groups = [f"{group}={name}" for group, name in chosen.items() if group in cards.CHOICES and cards.has(group, name)]
    unknown = f"The request cannot be composed: {first_line(error)}."
    try:
        plain = hydra_compose("config", overrides=jobs.for_hydra(groups))
    except Exception:  # a recipe that is wrong in itself
        return unknown
    known = list(_keys(plain))
    for text in overrides:
        parsed = read(text)
        key = parsed.key_or_group
        if parsed.is_add() or parsed.package:
            continue
        if key.startswith("study.axes."):
            return f"An axis is added with a plus sign: '+{text}'."
        if key in known or key.startswith(("experiment", "hydra")):
            continue
        group, _, inner = key.partition(".")
        of_a_study = group == "study" and inner.split(".")[0] in cards.card("study", "fair").values
        if of_a_study and "study" not in plain:
            return f"'{key}' belongs to a study, and none is chosen: add study=fair, or take a recipe that holds one."
        if group == "study" and inner and not of_a_study:
            return canonical.no_such_key("study", "fair", inner)
        if inner and group in (*cards.GROUPS, "executor"):
            return canonical.no_such_key(group, plain[group].name, inner)
        if inside := [k for k in known if k.rpartition(".")[2] == key]:
            whole = " or ".join(f"{k}={text.partition('=')[2]}" for k in inside)
            return f"There is no key '{key}' at the top; write {whole}."
        beside = [k for k in known if k.rpartition(".")[0] == key.rpartition(".")[0]]
        valid = beside or [k for k in known if "." not in k]
        return f"There is no key '{key}'{errors.nearest(key, known)}. Valid: {', '.join(valid)}."
    return unknown


def _keys(node: DictConfig, prefix: str = "") -> Iterator[str]:
    """The dotted names of all settings."""
    for key, value in node.items():
        if key not in ("about", "hydra"):
            yield f"{prefix}{key!s}"
            if isinstance(value, DictConfig):
                yield from _keys(value, f"{prefix}{key!s}.")


@contextmanager
def hydra_at_conf() -> Iterator[None]:
    """Hydra set to conf/, for the time of a composition."""
    cards.refresh()
    with initialize_config_dir(str(cards.CONF), version_base="1.3"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of ${oc.deprecated:KEY}, which whoever types it knows
        yield
