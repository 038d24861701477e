"""Searchers, which propose the next trials: quasi-random points, or Optuna."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from losslab.errors import BadRequest, Halted
from losslab.safe_points import check
from losslab.schema import search_space
from losslab.schema.search_space import MOST
from losslab.study import searchers
from losslab.study.recipe import Study
from losslab.study.trials import Trial, best_trial, dimensions, means, rate_range, side_of

if TYPE_CHECKING:
    import pandas as pd

_ROUND_THE_BEST = 1 / 3  # of a range: a decade of the three of a learning rate
_ROUND = 4  # trials of each loss that a search by Optuna asks for at once


class Search(Protocol):
    """Proposes the next trials."""

    def ask(self, seen: pd.DataFrame) -> list[Trial]:
        """The next trials, for all losses and settings; none at the end. `seen`: the rows of `rows` so far."""


class Points:
    """Quasi-random points (Sobol, 1967), scrambled: the first coordinate is the learning rate, the same for all losses.

    Where the best rate of a loss is the outermost that was tried, all losses get a quarter as many trials again beyond it. In the
    end each loss gets as many further trials in the third of each range that lies round its best. Each repeat has its own points.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.rates = {at: rate_range(study, setting) for at, (setting, _) in study.tunings().items()}
        self.used = dict.fromkeys(self.rates, 0)  # points
        self.widened = dict.fromkeys(self.rates, 0)
        self.refined = not study.tuning["refine"]
        self.first = int(study.tuning["trials"])
        self.more = max(1, self.first // 4)
        most = self.first + 2 * self.more * study.tuning["widen"] + study.tuning["refine"]
        widest = max(len(dimensions(loss)) for loss in study.losses)
        of_repeat = [searchers.points(most, 1 + widest, _of_repeat(study, repeat)) for repeat in range(study.repeats)]
        self.points = {at: of_repeat[repeat] for at, (_, repeat) in study.tunings().items()}

    def ask(self, seen: pd.DataFrame) -> list[Trial]:
        """All trials first; then further trials beyond an edge at which a loss was best; then those round the best."""
        if not len(seen):
            return [trial for at, rates in self.rates.items() for trial in self._trials(at, rates, self.first)]
        asked = []
        tables = {str(at): table for at, table in means(seen).groupby("at", sort=False)}
        for at, table in tables.items():
            chosen = [best_trial(self.study, trials)["lr"] for _, trials in table.groupby("loss")]
            sides = {side_of(rate, table["lr"]) for rate in chosen} - {""}
            if sides and not self.refined_or_wide(at):
                self.widened[at] += 1
                asked += [trial for side in sorted(sides) for trial in self._beyond(at, side)]
        if asked or self.refined:
            return asked
        self.refined = True
        return [trial for at, table in tables.items() for trial in self._round_the_best(at, table)]

    def refined_or_wide(self, at: str) -> bool:
        """Whether a range is not to be widened any more."""
        return self.widened[at] >= self.study.tuning["widen"] or (self.refined and bool(self.study.tuning["refine"]))

    def _beyond(self, at: str, side: str) -> list[Trial]:
        """Trials beyond one side of the range of a setting, which is wider from now on."""
        rates = self.rates[at]
        piece = rates.widened("lower" if side == "lowest" else "upper")
        if piece is None:
            return []
        self.rates[at] = replace(rates, low=min(rates.low, piece.low), high=max(rates.high, piece.high))
        return self._trials(at, piece, self.more)

    def _trials(self, at: str, rates: search_space.Dimension, count: int) -> list[Trial]:
        """The next points of a setting, for all losses."""
        spaces = {loss: [rates, *dimensions(loss)] for loss in self.study.losses}
        return self._at_points(at, spaces, count)

    def _round_the_best(self, at: str, table: pd.DataFrame) -> list[Trial]:
        """The next points, in the third of each range that lies round the best trial of a loss."""
        spaces = {}
        for loss in self.study.losses:
            best = best_trial(self.study, table[table["loss"] == loss])
            space = [(self.rates[at], best["lr"]), *((d, best["params"][d.key]) for d in dimensions(loss))]
            spaces[loss] = [dimension.near(value, _ROUND_THE_BEST) for dimension, value in space]
        return self._at_points(at, spaces, self.study.tuning["refine"])

    def _at_points(self, at: str, spaces: Mapping[str, Sequence[search_space.Dimension]], count: int) -> list[Trial]:
        start = self.used[at]
        self.used[at] += count
        return [
            Trial(loss, at, number, rates.at(share), {d.key: d.at(x) for d, x in zip(space, rest, strict=False)})
            for loss, (rates, *space) in spaces.items()
            for number, (share, *rest) in enumerate(self.points[at][start : self.used[at]], start)
        ]


def _of_repeat(study: Study, repeat: int) -> int:
    """The seed of the points of a repeat; that of the first is the study's own."""
    digest = hashlib.sha256(f"{study.base['seed']}/trials/{repeat}".encode()).digest()
    return int.from_bytes(digest[:4], "big") if repeat else int(study.base["seed"])


class Optuna:
    """A separate search for each loss by Optuna's tree-structured Parzen estimator (Bergstra et al., 2011), some trials at a time."""

    def __init__(self, study: Study) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = study
        direction: Literal["minimize", "maximize"] = "minimize" if study.better == "min" else "maximize"
        self.searches: dict[tuple[str, str], Any] = {}
        self.spaces: dict[tuple[str, str], list[search_space.Dimension]] = {}
        self.trials = study.tuning["trials"] + study.tuning["refine"]
        for at, (setting, _) in study.tunings().items():
            for loss in study.losses:
                key = (loss, at)
                digest = hashlib.sha256(f"{study.base['seed']}/{key}".encode()).digest()
                sampler = optuna.samplers.TPESampler(
                    seed=int.from_bytes(digest[:4], "big"),
                    n_startup_trials=max(2, study.tuning["trials"] // 2),
                    constant_liar=True,
                )
                self.searches[key] = optuna.create_study(direction=direction, sampler=sampler)
                self.spaces[key] = [rate_range(study, setting), *dimensions(loss)]

    def ask(self, seen: pd.DataFrame) -> list[Trial]:
        """The next few trials of every search, after it got the results of the trials before."""
        if len(seen):
            self._tell(means(seen))
        asked = []
        for key, search in self.searches.items():
            for _ in range(min(_ROUND, self.trials - len(search.trials))):
                trial = search.ask()
                lr, *params = (_suggested(trial, dimension) for dimension in self.spaces[key])
                names = [dimension.key for dimension in self.spaces[key][1:]]
                asked.append(Trial(*key, trial.number, lr, dict(zip(names, params, strict=True))))
        return asked

    def _tell(self, table: pd.DataFrame) -> None:
        """Tells the searches of trials that are finished; one with a lost run has failed."""
        from optuna.trial import TrialState

        for trial in table.itertuples():
            search = self.searches[str(trial.loss), str(trial.at)]
            if not search.trials[trial.trial].state.is_finished():
                search.tell(trial.trial, *((None, TrialState.FAIL) if trial.lost else (trial.value,)))


def _suggested(trial: Any, dimension: search_space.Dimension) -> Any:
    """A value of a dimension that Optuna suggests."""
    if dimension.kind == "choice":
        return trial.suggest_categorical(dimension.key, list(dimension.choices))
    if "int" in dimension.kind:
        return trial.suggest_int(
            dimension.key, int(dimension.low), int(dimension.high), log=dimension.kind == "log int"
        )
    return float(
        f"{trial.suggest_float(dimension.key, dimension.low, dimension.high, log=dimension.kind == 'log'):.4g}"
    )


def points(count: int, dimensions: int, seed: int) -> list[list[float]]:
    """Scrambled Sobol points (Sobol, 1967; Owen, 1998): `count` lists of `dimensions` shares in [0, 1).

    More points, or more dimensions, leave the points and the columns that there were as they are: all losses get the same
    learning rates, whatever else each of them tunes. Every sixteen points in a row, counted from the first, have one in each
    sixteenth of every dimension. Raises BadRequest for no points, and for more than 16 dimensions;
    Halted where what SciPy gives does not keep that.
    """
    if count < 1 or not 0 <= dimensions <= MOST:
        raise BadRequest(
            f"Tuning needs at least one trial and at most {MOST} dimensions, not {count} and {dimensions}."
        )
    import numpy as np
    from scipy.stats import qmc

    # The scrambling of a column depends on how many there are, so all are drawn; and half a power of two is no good set.
    sobol = qmc.Sobol(MOST, rng=np.random.default_rng(seed))
    whole = sobol.random_base2(max(4, (count - 1).bit_length()))
    check()  # SciPy fills its tables in Cython, which loses a KeyboardInterrupt and leaves them half filled
    if not (np.sort(np.floor(whole * len(whole)), 0) == np.arange(len(whole))[:, None]).all():
        raise Halted("SciPy gave points that are no Sobol points, so nothing was trained; give the same command again.")
    drawn: list[list[float]] = whole[:count, :dimensions].tolist()
    return drawn
