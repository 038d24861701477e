"""Tasks, one file each. `build` returns the one of a config."""

from losslab.tasks import bbox as bbox
from losslab.tasks import binary as binary
from losslab.tasks import counts as counts
from losslab.tasks import multiclass as multiclass
from losslab.tasks import multilabel as multilabel
from losslab.tasks import ordinal as ordinal
from losslab.tasks import quantiles as quantiles
from losslab.tasks import regression as regression
from losslab.tasks import segmentation as segmentation
from losslab.tasks.base import TASKS as TASKS
from losslab.tasks.base import Snapshot as Snapshot
from losslab.tasks.base import Task as Task
from losslab.tasks.base import build as build
