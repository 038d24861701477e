"""The protocol of a study in sentences, and the provenance of its records."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import yaml

from losslab.records.record import HASHES, Record
from losslab.report.resampling import one_split
from losslab.schema.metric_facts import metric_name
from losslab.study.recipe import Study


def protocol(study: Study, records: Sequence[Record], epoch: str) -> list[str]:
    """How a study was done, in sentences; `epoch`: whose figures are compared, best or last."""
    tuning = study.tuning
    said = []
    if "tuned" in study.rates:
        at = "; ".join(study.label(setting) for setting in study.tuning_settings())
        where = "" if not study.axes else ", in every setting" if tuning["at"] == "each" else f", at {at}"
        how = {
            "points": "quasi-random points (Sobol, scrambled), the learning rates the same for all losses",
            "optuna": "Optuna's tree-structured Parzen estimator, each loss by itself",
        }[tuning["search"]]
        said.append(
            f"Tuned rates: {tuning['trials'] + tuning['refine']} trials for each loss{where}, over the learning rate and the loss's "
            f"hyperparameters, by {how}. Each trial is {_runs(tuning['seeds'])}, on seeds that the comparison does not use. "
            f"The trial with the best mean {metric_name(study.metric)} on validation data is chosen."
        )
        if tuning["search"] == "points" and tuning["refine"]:
            said.append(f"The last {tuning['refine']} of them lie near the best one of each loss.")
        if tuning["finalists"] > 1:
            said.append(
                f"The {tuning['finalists']} best trials are trained again on as many further seeds, and the best of them is chosen."
            )
        if study.repeats > 1:
            said.append(
                f"All of this is done {study.repeats} times, on seeds and trials of their own. The seeds of the comparison are dealt "
                "to the repeats. What is compared are repeats, so the intervals include the chance of the tuning."
            )
        if tuning["search"] == "points" and tuning["widen"]:
            said.append(
                "Where a loss was best at the lowest or highest rate tried, all losses got a quarter as many further trials beyond it."
            )
    if "shared" in study.rates:
        other = " (or that of the optimizer that is an axis)" if "optimizer" in study.axes else ""
        said.append(
            f"Shared rate: every loss at learning rate {study.base['optimizer']['lr']:g}{other}, with its "
            "default hyperparameters or those in its name."
        )
    seeds = study.fresh_seeds
    if one_split(records):
        anew = "All seeds, those of the tuning as well, test on the same rows. "
    elif study.repeats == 1:
        anew = (
            "Each seed splits the rows anew, so a row that helped to choose a rate may be a test row of another seed. "
        )
    elif any("test_seed" in record.config.get("data", {}) for record in records):
        anew = "Each repeat tests on rows of its own, which none of its trials has seen. "
    else:
        anew = ""  # of data whose rows are all train, val and test at once
    chance = (
        ""
        if study.repeats > 1
        else "The intervals hold for the hyperparameters that were chosen. They do not include the uncertainty of that choice."
    )
    said.append(
        f"Comparison: {study.seeds} fresh seeds ({seeds[0]} to {seeds[-1]}) for each loss, setting and rate. One seed gives all losses the "
        f"same split, corrupted rows, initial weights and batches. {anew}{chance}".rstrip()
    )
    return said + selection([record for record in records if record.selection], epoch)


def selection(records: Sequence[Record], epoch: str) -> list[str]:
    """Which epoch of a run is compared, and what chose it."""
    if epoch == "last" or not records:
        return ["All test metrics are those of the last epoch."]
    metrics = " or ".join(sorted({metric_name(record.selection["metric"]) for record in records}))
    validation = sorted({record.selection["validation"] for record in records})
    corrupted = any((record.corruption.get("rows_hit") or {}).get("train") for record in records)
    oracle = (
        " (an oracle: in practice validation data are corrupted like the training data)"
        if validation == ["clean"] and corrupted
        else ""
    )
    return [
        f"All test metrics are those of the epoch with the best {metrics} on {' and '.join(validation)} validation data{oracle}."
    ]


def provenance(records: Sequence[Record], study: Study | None) -> dict[str, str]:
    """What made some records, from label to text."""
    trained = [record for record in records if record.pairing]
    versions = {f"{name} {version}" for record in records for name, version in record.versions.items()}
    told = {"Command": study.command or f"python train.py experiment={study.name}"} if study else {}
    told |= {
        "Commit": ", ".join(sorted({record.commit or "unknown: losslab was installed" for record in records})),
        "Versions": ", ".join(sorted(versions)),
        "Device": ", ".join(sorted({record.device for record in trained})),
        "Runs": f"{len(records)}, {sum(record.fused > 1 for record in records)} of them trained in stacks",
        "Training time": f"{sum(record.seconds.get('total', 0.0) for record in records):.0f} s in all",
        "Seeds": _ranges(sorted({record.seed for record in records})),
    }
    for stream in HASHES:
        hashes = sorted({record.pairing[stream] for record in trained})
        told[f"Hash of {stream}"] = (
            f"{hashlib.sha256(' '.join(hashes).encode()).hexdigest()[:16]} (of {_distinct(len(hashes))})"
        )
    own = {
        f"{key.removeprefix('source/')}: {code}" for r in trained for key, code in r.pairing.items() if "source/" in key
    }
    if own:
        told["Hashes of your own code and files"] = ", ".join(sorted(own))
    if study:
        told["Base request"] = yaml.safe_dump(study.mark()["base"], default_flow_style=True, width=10_000).strip()
    return told


def _distinct(count: int) -> str:
    return f"{count} different values" if count != 1 else "one value, the same in all runs"


def _runs(count: int) -> str:
    return f"{count} runs" if count > 1 else "one run"


def _ranges(numbers: Sequence[int]) -> str:
    """Whole numbers with the neighbours drawn together: '0 to 9, 12'."""
    pieces: list[list[int]] = []
    for number in numbers:
        if pieces and number == pieces[-1][-1] + 1:
            pieces[-1].append(number)
        else:
            pieces.append([number])
    return ", ".join(str(piece[0]) if len(piece) == 1 else f"{piece[0]} to {piece[-1]}" for piece in pieces)
