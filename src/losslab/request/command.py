"""From a command line to a checked run, sweep or study. No torch here."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from losslab.errors import BadRequest, Incompatible, first_line
from losslab.hydra_internals import CORE_PLUGINS
from losslab.records.run_folder import check_folder, check_writable
from losslab.request import jobs, model_trial
from losslab.request.compose import checked, composed, hydra_at_conf
from losslab.request.data_cards import word
from losslab.request.overrides import axes, is_group, read, single
from losslab.request.sweep_name import sweep_name
from losslab.safe_points import check
from losslab.schema import canonical, cards, devices, executor
from losslab.study import asking, papers
from losslab.study.recipe import Study
from losslab.sweep import engines

_BUILT = ("hydra_plugins.", CORE_PLUGINS)  # sweepers and launchers, installed by the user


class SweepRequest(NamedTuple):
    """The folder of a sweep, the words that tell Hydra what to run there, and where its stacks are trained."""

    folder: Path
    overrides: list[str]
    executor: dict[str, Any]


class StudyRequest(NamedTuple):
    """A study, the folder that it is to lie in, whether it takes runs of other commits, and where its stacks are trained."""

    study: Study
    folder: Path
    mix: bool
    executor: dict[str, Any]


def check_command(
    overrides: Sequence[str], multirun: bool
) -> tuple[dict[str, Any], Path] | StudyRequest | SweepRequest:
    """The checked request of a lone run and its folder, or a checked study or sweep. Writes nothing.

    Raises BadRequest where the run, or any run of the sweep or the study, would be refused.

    In a sweep, runs whose loss or data do not fit their task are left for the sweep to skip, unless none fits.
    """
    with hydra_at_conf():
        given = axes(overrides)
        if typed := [key for key in given if key.split(".")[-1] == "_target_"]:
            raise BadRequest(
                f"'{typed[0]}' cannot be typed: losslab builds from names alone, such as hydra/launcher=basic."
            )
        whole = composed([choices[0] for choices in given.values()], with_hydra=True)
        _check_hydra(whole)
        where = executor.of(whole)
        if "study" in whole:
            if multirun:
                raise BadRequest("A study trains all its runs itself; leave -m away.")
            single(given)
            return _study(whole, overrides, where)
        if multirun or str(whole.hydra.mode) == "RunMode.MULTIRUN":
            params = whole.hydra.sweeper.get("params") or {}
            swept = axes(executor.without([*(f"{key}={value}" for key, value in params.items()), *overrides]))
            requests = _check_sweep(swept)
            folder, words = _folder(whole, "sweep"), executor.without(overrides)
            if str(folder) == canonical.RUNS and "hydra.sweep.dir" not in given:
                folder /= sweep_name(requests, swept)
                words.append(word("hydra.sweep.dir", str(folder)))
            check_writable(folder)
            _check_executor(where, whole)
            return SweepRequest(folder, words, where)
        single(given)
        executor.refuse_for_one_run(where)
        request = checked(whole)
        folder = _folder(whole, "run").absolute()
        check_writable(folder)
        check_folder(folder, request)
        return request, folder


def check_shown(
    overrides: Sequence[str], cfg: str | None = None, package: str | None = None, resolve: bool = False
) -> list[str]:
    """The overrides of a config that is only to be shown, as Hydra can read them: each names one value.

    cfg: which part is shown, "job", "hydra" or "all"; None where help is asked for.
    Raises BadRequest where the config cannot be composed or resolved, or has no such part.
    """
    with hydra_at_conf():
        words = single(axes(overrides))
        whole = composed(words, with_hydra=True)
        _check_hydra(whole)
        parts = {"job": [str(key) for key in whole if key != "hydra"], "hydra": ["hydra"]}
        shown = OmegaConf.masked_copy(whole, parts.get(cfg or "", [str(key) for key in whole]))
        try:
            part = shown if package in (None, "_global_") else OmegaConf.select(shown, str(package))
            if resolve and OmegaConf.is_config(part):
                OmegaConf.to_container(part, resolve=True)
        except (OmegaConfBaseException, RecursionError, ValueError) as error:
            raise BadRequest(f"This cannot be shown: {first_line(error)}.") from error
        if part is None:
            raise BadRequest(f"There is no part '{package}' of the config to be shown.")
        return words


def _study(whole: DictConfig, overrides: Sequence[str], where: dict[str, Any]) -> StudyRequest:
    """The study that a composed config asks for. Raises BadRequest where it would be refused."""
    asked = canonical.resolved(whole)
    if "name" not in asked["study"]:
        raise BadRequest("A recipe that describes a study must begin its defaults with '- override /study: fair'.")
    name = str(whole.hydra.runtime.choices.get("experiment") or "study")
    hidden = ("hydra.", "study.mix", "executor", *canonical.WHERE_AND_HOW)
    told = [text for text in overrides if not text.startswith(hidden)]
    study = asking.of(asked, name, " ".join(["python", "train.py", *map(quote, told)]))
    papers.of_study(study)
    for loss in study.losses:
        checked(study.request(loss, study.settings()[0], study.base["seed"]))
    for setting in study.settings():
        model_trial.check(study.request(study.losses[0], setting, study.base["seed"]))
    folder = _folder(whole, "sweep")
    folder = (folder / name if str(folder) == canonical.RUNS else folder).absolute()
    check_writable(folder)
    engines.check(where)
    return StudyRequest(study, folder, asked["study"]["mix"], where)


def _check_executor(where: Mapping[str, Any], whole: DictConfig) -> None:
    """Raises BadRequest where the stacks of a sweep cannot be trained as asked."""
    launcher = str(whole.hydra.launcher["_target_"])
    if where != executor.LOCAL and not launcher.startswith("hydra_plugins.losslab"):
        raise BadRequest(
            f"executor={where['name']} sends stacks, and hydra/launcher={whole.hydra.runtime.choices['hydra/launcher']} "
            "starts lone runs; leave one of them away."
        )
    engines.check(where)


def _folder(whole: DictConfig, which: str) -> Path:
    """The folder of a run or a sweep. Raises BadRequest where its name refers to nothing."""
    try:
        return Path(str(whole.hydra[which].dir))
    except (OmegaConfBaseException, RecursionError) as error:
        raise BadRequest(f"hydra.{which}.dir names no folder: {first_line(error)}.") from error


def _check_hydra(whole: DictConfig) -> None:
    """Raises BadRequest where Hydra would build anything but one of its plugins, or could not build the sweeper."""
    plain = OmegaConf.to_container(whole.hydra, resolve=False)
    assert isinstance(plain, dict)
    for target in _targets(plain):
        if not str(target).startswith(_BUILT):
            raise BadRequest(f"'_target_: {target}' is built by nothing here: losslab builds from names alone.")
    if isinstance(plain["mode"], str):
        raise BadRequest(f"hydra.mode must be RUN or MULTIRUN, and '{plain['mode']}' is neither.")
    for part in ("sweeper", "launcher"):
        if not isinstance(plain[part], dict) or "_target_" not in plain[part]:
            raise BadRequest(f"hydra.{part} cannot be set as a whole: write hydra/{part}=NAME.")
    size, params = plain["sweeper"].get("max_batch_size"), plain["sweeper"].get("params")
    if size is not None and (type(size) is not int or size < 1):
        raise BadRequest(f"hydra.sweeper.max_batch_size must be a whole number above 0, and {size!r} is not.")
    if not isinstance(params, dict | None):
        raise BadRequest(f"hydra.sweeper.params must hold a value for each key, and {params!r} does not.")


def _targets(node: Any) -> Iterator[Any]:
    """All `_target_` values in a config, at any depth."""
    if isinstance(node, Mapping):
        yield from (value for key, value in node.items() if key == "_target_")
    for inner in node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ():
        yield from _targets(inner)


def _check_sweep(given: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """Checks each combination of groups once, and each value of the other keys once in each of them: not the whole product.

    Returns a request of each combination, in canonical form.
    """
    groups = {key: choices for key, choices in given.items() if is_group(key)}
    values = {key: choices for key, choices in given.items() if key not in groups and not key.startswith("hydra.")}
    misfits: list[Incompatible] = []
    requests = []
    combinations = list(itertools.product(*groups.values()))
    whole = cache(lambda overrides: canonical.resolved(composed(overrides)))
    for combination in combinations:
        check()
        base = _chosen(whole, combination, [choices[0] for choices in values.values()])
        requests.append(canonical.canonical(base))
        try:
            devices.refuse_for_many(requests[-1])
            model_trial.check(checked(base))
            for key, choices in values.items():
                for choice in choices[1:]:
                    request = checked(_changed(base, read(choice)))
                    devices.refuse_for_many(request)
                    if key.startswith("model."):
                        model_trial.check(request)
        except Incompatible as error:
            misfits.append(error)
    if misfits and len(misfits) == len(combinations):
        raise misfits[0]
    return requests


def _changed(base: Mapping[str, Any], override: Override) -> Mapping[str, Any] | DictConfig:
    """A config with one value changed."""
    if jobs.is_plain_value(override):
        changed = copy.deepcopy(dict(base))
        canonical.set_value(changed, override.key_or_group, override.value())
        return changed
    whole = OmegaConf.create(dict(base))
    OmegaConf.update(whole, override.key_or_group, override.value(), merge=False)
    return whole


def _chosen(
    whole: Callable[[tuple[str, ...]], dict[str, Any]], groups: Sequence[str], values: Sequence[str]
) -> dict[str, Any]:
    """A config with these choices and values. What reaches no further than its group is put into a composed config.

    A composition takes some fifty milliseconds, and a sweep may go over all losses, under all corruptions.
    """
    parsed = {text: read(text) for text in (*groups, *values)}
    files = jobs.files(list(parsed.values()))
    if not files or not all(jobs.is_plain_value(parsed[text]) for text in values):
        return canonical.resolved(composed([*groups, *values]))
    base = copy.deepcopy(whole(tuple(text for text in groups if parsed[text] not in files)))
    for file in files:
        base[file.key_or_group] = copy.deepcopy(cards.card(file.key_or_group, str(file.value())).values)
    for text in values:
        canonical.set_value(base, parsed[text].key_or_group, parsed[text].value())
    return base
