"""A study made up from seeded numbers, of any size, for what reads the tables of a study."""

from __future__ import annotations

import numpy as np
import pandas as pd

from losslab.report.results import Results

LABELS = (
    "mse",
    "l1",
    "huber",
    "huber(delta=0.5)",
    "cauchy",
    "tukey",
    "logcosh",
    "quantile(tau=0.5)",
    "welsch",
    "lp(p=1.5)",
)


def study(
    losses: int = 4,
    levels: int = 3,
    seeds: int = 5,
    conditions: tuple[str, ...] = ("tuned", "shared"),
    trials: int = 6,
    epochs: int = 8,
    diverged: int = 2,
    before: str = "",
    **told: object,
) -> Results:
    """Regression under outliers: losses differ in how fast they worsen with the level, and in which rate suits them.

    Args:
        losses: how many; from the eleventh on they have numbers for names.
        levels: of corruption, evenly from 0 to 0.5; 1: a study without an axis.
        seeds: paired runs of each loss, level and condition.
        conditions: as in `Results`.
        trials: tuning runs a loss, each with 3 seeds; 0: nothing was tuned.
        epochs: of each run's curve; 0: no curves.
        diverged: runs, from the first loss at the highest level, that diverged.
        before: what every name of a loss begins with.
        told: attributes of `Results` instead of those made up.
    """
    random = np.random.default_rng(7)
    names = [before + (LABELS[number] if number < len(LABELS) else f"loss {number}") for number in range(losses)]
    fractions = np.linspace(0, 0.5, levels) if levels > 1 else np.zeros(1)
    marks = [f"fraction={fraction:.2g}" if levels > 1 else "one setting" for fraction in fractions]
    settings = pd.DataFrame({"corruption.fraction": fractions} if levels > 1 else {}, index=marks)
    worsening = np.linspace(3.0, 0.3, losses)
    runs, curves = [], []
    for condition in conditions:
        at_own = 1.0 if condition != "shared" else 1 + 0.5 * random.random(losses)
        for mark, fraction in zip(marks, fractions, strict=True):
            luck = random.normal(0, 0.03, seeds)
            for loss, value in enumerate((1 + 0.02 * np.arange(losses) + worsening * fraction**1.5) * at_own):
                for seed in range(seeds):
                    bad = loss == 0 and mark == marks[-1] and seed < diverged
                    at = value + luck[seed] + random.normal(0, 0.02)
                    of = {"condition": condition, "loss": names[loss], "setting": mark, "seed": seed}
                    runs.append(
                        of
                        | {
                            "status": "diverged" if bad else "done",
                            "value": np.nan if bad else at,
                            "constant": 1.9 + luck[seed],
                            "lr": 0.01,
                            "params": "",
                            "run": f"{condition}-{loss}-{mark}-{seed}",
                        }
                    )
                    steps = np.arange(1, epochs + 1)
                    curves.append(
                        pd.DataFrame(
                            of | {"epoch": steps, "val": at + 2 * np.exp(-steps / 4), "train": np.exp(-steps / 4)}
                        )
                    )
    rates = np.geomspace(1e-4, 1, trials) if trials else np.zeros(0)
    tuning = [
        {
            "loss": name,
            "at": marks[0],
            "trial": trial,
            "lr": rate,
            "params": f"delta={0.5 + trial}" if "huber" in name else "",
            "seed": 100 + seed,
            "status": "diverged" if rate > 0.5 and number < 2 else "done",
            "value": np.nan if rate > 0.5 and number < 2 else 1 + 0.2 * (np.log10(rate) + 2 - number / 4) ** 2,
        }
        for number, name in enumerate(names)
        for trial, rate in enumerate(rates)
        for seed in range(3)
    ]
    choices = [
        {
            "loss": name,
            "at": marks[0],
            "lr": rates[trials // 2],
            "params": "delta=3.5" if "huber" in name else "",
            "value": 1.0,
            "trials": trials,
            "diverged": int(number < 2),
            "edge": "the rate is the largest of its range" if number == 2 else "",
        }
        for number, name in enumerate(names)
        if trials
    ]
    failures = [
        {"phase": "confirm", "reason": "the loss was not finite in epoch 3"}
        | {key: run[key] for key in ("loss", "setting", "seed", "status")}
        for run in runs
        if run["status"] != "done"
    ]
    made = {
        "name": "robust_regression",
        "question": "Which loss withstands outliers in the targets?",
        "task": "regression",
        "metric": "mae",
        "better": "min",
        "epoch": "best",
        "reference": names[0],
        "losses": names,
        "conditions": list(conditions),
        "settings": settings,
        "runs": pd.DataFrame(runs),
        "trials": pd.DataFrame(tuning),
        "choices": pd.DataFrame(choices),
        "curves": pd.concat(curves, ignore_index=True) if epochs else pd.DataFrame(),
        "failures": pd.DataFrame(failures),
        "protocol": [
            "Every loss had the same learning rates to choose from.",
            "Each choice was run again on fresh seeds.",
        ],
        "notes": ["Seed 3 of `huber` is missing at fraction=0.5."],
        "provenance": {"command": "python train.py experiment=robust_regression", "commit": "0123abc", "device": "cpu"},
    }
    return Results(**(made | told))  # type: ignore[arg-type]  # by name, whatever the caller gives
