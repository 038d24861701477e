"""Neutral metrics: how well predictions match clean targets, whatever loss was trained. All are of R runs at once."""

from losslab.metrics import boxes as boxes
from losslab.metrics import classification as classification
from losslab.metrics import label_sets as label_sets
from losslab.metrics import masks as masks
from losslab.metrics import ordinal as ordinal
from losslab.metrics import outside as outside
from losslab.metrics import quantiles as quantiles
from losslab.metrics import regression as regression
from losslab.metrics.base import METRICS as METRICS
from losslab.metrics.base import Metric as Metric
from losslab.metrics.base import Predictions as Predictions
from losslab.metrics.base import register as register
