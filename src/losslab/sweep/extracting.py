"""Makes the folders of runs that lie together in the files of their stacks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from losslab.errors import BadRequest
from losslab.records import stacks
from losslab.records.locks import locked
from losslab.safe_points import check
from losslab.schema import check as schema_check
from losslab.sweep.writing import read_together, write_folder
from losslab.training.prepare import prepare


def extract(folders: Iterable[Path]) -> None:
    """Writes the folder of each of some runs, with the config, checkpoints, events and record that it would have had.

    The records stay with those of the stacks as well; that in a folder comes first.

    Raises BadRequest for a run whose weights are gone, or whose data, model or loss are not there as they were; folders that
    were made before stay.
    """
    by_file: dict[Path, list[Path]] = defaultdict(list)
    for folder in folders:
        if path := stacks.file_of(folder):
            by_file[path].append(folder)
    for path, some in by_file.items():
        kept = read_together(stacks.weights_beside(path))
        for folder in some:
            check()
            record = stacks.record_of(folder)
            assert record is not None
            parts = prepare(schema_check.check(record.config))
            now = parts.pairing()
            if changed := [what for what, digest in record.pairing.items() if now.get(what) != digest]:
                raise BadRequest(
                    f"{folder} cannot be made: what its run was trained on is not as it was ({', '.join(changed)})."
                )
            with locked([folder]):
                write_folder(folder, parts, parts.model, kept[folder.name], record)
