"""Tables of the user's: read from files, described column by column, and the task that a target calls for. No torch here."""

from losslab.tables.columns import Column as Column
from losslab.tables.columns import describe as describe
from losslab.tables.files import read_table as read_table
from losslab.tables.files import read_tables as read_tables
from losslab.tables.inference import Inferred as Inferred
from losslab.tables.inference import infer_task as infer_task
from losslab.tables.targets import target_values as target_values
from losslab.tables.targets import with_target as with_target
