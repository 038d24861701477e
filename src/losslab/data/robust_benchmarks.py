"""Small data sets known from the literature on robust regression, with real outliers, and a large one of counts.

Columns are inputs, then the target. Sizes and licences: conf/data/<name>.yaml.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from losslab.data.base import Data, register
from losslab.schema.requirements import inside_package

_HERE = Path(__file__).resolve().parent / "csv"


@register
def stackloss() -> Data:
    """Stack loss: ammonia that escapes from a plant on 21 days (Brownlee, 1965); most analyses call days 1, 3, 4 and 21 outliers."""
    return _read(_statsmodels("stackloss"), ["AIRFLOW", "WATERTEMP", "ACIDCONC"], "STACKLOSS", "stack loss, 0.1 %")


@register
def hbk() -> Data:
    """HBK: 75 artificial rows (Hawkins, Bradu and Kass, 1984). 1 to 10 are bad leverage points; 11 to 14 are good ones, often blamed."""
    return _read(_HERE / "hbk.csv", ["x1", "x2", "x3"], "y", "y")


@register
def stars() -> Data:
    """Light of a star by temperature: 47 in the cluster CYG OB1 (Rousseeuw and Leroy, 1987); 11, 20, 30 and 34 are giants."""
    return _read(_HERE / "stars.csv", ["log_temperature"], "log_light", "log10 light intensity")


@register
def phones() -> Data:
    """International calls from Belgium in 24 years (Rousseeuw and Leroy, 1987); from 1964 to 1969 minutes were counted, not calls."""
    return _read(_HERE / "phones.csv", ["year"], "calls", "calls, tens of millions")


@register
def engel() -> Data:
    """Engel: what 235 households spend on food (Engel, 1857; Koenker and Bassett, 1982); the spread grows with the income."""
    return _read(_statsmodels("engel"), ["income"], "foodexp", "food expenditure, Belgian francs")


@register
def randhie() -> Data:
    """Visits to a doctor in a year: 20,190 person-years of the RAND Health Insurance Experiment, 9 inputs."""
    inputs = ["lncoins", "idp", "lpi", "fmde", "physlm", "disea", "hlthg", "hlthf", "hlthp"]
    return _read(_statsmodels("randhie"), inputs, "mdvis", "visits")


def _statsmodels(name: str) -> Path:
    return inside_package("statsmodels", "datasets", name, f"{name}.csv")


def _read(file: Path, inputs: Sequence[str], target: str, target_name: str) -> Data:
    import pandas as pd

    table = pd.read_csv(file)
    x, y = (torch.tensor(table[columns].to_numpy(), dtype=torch.float32) for columns in (list(inputs), [target]))
    return Data(x, y, (target_name,))
