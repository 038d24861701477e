"""All rows."""

from conformance import of_boxes, of_classes, of_values
from conformance.row import Row as Row

ROWS = [*of_values.ROWS, *of_classes.ROWS, *of_boxes.ROWS]
