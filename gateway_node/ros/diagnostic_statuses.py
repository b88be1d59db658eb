# SPDX-License-Identifier: Apache-2.0
"""The statuses of `/diagnostics` by name, as they were told last; knows nothing of rclpy."""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway_node.executions.globs import paths_like

MAX_STATUSES = 10_000
"""Names that are kept; with more, those that were told longest ago go."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """One status, as it was told last."""

    name: str
    level: int
    message: str

    def document(self) -> dict[str, object]:
        """Return it as a JSON value."""
        return {'name': self.name, 'level': self.level, 'message': self.message}


class DiagnosticStatuses:
    """What was told of each name since the first message that was heard."""

    def __init__(self) -> None:
        self._statuses: dict[str, Status] = {}
        self._names: dict[str, set[str]] = {}
        """For each glob, the names that it matches."""
        self._worst: dict[str, Status] = {}
        """Of those, for some globs, the worst: to look for it takes a look at each."""

    def want(self, globs: Iterable[str]) -> None:
        """Have these globs be asked for from now on, and no others."""
        wanted = set(globs)
        for glob in self._names.keys() - wanted:
            del self._names[glob]
            self._worst.pop(glob, None)
        for glob in wanted - self._names.keys():
            self._names[glob] = set(paths_like([glob], self._statuses))

    def take(self, statuses: Iterable[Status]) -> set[str]:
        """Take what one message tells; return the globs of which it tells something.

        Those that match nothing yet are among them: that is known now.
        """
        told = {glob for glob, names in self._names.items() if not names}
        for status in statuses:
            if status.name not in self._statuses:
                self._meet(status.name)
            # At the end: what was told longest ago comes first, and goes first.
            self._statuses.pop(status.name, None)
            self._statuses[status.name] = status
            matching = {glob for glob, names in self._names.items() if status.name in names}
            for glob in matching & self._worst.keys():
                self._compare(glob, status)
            told |= matching
        while len(self._statuses) > MAX_STATUSES:
            self._forget(next(iter(self._statuses)))
        return told

    def worst(self, glob: str) -> Status | None:
        """Return the worst status whose name a glob matches; of several, the first by name."""
        names = self._names[glob]
        if glob not in self._worst and names:
            self._worst[glob] = min((self._statuses[name] for name in names), key=_rank)
        return self._worst.get(glob)

    def clear(self) -> None:
        """Forget all that was told."""
        self._statuses.clear()
        self._worst.clear()
        for names in self._names.values():
            names.clear()

    def _compare(self, glob: str, status: Status) -> None:
        """Have a status as it was told now count among those of a glob whose worst is known."""
        worst = self._worst[glob]
        if _rank(status) <= _rank(worst):
            self._worst[glob] = status
        elif status.name == worst.name:
            del self._worst[glob]

    def _meet(self, name: str) -> None:
        for glob, names in self._names.items():
            if paths_like([glob], [name]):
                names.add(name)

    def _forget(self, name: str) -> None:
        del self._statuses[name]
        for glob, names in self._names.items():
            names.discard(name)
            if glob in self._worst and self._worst[glob].name == name:
                del self._worst[glob]


def _rank(status: Status) -> tuple[int, str]:
    """Return what comes first where it is worse."""
    return -status.level, status.name
