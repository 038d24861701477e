"""The whole check of a request, before anything is trained. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from losslab import hardware
from losslab.errors import BadRequest as BadRequest
from losslab.errors import nearest as nearest
from losslab.schema import devices, memory, metric_references, requirements, source_hashes, user_code
from losslab.schema.canonical import canonical
from losslab.schema.cards import CHOSEN, Card, card, metrics
from losslab.schema.compatibility import check_fit, terms
from losslab.schema.metric_facts import METRICS

# settings of data that change no row
NOT_OF_ROWS = ("name", "batch_size", "val_fraction", "test_fraction", "weight", "split", "folds", "test_seed")


def check(config: Mapping[str, Any] | DictConfig) -> dict[str, Any]:
    """The whole check of a composed config: plain values in their canonical types, ready for `training.run`.

    Raises BadRequest for a key, a type or a value that is wrong, and Incompatible for parts that do not fit.
    """
    return check_parts(canonical(config))


def check_parts(request: dict[str, Any]) -> dict[str, Any]:
    """The check of a request that is in canonical form: whether its parts are there, and fit one another. Returns it as it is."""
    check_fit(request)
    check_sizes(request)
    requirements.check_weight(request["data"].get("weight", "none"))
    requirements.check(request["data"], card("data", request["data"]["name"]).about)
    if card("model", request["model"]["name"]).about.get("target"):
        user_code.check("model.target", request["model"]["target"])
    for group in CHOSEN:
        names = [term["name"] for _, term in terms(request["loss"])] if group == "loss" else [request[group]["name"]]
        for of in (card(group, name) for name in names):
            if of.function:
                user_code.check(of.named_by, of.function)
    devices.check(request)
    requirements.check_logger(request["logger"]["name"], card("logger", request["logger"]["name"]).about)
    if request["trainer"]["name"] == "gpu" and not hardware.has_gpu():
        raise BadRequest("trainer=gpu was asked for, and this machine shows no GPU; use trainer=auto or trainer=cpu.")
    if request["trainer"]["precision"] == "tf32" and (request["trainer"]["name"] == "cpu" or not hardware.has_gpu()):
        raise BadRequest(hardware.NO_TF32)
    return request


def of_user(request: Mapping[str, Any]) -> dict[str, str]:
    """What a checked request is made from beside losslab: a hash for the user's model, data files and row weights.

    A run is finished only for the files from which it was trained; records hold the hashes among those of their pairing.
    """
    files = requirements.files_of_user(request["data"], card("data", request["data"]["name"]).about)
    found = {f"source/{what}": source_hashes.of_path(path) for what, path in files.items()}
    if card("model", request["model"]["name"]).about.get("target"):
        found["source/model"] = user_code.source(request["model"]["target"])
    components = [(group, request[group]["name"]) for group in CHOSEN if group != "loss"]
    components += [("loss", term["name"]) for _, term in terms(request["loss"])]
    components += [("metric", name) for name in metrics(request["task"]["name"]) if name not in METRICS]
    further = metric_references.parse(request["task"].get("metrics", ""))
    found |= {f"source/metric/{one.target}": metric_references.source(one) for one in further}
    return found | {
        f"source/{group}/{name}": code for group, name in components if (code := source_of(card(group, name)))
    }


def source_of(of: Card) -> str | None:
    """A hash of the code and the facts of a card from outside; None for one of losslab's own."""
    if of.shipped:
        return None
    code = user_code.source(of.function) if of.function else of.code
    return source_hashes.of_text(f"{code} {of.values} {of.about}")


def check_sizes(request: Mapping[str, Any]) -> None:
    """Raises BadRequest where a split would be empty or a batch larger than the training split, as far as the card says it."""
    data = request["data"]
    about = card("data", data["name"]).about
    memory.check_data(data, about)
    if sum(data.get(f"{part}_fraction", 0) for part in ("val", "test")) >= 1:
        raise BadRequest("data.val_fraction and data.test_fraction must leave rows to train on: together below 1.")
    if data.get("split") == "whole" and (data.get("folds") or data.get("test_seed", -1) >= 0):
        raise BadRequest("data.split=whole trains and tests on every row; leave data.folds and data.test_seed away.")
    if (rows := known_rows(data)) is not None:
        check_split(data, rows)


def known_rows(data: Mapping[str, Any]) -> int | None:
    """How many rows a data config gives, where its card or a setting says it; else it is known once they are loaded."""
    about = card("data", data["name"]).about
    if about.get("one_split"):
        return int(data["points"] * about["rows_per_point"])
    rows = data.get("rows", about.get("rows"))
    return None if rows is None else int(rows)


def check_split(data: Mapping[str, Any], rows: int) -> None:
    """Raises BadRequest where so many rows give a split of fewer than two, or less than a batch to train on."""
    sizes = split_sizes(data, rows)
    if min(sizes.values()) < 2:
        raise BadRequest(
            f"Each split needs two rows or more, and '{data['name']}' would be split into {sizes}; ask for more rows or other fractions."
        )
    if data["batch_size"] > sizes["train"]:
        raise BadRequest(
            f"data.batch_size={data['batch_size']} is larger than the training split, which has {sizes['train']} rows; give that "
            "many or fewer."
        )


def one_split(data: Mapping[str, Any]) -> bool:
    """Whether every row of a data config is train, val and test at once: its card says so, or data.split=whole does."""
    return data.get("split") == "whole" or bool(card("data", data["name"]).about.get("one_split"))


def split_sizes(data: Mapping[str, Any], rows: int) -> dict[str, int]:
    """How many of so many rows are train, val and test: parts of all, the rest train; all in each where there is one split."""
    if one_split(data):
        return dict.fromkeys(("train", "val", "test"), rows)
    val, test = (int(rows * data[f"{part}_fraction"]) for part in ("val", "test"))
    return {"train": rows - val - test, "val": val, "test": test}


def uneven(data: Mapping[str, Any]) -> bool:
    """Whether the parts of a split may differ in size from seed to seed, as where groups stay whole."""
    grouped = (
        data.get("split", "auto") == "group" or data.get("group") or card("data", data["name"]).about.get("uneven")
    )
    return bool(data.get("folds") or grouped)
