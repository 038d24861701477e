"""From what was typed to checked configs, or to one sentence that says what was wrong. No torch here."""

from __future__ import annotations

import copy
import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from losslab import config, jobs
from losslab.config import BadRequest, Incompatible
from losslab.study import plan
from losslab.study.plan import Study

# Names that the folder of a run may hold; all that `overwrite=true` removes.
RUN_FILES = ("config.yaml", "record.json", "checkpoints/*.ckpt", "events.out.tfevents.*")
OmegaConf.register_new_resolver("run_id", lambda _root_: config.run_id(_root_), replace=True)


def compose(*overrides: str) -> dict[str, Any]:
    """A checked request, as on the command line: `compose("task=bbox", "loss=smoothl1", "loss.beta=0.5")`.

    Raises BadRequest for whatever the command line would refuse.
    """
    with _hydra():
        return config.check(_composed(_single(_axes(overrides))))


class StudyRequest(NamedTuple):
    """A study, the folder that it is to lie in, and whether it takes runs of other commits for its own."""

    study: Study
    folder: Path
    mix: bool


def check_command(overrides: Sequence[str], multirun: bool) -> tuple[dict[str, Any], Path] | StudyRequest | None:
    """The checked request of a lone run and its folder, or a checked study; None for a sweep. Writes nothing.

    Raises BadRequest where the run, or any run of the sweep or the study, would be refused.

    In a sweep, runs whose loss or data do not fit their task are left for the sweep to skip, unless none fits.
    """
    with _hydra():
        axes = _axes(overrides)
        whole = _composed([choices[0] for choices in axes.values()], with_hydra=True)
        if "study" in whole:
            if multirun:
                raise BadRequest("A study trains all its runs itself; leave -m away.")
            _single(axes)
            return _study(whole, overrides)
        if multirun or str(OmegaConf.select(whole, "hydra.mode")) == "RunMode.MULTIRUN":
            params = OmegaConf.select(whole, "hydra.sweeper.params") or {}
            _check_sweep(_axes([f"{key}={value}" for key, value in params.items()]) | axes)
            check_writable(Path(str(whole.hydra.sweep.dir)))
            return None
        _single(axes)
        request = config.check(whole)
        folder = Path(str(whole.hydra.run.dir)).absolute()
        check_writable(folder)
        check_folder(folder, request)
        return request, folder


def _study(whole: DictConfig, overrides: Sequence[str]) -> StudyRequest:
    """The study that a composed config asks for. Raises BadRequest where it would be refused."""
    asked = config.resolved(whole)
    if "name" not in asked["study"]:
        raise BadRequest("A recipe that describes a study must begin its defaults with '- override /study: fair'.")
    name = str(whole.hydra.runtime.choices.get("experiment") or "study")
    told = [text for text in overrides if not text.startswith(("hydra.", "study.mix", *config.WHERE_AND_HOW))]
    study = plan.of(asked, name, " ".join(["python", "train.py", *map(quote, told)]))
    folder = Path(str(whole.hydra.sweep.dir))
    folder = (folder / name if str(folder) == config.RUNS else folder).absolute()
    check_writable(folder)
    return StudyRequest(study, folder, asked["study"]["mix"])


def _single(axes: Mapping[str, list[str]]) -> list[str]:
    """The overrides of one run. Raises BadRequest where a key was given several values."""
    for key, choices in axes.items():
        if len(choices) > 1:
            raise BadRequest(
                f"'{key}' was given several values; add -m to run each of them, or write {key}=[...] if a list was meant."
            )
    return [choices[0] for choices in axes.values()]


def check_writable(folder: Path) -> None:
    """Raises BadRequest where `folder` cannot be made or written in; leaves nothing behind."""
    there = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
    try:
        with tempfile.TemporaryDirectory(dir=there, prefix=".losslab-"):
            pass
    except OSError as error:
        raise BadRequest(
            f"Nothing can be written to {folder}: {error.strerror}; choose another with hydra.run.dir=DIR, for a sweep hydra.sweep.dir=DIR."
        ) from error


def check_folder(folder: Path, request: Mapping[str, Any]) -> None:
    """Raises BadRequest where `folder` holds another run than this request, unless it is to be overwritten."""
    try:
        found = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        same = isinstance(found, dict) and config.run_id(found) == config.run_id(request)
    except FileNotFoundError:
        return
    except (yaml.YAMLError, UnicodeDecodeError, BadRequest):
        same = False
    if not same and not request["overwrite"]:
        raise BadRequest(
            f"{folder} holds another run; choose another folder with hydra.run.dir=DIR, or add overwrite=true to replace it."
        )


def clear_folder(folder: Path) -> None:
    """Removes what a run left in `folder`, and nothing else."""
    for pattern in RUN_FILES:
        for path in folder.glob(pattern):
            path.unlink()


def _check_sweep(axes: Mapping[str, list[str]]) -> None:
    """Checks each combination of groups once, and each value of the other keys once in each of them: not the whole product."""
    groups = {key: choices for key, choices in axes.items() if _is_group(key)}
    values = {key: choices for key, choices in axes.items() if key not in groups and not key.startswith("hydra.")}
    misfits: list[Incompatible] = []
    combinations = list(itertools.product(*groups.values()))
    whole = cache(lambda overrides: _composed(overrides))
    for combination in combinations:
        base = _chosen(whole, combination, [choices[0] for choices in values.values()])
        try:
            config.check(base)
            plain = config.resolved(base)
            for choices in values.values():
                for choice in choices[1:]:
                    config.check(_changed(base, plain, _parse(choice)))
        except Incompatible as error:
            misfits.append(error)
    if misfits and len(misfits) == len(combinations):
        raise misfits[0]


