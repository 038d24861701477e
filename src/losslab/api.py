"""What a notebook calls: `compare` finds the loss for some data, `train` trains one run."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from losslab.errors import BadRequest
from losslab.events import Listener, ignore
from losslab.records.record import Record
from losslab.request import own_data
from losslab.request.compose import compose
from losslab.request.own_data import Options, Question
from losslab.schema import executor

if TYPE_CHECKING:
    import pandas as pd

    from losslab.losses import Loss
    from losslab.report.analysis import Findings
    from losslab.report.results import Results
    from losslab.study.recipe import Study


@dataclass(frozen=True)
class Best:
    """The loss with the best mean, as it was tuned.

    Attributes:
        loss: its name, as it was compared.
        hyperparameters: their values.
        lr: the learning rate.
    """

    loss: str
    hyperparameters: dict[str, Any]
    lr: float

    def function(self, **options: Any) -> Loss:
        """The loss, for a training loop; see `losslab.losses.get`."""
        from losslab import losses
        from losslab.study.recipe import loss_setting

        name = loss_setting(self.loss)["name"]
        if name == "sum":
            raise BadRequest(f"'{self.loss}' is a sum; build it with losslab.losses.total.")
        return losses.get(name, **self.hyperparameters, **options)  # type: ignore[return-value]


@dataclass(frozen=True)
class Comparison:
    """What came of a comparison of losses.

    Attributes:
        question: what was read and asked.
        study: its recipe.
        records: of all runs, those of the tuning included.
        folder: that holds them.
    """

    question: Question
    study: Study
    records: Sequence[Record]
    folder: Path
    notes: list[str] = field(default_factory=list)

    @cached_property
    def results(self) -> Results:
        """The tables of the study."""
        from losslab.report import collect

        found = collect.results(self.records, current=self.study)
        found.notes.extend(self.notes)
        return found

    @cached_property
    def findings(self) -> Findings:
        """The statistics of them."""
        from losslab.report.analysis import find

        return find(self.results)

    @property
    def answer(self) -> str:
        """Which loss to use, how much better it is, and what is not decided."""
        from losslab.report.answer import answer

        return answer(self.results, self.findings)

    @property
    def best(self) -> Best:
        """The loss with the best mean, with the settings of its run that was best on validation. Raises BadRequest without a run."""
        ranking = self.findings.ranking
        ranking = ranking[(ranking["n"] > 0) & (ranking["condition"] == self.results.conditions[0])]
        if ranking.empty:
            raise BadRequest("No run is done, so there is no best loss.")
        label = str(ranking.sort_values("rank", kind="stable")["loss"].iloc[0])
        selected = f"{self.study.epoch}/val/{self.study.metric}"

        def cost(record: Record) -> float:
            value = record.metrics.get(selected) if record.status == "done" else None
            return math.inf if value is None else value if self.study.better == "min" else -value

        of_loss = (one for one in self.records if one.study and one.study["phase"] == "confirm")
        record = min((one for one in of_loss if one.study and one.study["loss"] == label), key=cost)
        params = {} if record.loss == "sum" else dict(record.loss_params)
        return Best(label, params, float(record.optimizer["lr"]))

    @property
    def decided(self) -> bool:
        """Whether some other loss is shown to be worse than the best one."""
        matrices, best = self.findings.matrices, self.best.loss
        first = [table for (condition, _), table in matrices.items() if condition == self.results.conditions[0]]
        return any(((table["loss"] == best) & (table["verdict"] == "better")).any() for table in first)

    @property
    def snippet(self) -> str:
        """Code for a training loop of your own, with the best loss, its hyperparameters and its learning rate."""
        from losslab.report.snippet import snippet

        best = self.best
        names = self.question.names if self.study.task in ("binary", "multiclass", "ordinal") else ()
        return snippet(self.study, best.loss, best.hyperparameters, best.lr, names, self._best_epochs(best.loss))

    def _best_epochs(self, loss: str) -> str:
        """Which epochs of a loss were the best by validation, in words."""
        found = sorted(
            record.best_epoch
            for record in self.records
            if record.study and record.study["phase"] == "confirm" and record.study["loss"] == loss
            if record.best_epoch is not None
        )
        if not found:
            return ""
        span = (
            str(found[0])
            if found[0] == found[-1]
            else f"{found[0]} to {found[-1]}, mostly near {found[len(found) // 2]}"
        )
        return f"; validation was best after {span}"

    @property
    def failures(self) -> pd.DataFrame:
        """The runs that did not end well, each with its phase, loss, setting, seed, status and reason."""
        return self.results.failures

    def frame(self) -> pd.DataFrame:
        """One row a run of the comparison: loss, setting, seed, status, value of the metric, lr, params."""
        return self.results.runs.drop(columns=["run"], errors="ignore").copy()

    def pairs(self) -> pd.DataFrame:
        """One row a pair of losses: the difference of `loss` minus `other`, its interval, p, p corrected for all pairs, the verdict."""
        import pandas as pd

        tables = [table.assign(setting=setting) for (_, setting), table in self.findings.matrices.items()]
        both = pd.concat(tables, ignore_index=True)  # each pair both ways round
        place = {loss: number for number, loss in enumerate(self.study.losses)}
        found = both[both["loss"].map(place) < both["other"].map(place)]
        shown = [
            "setting",
            "loss",
            "other",
            "seeds",
            "diverged",
            "difference",
            "low",
            "high",
            "p",
            "p_corrected",
            "verdict",
        ]
        return found[shown].reset_index(drop=True)

    def plot(self, kind: str = "ranking") -> Any:
        """A figure of plotly: ranking, pairs, curves or robustness. Raises BadRequest where there is none of a kind."""
        import plotly.graph_objects as go

        from losslab.report.charts import build, pairs, plotly_backend

        makers: dict[str, Callable[[Results, Findings], Any]] = {
            "ranking": build.ranking,
            "pairs": pairs.differences,
            "curves": build.curves,
            "robustness": build.robustness,
        }
        if kind not in makers:
            raise BadRequest(f"There is no plot '{kind}'. Valid: {', '.join(makers)}.")
        made = makers[kind](self.results, self.findings)
        charts = [chart for tab in made.values() for chart in tab] if isinstance(made, dict) else list(made)
        if not charts:
            raise BadRequest(f"There is nothing to show as '{kind}'; {_WHY.get(kind, 'no run is done')}.")
        return go.Figure(plotly_backend.figure(charts[0]))

    def save(self, path: Path | str) -> Path:
        """Writes the report, one page that needs no network, and returns its path."""
        from losslab.report.render import write_html

        return write_html(self.results, Path(path), self.findings)

    def __repr__(self) -> str:
        return f"Comparison of {len(self.study.losses)} losses on {self.question.path.name}: {self.answer}"

    def _repr_html_(self) -> str:
        from html import escape

        from losslab.report.render import _html_prose

        table = self.findings.ranking[["loss", "rank", "mean", "low", "high", "n", "diverged"]]
        shown = table.sort_values("rank", kind="stable").to_html(index=False, float_format="{:.4g}".format, border=0)
        return f"<p>{_html_prose(self.answer)}</p>{shown}<p>{escape(str(self.folder))}</p>"


_WHY = {
    "robustness": "it takes a study with an axis of numbers, such as corruption.fraction",
    "pairs": "it takes two losses with runs that are done",
}


def compare(
    X: Any,  # as scikit-learn has it
    y: Any = None,
    losses: Sequence[str | Callable[..., Any]] | None = None,
    *,
    task: str | None = None,
    model: str | None = None,
    groups: Any = None,
    time: Any = None,
    sample_weight: Any = None,
    images: Path | str | None = None,
    labels: Path | str | None = None,
    metric: str | None = None,
    seeds: int | None = None,
    trials: int | None = None,
    folds: int | None = None,
    budget: str | float | None = None,
    store: Path | str | None = None,
    seed: int = 0,
    options: Sequence[str] = (),
    progress: bool = True,
) -> Comparison:
    """Compares losses on your data: each is tuned on the same budget, then all train on fresh seeds.

    The same call goes on where it was stopped, and trains nothing twice.

    Args:
        X: a path of a table, of a folder of pictures, or of boxes in pictures; a DataFrame; an array [n, features],
            pictures [n, channels, height, width] or other inputs [n, ...]; or a dataset of torch.
        y: the target: with a path or a DataFrame the name of a column, else an array [n].
        losses: names, with hyperparameters in brackets where they are not to be tuned; functions that `losslab.register.loss`
            or you wrote; by default a short list for the task and the data.
        task: regression, counts, binary or multiclass; found from the target where that is clear.
        model: name of a model, or where yours stands, such as "my_models.py:Net"; by default an MLP, and a CNN for pictures.
        groups: rows of one group are never in two parts of a split; the name of a column, or an array [n].
        time: test rows are later than training rows; the name of a column, or an array [n].
        sample_weight: how much a row counts in the loss; the name of a column, or an array [n].
        metric: which test metric is compared; also "torchmetrics:NAME", or "FILE.py:NAME" of a function of yours.
        images: the folder of the pictures in which the boxes of X were drawn.
        labels: a table with a label for each picture of the folder X; y is its column.
        seeds: number of seeds of the comparison; 10 by default, 5 for pictures.
        trials: settings that are tried for each loss in each of five tunings; 6 by default and 2 round the best, 4 for pictures.
        folds: test on this many folds in turn.
        budget: seconds, or a text such as "10m", that it may take: trials, then seeds are cut, but never below what can support
            a claim.
        store: folder of the records; by default one in runs/, by the content of the data and the request.
        seed: the first seed.
        options: further words of `losslab train`, such as "trainer.max_epochs=50".
        progress: whether a bar is shown.

    Raises:
        BadRequest: before anything is trained, for whatever is wrong with the data or the request.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> small = {"seeds": 5, "trials": 2, "options": ["trainer.max_epochs=2"], "progress": False}
    >>> r = compare(X, y, ["mse", "l1"], **small)
    >>> r.best.loss in ("mse", "l1")
    True
    >>> r.frame()["seed"].nunique()
    5
    """
    from losslab.request import own_arrays

    if isinstance(losses, str):
        raise BadRequest(f"losses is a list of two names or functions or more, such as ['mse', '{losses}'].")
    table = own_arrays.as_table(X, y, groups, time, sample_weight)
    names = [own_arrays.loss_name(loss, task) for loss in losses or ()]
    asked = Options(
        target=table.target,
        task=task or "",
        group=table.group,
        time=table.time,
        weight=table.weight,
        losses=names,
        model=model or "",
        metric=metric or "",
        seeds=seeds or 0,
        trials=trials or 0,
        folds=folds or 0,
        words=tuple(options),
        images=str(images or ""),
        labels=str(labels or ""),
    )
    kept = replace(asked, words=tuple(executor.without(asked.words)))
    folder = Path(store) if store is not None else Path("runs") / f"compare-{_digest(table.digest, kept, seed)}"
    with own_arrays.as_file(table, folder) as path:
        return answer(own_data.ask(path, asked), folder, budget=budget, seed=seed, progress=progress)


def answer(
    question: Question,
    folder: Path,
    *,
    name: str = "",
    command: str = "",
    budget: str | float | None = None,
    seed: int = 0,
    progress: bool = True,
    mix: bool = False,
    listen: Listener = ignore,
    spread: bool = False,
) -> Comparison:
    """Trains what a question asks for, and gives what came of it; see `compare`.

    spread: whether its runs may be trained in several processes; see `train_all`.
    """
    from losslab.events import together
    from losslab.request import budgets
    from losslab.study.runner import conduct
    from losslab.sweep.progress import SweepBar
    from losslab.training.prepare import prepare

    where = own_data.executor_of(question)
    if where["dry_run"]:
        raise BadRequest("executor.dry_run=true prints a plan, which only the commands do; leave it away.")
    name = name or question.name
    if question.path.is_dir() and folder.resolve().is_relative_to(question.path.resolve()):
        raise BadRequest(f"{folder} lies in the folder of the data, {question.path}; keep the records elsewhere.")
    study = own_data.study_of(question, name, command or question.command, seed)
    notes = []
    if budget:
        study, said = budgets.within(study, budgets.seconds(budget))
        notes.append(said)
    for loss in study.losses:
        prepare(study.request(loss, {}, study.fresh_seeds[0]))  # refused before anything is written
    with SweepBar() if progress else nullcontext(ignore) as bar:
        records, _ = conduct(study, folder, mix, together(bar, listen), spread, where)
    return Comparison(question, study, list(records.values()), folder, notes)


def train(*overrides: str, store: Path | str, progress: bool = True) -> Record:
    """Trains one run, as `losslab train` does: `train("task=bbox", "loss=giou", store="runs/giou")`.

    Args:
        overrides: words of the command line.
        store: folder of the run; a run that is there is not repeated.
        progress: whether a bar is shown.

    Raises:
        BadRequest: for whatever the command line would refuse.
    """
    from losslab.training.run import run

    return run(compose(*overrides), store, bar=progress)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:8]
