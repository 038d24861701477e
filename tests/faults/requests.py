"""Random command lines and mistyped keys: each gets a run or one sentence."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from faults.answers import Answer, answer
from faults.lines import KEYS, lines, mistyped
from faults.tally import Tally
from losslab.schema import cards


def inject(count: int, seed: int, folder: Path) -> list[Tally]:
    """`count` random command lines, and a tenth as many mistyped keys."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = drawn(lines(), count, seed)
    wrong = drawn(typos(), count // 10, seed)
    return [
        tallied("random command lines", asked, lambda words: answer(words, folder)),
        tallied("mistyped keys", wrong, lambda typo: answer([typo[1]], folder), lambda typo, a: names_the_key(typo, a)),
    ]


def drawn(strategy: st.SearchStrategy[Any], count: int, seed: int) -> list[Any]:
    """So many different examples of a strategy, which must have them; the same for the same seed."""
    found: dict[str, Any] = {}

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def keep(example: Any) -> None:
        found.setdefault(repr(example), example)

    draws = np.random.default_rng(seed)
    while len(found) < count:  # hypothesis repeats itself
        seeded(int(draws.integers(2**32)))(keep)()
    return list(found.values())[:count]


def typos() -> st.SearchStrategy[tuple[str, str]]:
    """A key of the default config, and the same key with one letter wrong, as an override."""
    own = [key for key in KEYS if _of_the_defaults(key)]
    pairs = st.sampled_from(own).flatmap(lambda key: st.tuples(st.just(key), mistyped(key)))
    return pairs.filter(lambda pair: pair[1] not in KEYS and pair[1].strip(".")).map(
        lambda pair: (pair[0], f"{pair[1]}=1")
    )


def names_the_key(typo: tuple[str, str], given: Answer) -> bool:
    """Whether a mistyped key was refused with the right one named."""
    return given.status == 2 and typo[0].rsplit(".", 1)[-1] in given.err


def _of_the_defaults(key: str) -> bool:
    group, _, inner = key.partition(".")
    usual = {
        "task": "regression",
        "data": "friedman",
        "model": "mlp",
        "optimizer": "adam",
        "trainer": "auto",
        "logger": "tensorboard",
    }
    if group in ("penalty", "fused", "seed", "overwrite"):
        return True
    if not inner:
        return group in cards.GROUPS
    return group in usual and inner != "name" and inner in cards.card(group, usual[group]).values


def tallied(
    what: str,
    cases: Sequence[Any],
    ask: Callable[[Any], Answer],
    right: Callable[[Any, Answer], bool] = lambda *_: True,
) -> Tally:
    """What came of asking for these cases; lost are those whose answer was not as it must be, or not `right`."""
    began = time.perf_counter()
    given = [(case, ask(case)) for case in cases]
    for case, a in given:
        if a.fault or not right(case, a):
            print(f"{what}: {case!r} got {a.fault or a.err!r}", file=sys.stderr, flush=True)
    return Tally(
        what,
        tried=len(cases),
        lost=sum((bool(a.fault) and not a.crash and not a.stray) or not right(case, a) for case, a in given),
        tracebacks=sum(bool(a.crash) or "Traceback" in a.out + a.err for _, a in given),
        stray=sum(len(a.stray) for _, a in given),
        seconds=time.perf_counter() - began,
    )
