# SPDX-License-Identifier: Apache-2.0
"""The limit on what one identity has open: executions that wait or run, and schedules."""

from collections.abc import Iterable

from gateway_node.executions.errors import OpenLimitReached


class OpenPlaces:
    """Who has what open, by name; nobody counts who has none."""

    def __init__(self, limit: int) -> None:
        """`limit` 0 sets none."""
        self._limit = limit
        self._names: dict[str, str] = {}
        """By the ids of what is open."""

    def take(self, name: str | None, ids: Iterable[str]) -> None:
        """Take places for these ids, all or none; taking them again is harmless.

        OpenLimitReached where there are not as many.
        """
        wanted = set(ids)
        self.check(name, wanted)
        self.give(name, wanted)

    def check(self, name: str | None, ids: Iterable[str]) -> None:
        """Return where `take` would; nothing is taken."""
        if name is None or not self._limit:
            return
        taken = {each for each, owner in self._names.items() if owner == name}
        if len(taken.union(ids)) > self._limit:
            raise OpenLimitReached(name, self._limit)

    def give(self, name: str | None, ids: Iterable[str]) -> None:
        """Give places to what is accepted, however many there are."""
        if name is not None and self._limit:
            self._names.update(dict.fromkeys(ids, name))

    def leave(self, open_id: str) -> None:
        """Free a place; harmless where there is none."""
        self._names.pop(open_id, None)
