"""Pictures of the user's: files by class or with labels, boxes drawn in them, all brought to one size. No torch here."""

from losslab.pictures.boxes import Chosen as Chosen
from losslab.pictures.boxes import chosen as chosen
from losslab.pictures.boxes import decoded as decoded
from losslab.pictures.boxes import side_of as side_of
from losslab.pictures.decode import Fitted as Fitted
from losslab.pictures.decode import Size as Size
from losslab.pictures.decode import fitted as fitted
from losslab.pictures.decode import opened as opened
from losslab.pictures.decode import sides_of as sides_of
from losslab.pictures.decode import size_of as size_of
from losslab.pictures.decode import stacked as stacked
from losslab.pictures.folders import Labelled as Labelled
from losslab.pictures.folders import labelled as labelled
