"""A table of named things, filled by decorators where they are defined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T", bound=Callable[..., Any])


class Registry(dict[str, T]):
    """Name -> function or class. `@REGISTRY.register` enters a thing under its own name, in lower case."""

    def register(self, thing: T) -> T:
        """Enters `thing`; a name that is taken is a mistake in the code and raises KeyError."""
        name = thing.__name__.lower()
        if name in self:
            raise KeyError(f"'{name}' is registered twice.")
        self[name] = thing
        return thing
