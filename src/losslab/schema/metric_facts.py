"""Facts about losslab's own metrics: the better direction, the unit, what they measure, their bounds, and what difference matters.

Their functions are in losslab.metrics. Nothing here imports torch, as reports and recipes need the directions alone.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

MARGIN = "5%"  # of a value, where nothing else is known of a metric
_UNIT, _POINT = (0.0, 1.0), "0.01"


class MetricFacts(NamedTuple):
    """One metric: "min" or "max" is better, in this unit; in words; its bounds; and the smallest difference that matters by default."""

    better: str
    unit: str
    words: str
    bounds: tuple[float, float] = (0.0, math.inf)
    margin: str = MARGIN


OF_TARGET = "units of the target"
_SHARE, _PICTURE = "share in [0, 1]", "share of the picture"
METRICS = {
    "accuracy": MetricFacts("max", _SHARE, "share of right guesses", _UNIT, _POINT),
    "balanced_accuracy": MetricFacts(
        "max", _SHARE, "accuracy averaged over the classes that occur (Brodersen et al., 2010)", _UNIT, _POINT
    ),
    "auroc": MetricFacts(
        "max", _SHARE, "area under the ROC curve; undefined where one class is missing", _UNIT, _POINT
    ),
    "average_precision": MetricFacts("max", _SHARE, "area under the precision-recall curve, in steps", _UNIT, _POINT),
    "nll": MetricFacts("min", "nats", "mean -log p of the true class"),
    "ece": MetricFacts("min", _SHARE, "expected calibration error over 15 bins (Guo et al., 2017)", _UNIT, _POINT),
    "brier": MetricFacts("min", "squared probability", "mean squared error of the probabilities (Brier, 1950)"),
    "mae": MetricFacts("min", OF_TARGET, "mean absolute error"),
    "rmse": MetricFacts("min", OF_TARGET, "root of the mean squared error"),
    "median_ae": MetricFacts("min", OF_TARGET, "median absolute error"),
    "r2": MetricFacts(
        "max", "share, at most 1", "share of the variance explained; 0 for the mean", (-math.inf, 1.0), _POINT
    ),
    "pinball": MetricFacts("min", OF_TARGET, "mean pinball loss of the quantiles (Koenker and Bassett, 1978)"),
    "coverage_error": MetricFacts(
        "min", _SHARE, "distance of the coverage from what the levels promise", _UNIT, _POINT
    ),
    "coverage": MetricFacts(
        "max",
        _SHARE,
        "share of targets in the interval; right where the levels promise it: see coverage_error",
        _UNIT,
        _POINT,
    ),
    "interval_width": MetricFacts("min", OF_TARGET, "mean width of the interval, which the coverage must justify"),
    "crossing": MetricFacts("min", _SHARE, "share of neighbouring quantiles in the wrong order", _UNIT, _POINT),
    "rank_error": MetricFacts("min", "classes", "mean number of classes that the median of the prediction is off"),
    "within_one": MetricFacts("max", _SHARE, "share of medians at most one class off", _UNIT, _POINT),
    "weighted_kappa": MetricFacts(
        "max",
        "share, at most 1",
        "Cohen's kappa with quadratic weights (Cohen, 1968); 0 for chance",
        (-1.0, 1.0),
        _POINT,
    ),
    "mean_average_precision": MetricFacts(
        "max",
        _SHARE,
        "area under the precision-recall curve of each label, averaged over the labels that occur",
        _UNIT,
        _POINT,
    ),
    "macro_f1": MetricFacts("max", _SHARE, "F1 score averaged over the labels", _UNIT, _POINT),
    "micro_f1": MetricFacts("max", _SHARE, "F1 score of all labels together", _UNIT, _POINT),
    "exact_match": MetricFacts("max", _SHARE, "share of rows whose labels are all right", _UNIT, _POINT),
    "hamming_loss": MetricFacts("min", _SHARE, "share of labels that are wrong", _UNIT, _POINT),
    "mask_iou": MetricFacts("max", _SHARE, "mean intersection over union of the masks of a picture", _UNIT, _POINT),
    "mask_dice": MetricFacts("max", _SHARE, "mean Dice score of the masks of a picture (Dice, 1945)", _UNIT, _POINT),
    "pixel_accuracy": MetricFacts("max", _SHARE, "share of pixels that are right", _UNIT, _POINT),
    "mean_iou": MetricFacts("max", _SHARE, "mean intersection over union", _UNIT, _POINT),
    "iou50": MetricFacts("max", _SHARE, "share of pictures with an IoU above 0.5", _UNIT, _POINT),
    "iou75": MetricFacts("max", _SHARE, "share of pictures with an IoU above 0.75", _UNIT, _POINT),
    "iou90": MetricFacts("max", _SHARE, "share of pictures with an IoU above 0.9", _UNIT, _POINT),
    "centre_error": MetricFacts("min", _PICTURE, "mean distance of the centres"),
    "size_error": MetricFacts("min", _PICTURE, "mean absolute error of width and height"),
}
_WRITTEN = {"iou": "IoU", "brier": "Brier score"} | {
    word: word.upper() for word in ["ae", "mae", "rmse", "r", "nll", "ece", "auroc"]
}


def metric_name(metric: str) -> str:
    """A metric as it is written: 'mae' is 'MAE', 'mean_iou' 'mean IoU', 'iou50' 'IoU50', 'median_ae' 'median AE'."""
    return " ".join(re.sub(r"^[a-z]+", lambda word: _WRITTEN.get(word[0], word[0]), part) for part in metric.split("_"))
