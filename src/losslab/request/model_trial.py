"""A model from outside is made once for its data before a sweep or a study begins, so that a wrong one is refused at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from losslab import errors
from losslab.errors import BadRequest
from losslab.schema import cards
from losslab.schema import check as schema_check

_made: set[str] = set()  # by data, model and the source of both


def check(request: Mapping[str, Any]) -> None:
    """Raises BadRequest where a model that is named by where it stands cannot be made for the data of a checked request."""
    if not cards.is_reference("model", request["model"]["name"]):
        return
    parts = {group: request[group] for group in ("task", "data", "model")}
    key = json.dumps([parts, schema_check.of_user(request)], sort_keys=True, default=str)
    if key in _made:
        return
    from losslab.training.prepare import prepare  # imports torch, as the model does

    try:
        prepare(dict(request))
    except BadRequest:
        raise
    except Exception as error:  # whatever it is, training the run will say it, and record it
        errors.raise_if_ended(error)
    _made.add(key)
