"""Losses, each a pure function of (pred, target) that gives one number a sample. `get` makes one ready for use."""

from losslab.losses import boxes as boxes
from losslab.losses import classification as classification
from losslab.losses import regression as regression
from losslab.losses.base import LOSSES as LOSSES
from losslab.losses.base import Loss as Loss
from losslab.losses.base import for_task as for_task
from losslab.losses.base import get as get
from losslab.losses.base import names as names