def _changed(base: DictConfig, plain: Mapping[str, Any], override: Override) -> Mapping[str, Any] | DictConfig:
    """A config with one value changed; `plain` is the same config, resolved, and much quicker to copy."""
    if jobs.is_plain_value(override):
        changed = copy.deepcopy(dict(plain))
        jobs.set_value(changed, override.key_or_group, override.value())
        return changed
    whole = base.copy()
    OmegaConf.update(whole, override.key_or_group, override.value(), merge=False)
    return whole


def _chosen(whole: Callable[[tuple[str, ...]], DictConfig], groups: Sequence[str], values: Sequence[str]) -> DictConfig:
    """A config with these choices and values. What reaches no further than its group is put into a composed config.

    A composition takes some fifty milliseconds, and a sweep may go over all losses.
    """
    parsed = {text: _parse(text) for text in (*groups, *values)}
    files = jobs.files(list(parsed.values()))
    if not files or not all(jobs.is_plain_value(parsed[text]) for text in values):
        return _composed([*groups, *values])
    base = whole(tuple(text for text in groups if parsed[text] not in files)).copy()
    with open_dict(base):
        for file in files:
            card = config.card(file.key_or_group, str(file.value()))
            OmegaConf.update(base, file.key_or_group, card.values, merge=False)
        for text in values:
            OmegaConf.update(base, parsed[text].key_or_group, parsed[text].value(), merge=False)
    return base


def _axes(overrides: Sequence[str]) -> dict[str, list[str]]:
    """Each key with all that it is to be, as overrides of one value each. A key given twice keeps the last."""
    axes = {}
    for text in overrides:
        parsed = _parse(text)
        choices = [text]
        if parsed.is_sweep_override():
            if not parsed.is_discrete_sweep():
                raise BadRequest(
                    f"'{text}' names a range without steps, which needs a sweeper that draws from it; list the values instead."
                )
            choices = [f"{parsed.get_key_element()}={value}" for value in parsed.sweep_string_iterator()]
        for choice in choices:
            _check_choice(choice)
        axes[parsed.get_key_element()] = choices
    return axes


def _check_choice(text: str) -> None:
    """Raises BadRequest for a name that its group does not have."""
    parsed = _parse(text)
    key, value = parsed.key_or_group, parsed.value()
    if "about" in key.split("."):
        raise BadRequest(f"'{key}' is a fact, not a setting, and cannot be changed.")
    if key in ("hydra.run.dir", "hydra.sweep.dir") and not value:
        raise BadRequest(f"{key} must name a folder.")
    if key.endswith(".name") and key.removesuffix(".name") in config.GROUPS:
        raise BadRequest(f"'{key}' cannot be set by itself: write {key.removesuffix('.name')}=NAME.")
    is_group = key in (*config.GROUPS, "study", "experiment") and not parsed.is_delete()
    if is_group and str(value) not in config.names(key):
        raise BadRequest(config.unknown(key, "null" if value is None else str(value), config.names(key)))


@cache
def _parse(text: str) -> Override:
    try:
        return OverridesParser.create(config_loader=GlobalHydra.instance().config_loader()).parse_overrides([text])[0]
    except (OverrideParseException, HydraException) as error:
        raise BadRequest(
            f"'{text}' cannot be read; write KEY=VALUE, and put quotes around a value with spaces, commas or brackets."
        ) from error


def _composed(overrides: Sequence[str], with_hydra: bool = False) -> DictConfig:
    try:
        return hydra_compose("config", overrides=list(overrides), return_hydra_config=with_hydra)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise BadRequest(_diagnosis(overrides, error)) from error


def _diagnosis(overrides: Sequence[str], error: Exception) -> str:
    """One sentence for a composition that failed."""
    chosen = {_parse(text).key_or_group: str(_parse(text).value()) for text in overrides}
    plain = hydra_compose("config", overrides=[f"{g}={n}" for g, n in chosen.items() if g in (*config.GROUPS, "study")])
    known = list(_keys(plain))
    for text in overrides:
        parsed = _parse(text)
        key = parsed.key_or_group
        if (
            key not in known
            and not key.startswith(("experiment", "hydra"))
            and not parsed.is_add()
            and not parsed.package
        ):
            group, _, inner = key.partition(".")
            if key.startswith("study.axes."):
                return f"An axis is added with a plus sign: '+{text}'."
            if group == "study" and inner.split(".")[0] in config.card("study", "fair").values:
                return (
                    f"'{key}' belongs to a study, and none is chosen: add study=fair, or take a recipe that holds one."
                )
            if group == "study" and inner:
                return config.no_such_key("study", "fair", inner)
            if inner and group in config.GROUPS:
                return config.no_such_key(group, plain[group].name, inner)
            return f"There is no key '{key}'{config.nearest(key, known)}. Valid: {', '.join(k for k in known if '.' not in k)}."
    return f"The request cannot be composed: {str(error).splitlines()[0].rstrip('.')}."


def _keys(node: DictConfig, prefix: str = "") -> Iterator[str]:
    """The dotted names of all settings."""
    for key, value in node.items():
        if key not in ("about", "hydra"):
            yield f"{prefix}{key!s}"
            if isinstance(value, DictConfig):
                yield from _keys(value, f"{prefix}{key!s}.")


def _is_group(key: str) -> bool:
    return key in (*config.GROUPS, "study", "experiment") or "/" in key


@contextmanager
def _hydra() -> Iterator[None]:
    """Hydra set to conf/, for the time of a composition."""
    with initialize_config_dir(str(config.CONF), version_base="1.3"):
        yield
