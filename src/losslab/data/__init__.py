"""Data sets, one function each. `load` returns the one of a config, split by the seed."""

from losslab.data import anchors as anchors
from losslab.data import images as images
from losslab.data import made_up as made_up
from losslab.data import own_arrays as own_arrays
from losslab.data import own_boxes as own_boxes
from losslab.data import own_pictures as own_pictures
from losslab.data import own_tables as own_tables
from losslab.data import pedestrians as pedestrians
from losslab.data import robust_benchmarks as robust_benchmarks
from losslab.data import scenes as scenes
from losslab.data import tables as tables
from losslab.data import torchvision_images as torchvision_images
from losslab.data.base import SOURCES as SOURCES
from losslab.data.base import Data as Data
from losslab.data.base import Split as Split
from losslab.data.base import check_finite as check_finite
from losslab.data.base import load as load
from losslab.data.base import sizes as sizes
from losslab.data.base import standardised as standardised
from losslab.data.weights import row_weights as row_weights
