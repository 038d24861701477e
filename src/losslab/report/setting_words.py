"""Settings in words, as sentences and axes of figures name them: 'share of outliers' for corruption.fraction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from losslab.errors import BadRequest
from losslab.report.formatting import listed
from losslab.schema.cards import card

# what a share of the rows becomes
WRONG = {
    "censoring": "cut targets",
    "contaminated_normal": "targets with wide noise",
    "input_noise": "rows with noisy inputs",
    "instance_dependent": "wrong labels",
    "jitter": "jittered boxes",
    "label_noise": "wrong labels",
    "leverage": "leverage points",
    "loose_boxes": "boxes of a wrong size",
    "outliers": "outliers",
    "pair_flip": "wrong labels",
    "positive_unlabelled": "positives labelled negative",
    "swapped": "swapped targets",
    "swapped_corners": "boxes with a swapped corner",
    "truncated_boxes": "truncated boxes",
    "unit_errors": "targets in a wrong unit",
    "wrong_boxes": "wrong boxes",
}
_AXES = {
    "corruption": "corruption",
    "corruption.cut": "share of a side that is cut off",
    "corruption.distance": "distance of the inputs, in spreads",
    "corruption.magnitude": "size of the errors, in spreads of the targets",
    "corruption.rate": "share of wrong votes",
    "corruption.rate_negative": "share of wrong labels among the negatives",
    "corruption.rate_positive": "share of wrong labels among the positives",
    "corruption.ratio": "common rows for each rare one",
    "corruption.side": "side of the outliers",
    "corruption.scale": "scale of the noise, in spreads",
    "data": "data",
    "data.batch_size": "batch size, rows",
    "data.noise": "noise of the data",
    "data.rows": "rows of data",
    "model": "model",
    "model.hidden": "hidden layers",
    "optimizer": "optimizer",
    "optimizer.lr": "learning rate",
    "trainer.max_epochs": "epochs",
    "trainer.precision": "precision",
}
_VALUES = {
    "corruption.side=symmetric": "outliers on both sides",
    "corruption.side=one_sided": "outliers on one side",
    "corruption.side=point_mass": "outliers at one value",
}
_OF_JITTER = "largest error, in sizes of the box"


def axis(key: str, corruptions: Sequence[str]) -> str:
    """What a setting is called in words; `corruptions`: those of the runs, which say what a share is of."""
    if key == "corruption.fraction":
        names = dict.fromkeys(WRONG.get(name, "corrupted rows") for name in corruptions if name != "none")
        return f"share of {listed(list(names) or ['corrupted rows'])}"
    if key == "corruption.noise" and "jitter" in corruptions:
        return _OF_JITTER
    return _AXES.get(key) or key.rsplit(".", 1)[-1].replace("_", " ")


def in_words(label: str, axes: Mapping[str, str]) -> str:
    """A label such as 'model=mlp, corruption.side=one_sided' in words: 'model: mlp, outliers on one side'."""
    for value, words in _VALUES.items():
        label = label.replace(value, words)
    for key, words in axes.items():
        label = label.replace(f"{key}=", f"{words}: ")
    return label


_SIDES = {"symmetric": "on both sides", "one_sided": "on one side", "point_mass": "at one value"}


def phrase(setting: Mapping[str, Any], axes: Mapping[str, str]) -> str:
    """A setting as a sentence names it: '20 % outliers on one side', 'model linear and learning rate 0.1'.

    Args:
        setting: from the key of each axis to its value.
        axes: from the key of each axis to what it is called in words, as `axis` gives it.
    """
    share = setting.get("corruption.fraction")
    parts = []
    for key, value in setting.items():
        words = axes.get(key, key)
        if key == "corruption.fraction":
            what = words.removeprefix("share of ")
            parts.append(f"{100 * value:g} % {what}" if value else f"no {what}")
        elif key == "corruption.ratio":
            parts.append(f"{value:g} {words if value != 1 else words.replace('rows', 'row', 1)}")
        elif words == _OF_JITTER:
            parts.append(f"boxes off by up to {value:g} of their size" if value else "no jitter")
        elif key == "corruption.side" and share is not None:
            continue  # said with the share
        elif isinstance(value, str) and f"{key}={value}" in _VALUES:
            parts.append(_VALUES[f"{key}={value}"])
        else:
            name, _, unit = words.partition(", ")
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            parts.append(f"{name} {shown} {unit}".rstrip())
        if key == "corruption.fraction" and value and "corruption.side" in setting:
            parts[-1] += f" {_SIDES.get(str(setting['corruption.side']), str(setting['corruption.side']))}"
    return listed(parts)


def changed(group: str, settings: dict[str, Any], said: Sequence[str] = ()) -> list[str]:
    """The settings of a component that differ from its card, as 'key=value', but for those that are said otherwise."""
    try:
        usual = card(group, str(settings.get("name"))).values
    except BadRequest:  # a component that is not there any more
        return []
    kept = (key for key in settings if key in usual and key not in ("name", *said))
    return [f"{key}={settings[key]}" for key in kept if settings[key] != usual[key]]
