"""A table of the functions of one group of components: losslab's own, decorated ones, and those that users' cards name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast, overload

from losslab.errors import BadRequest
from losslab.schema import cards, decorated, signatures, user_code
from losslab.schema.suggestions import word

T = TypeVar("T", bound=Callable[..., Any])


class Registry(dict[str, T]):
    """Name -> function or class, of one group of components, such as "loss".

    `@REGISTRY.register` enters one of losslab's own, which has a card in conf/. `@REGISTRY.register(reads=..., ...)`, with the
    facts of a card, enters one from outside and makes its card: settings and defaults come from its signature.

    Args:
        group: of the cards.
        shared: settings with their defaults that each component of the group has beside its own.
        wrap: what is entered in the place of a function.
        wrap_outside: the same for one from outside.
    """

    def __init__(
        self,
        group: str,
        shared: dict[str, Any] | None = None,
        wrap: Callable[[T], T] = lambda function: function,
        wrap_outside: Callable[[T], T] = lambda function: function,
    ) -> None:
        super().__init__()
        self.group, self.shared, self.wrap, self.wrap_outside = group, shared or {}, wrap, wrap_outside
        self._named: dict[str, tuple[str, T]] = {}  # what users' cards name, by card, with where it stands

    @overload
    def register(self, function: T, /) -> T: ...
    @overload
    def register(self, function: None = None, /, **about: Any) -> Callable[[T], T]: ...
    def register(self, function: Any = None, /, **about: Any) -> Any:
        """Enters a function under its own name, in small letters.

        Raises KeyError where losslab itself enters a name twice, and BadRequest for facts that a card does not have, for a
        setting without a default, and for a name of losslab's own.
        """
        if function is None:
            return lambda given: self._register_from_outside(given, about)
        name = function.__name__.lower()
        if name in self:
            raise KeyError(f"'{name}' is registered twice.")
        self[name] = self.wrap(function)
        return function

    def _register_from_outside(self, function: T, about: dict[str, Any]) -> T:
        name = function.__name__.lower()
        where = f"The {word(self.group)} '{name}'"
        cards.check_facts(self.group, where, about)
        values = {"name": name} | self.shared | signatures.settings(function, where)
        about = cards.DEFAULTS.get(self.group, {}) | about
        card = cards.Card(values, about, code=_source(function), description=inspect.getdoc(function) or "")
        cards.add(self.group, card)
        decorated.note(function, self.group, card)
        if decorated.enters_names():
            self[name] = self.wrap_outside(function)
        return function

    def of(self, name: str) -> T:
        """The function of a card. What the card of a user's names is imported here. Raises BadRequest where there is none."""
        if name in self:
            return self[name]
        card = cards.card(self.group, name)
        if card.function:
            known, function = self._named.get(name, ("", None))
            if known != card.function or function is None:
                user_code.check(card.named_by, card.function)
                function = self.wrap_outside(cast(T, user_code.load(card.named_by, card.function)))
                self._named[name] = (card.function, function)
            else:
                user_code.load(card.named_by, card.function)  # refuses code that has changed since
            return function
        own = str(card.about.get("function", name))
        if own in self:
            return self[own]
        raise BadRequest(f"The {word(self.group)} '{name}' has a card, {card.path}, but no function.")

    def forget(self, name: str) -> None:
        """Takes a function from outside and its card away."""
        self.pop(name, None)
        cards.remove(self.group, name)


def _source(function: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):  # typed into a Python prompt
        return repr(function.__code__.co_code) if hasattr(function, "__code__") else repr(function)
