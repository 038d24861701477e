"""What a user may have meant by a name that is not there: the nearest names, other names of one thing, and where all are listed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable

_FEW = 8  # names that a sentence can list whole
# other names of losses, in small letters, without signs and without "loss" at the end
_ALSO_CALLED = {
    "ce": "cross_entropy",
    "categoricalcrossentropy": "cross_entropy",
    "softmax": "cross_entropy",
    "log": "cross_entropy",
    "kl": "cross_entropy",  # for given targets they differ by a constant
    "kldiv": "cross_entropy",
    "nll": "cross_entropy",
    "bcewithlogits": "bce_with_logits",
    "binarycrossentropy": "bce_with_logits",
    "logistic": "bce_with_logits",
    "l2": "mse",
    "squared": "mse",
    "meansquarederror": "mse",
    "mae": "l1",
    "absolute": "l1",
    "meanabsoluteerror": "l1",
    "pinball": "quantile",
    "logcosh": "log_cosh",
    "eiou": "efficient_iou",
    "gce": "generalized_ce",
    "sce": "symmetric_ce",
    "asl": "asymmetric",
    "multiclasshinge": "multi_margin",
}


def word(group: str) -> str:
    """A group of components in words."""
    return {"data": "data set", "experiment": "recipe"}.get(group, group)


def near(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The names that may have been meant, the likeliest first; none where no known name is near.

    Capital letters, signs and a "loss" at the end do not count: `MSELoss` is near to `mse`.
    """
    plain = {one: _plain(one) for one in known}
    typed = _plain(name)
    same = [one for one, other in plain.items() if other == typed]
    if same:
        return same[:1]
    if _ALSO_CALLED.get(typed) in plain:
        return [_ALSO_CALLED[typed]]
    others = list(plain.values())
    close = difflib.get_close_matches(typed, others, n=most, cutoff=0.6) or difflib.get_close_matches(
        typed, others, n=1, cutoff=0.5
    )
    return list(dict.fromkeys(one for other in close for one, it in plain.items() if it == other))[:most]


def unknown(group: str, name: str, known: Iterable[str]) -> str:
    """A sentence for a name that is not in a group: the nearest names, and where all are listed."""
    known = list(known)
    found = [f"'{one}'" for one in near(name, known)]
    meant = f" (did you mean {' or '.join(filter(None, [', '.join(found[:-1]), found[-1]]))}?)" if found else ""
    return f"There is no {word(group)} '{name}'{meant}. {where_listed(group, known)}."


def where_listed(group: str, known: Collection[str]) -> str:
    """All names of a group where they are few, else the command that lists them."""
    command = "losslab losses" if group == "loss" else "losslab train --help"
    return f"Valid: {', '.join(known) or 'none yet'}" if len(known) <= _FEW else f"`{command}` lists all {len(known)}"


def _plain(name: str) -> str:
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    return letters.removesuffix("loss") or letters
