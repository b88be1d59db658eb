# SPDX-License-Identifier: Apache-2.0
"""Refusals that come in floods are counted, so that they do not push out of the audit what else
is in it. Pure."""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway_node.access.audit import AuditNote, NoteKind
from gateway_node.access.client_addresses import network_of

_Client = tuple[str, str | None]
"""A network, and the name of who shows a credential."""


@dataclass(kw_only=True)
class _Minute:
    """What was refused to one client since its first refusal."""

    first: AuditNote
    ends: float
    noted: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    """Of those that were counted."""


class Refusals:
    """Tells which refusals are noted: the first ones of each minute, of each client and of all.

    Times are monotonic seconds that the caller gives; they never go back.
    """

    def __init__(
        self,
        *,
        of_client: int = 10,
        of_all: int = 60,
        minute_sec: float = 60.0,
        max_clients: int = 1000,
    ) -> None:
        self._of_client = of_client
        self._of_all = of_all
        self._minute_sec = minute_sec
        self._max_clients = max_clients
        self._clients: OrderedDict[_Client | None, _Minute] = OrderedDict()
        """By the begin of their minutes; None stands for those for whom there is no room."""
        self._all_end = float('-inf')
        self._all_noted = 0

    def is_noted(self, note: AuditNote, now: float) -> bool:
        """Tell whether a refusal is noted as it is; else it is counted from now on.

        `due` goes before.
        """
        if now >= self._all_end:
            self._all_end, self._all_noted = now + self._minute_sec, 0
        has_room = self._all_noted < self._of_all
        minute = self._minute_of(note, now, has_room=has_room)
        if has_room and minute.noted < self._of_client:
            minute.noted += 1
            self._all_noted += 1
            return True
        minute.statuses[note.status or 0] += 1
        return False

    def _minute_of(self, note: AuditNote, now: float, *, has_room: bool) -> _Minute:
        asked = note.asked
        client = None if asked is None else (network_of(asked.origin), asked.name)
        if client not in self._clients and (
            not has_room or len(self._clients) >= self._max_clients
        ):
            client = None
        minute = self._clients.get(client)
        if minute is None:
            minute = _Minute(first=note, ends=now + self._minute_sec)
            self._clients[client] = minute
        return minute

    @property
    def next_due(self) -> float | None:
        """When `due` has something to tell at the earliest; None where nothing is counted."""
        return min((each.ends for each in self._clients.values() if each.statuses), default=None)

    def due(self, now: float) -> Iterator[AuditNote]:
        """Yield what was counted of minutes that are over, and forget these."""
        while self._clients:
            client, minute = next(iter(self._clients.items()))
            if now < minute.ends:
                return
            del self._clients[client]
            if minute.statuses:
                yield _counted(client, minute)


def _counted(client: _Client | None, minute: _Minute) -> AuditNote:
    origin, name = client or (None, None)
    return AuditNote(
        kind=NoteKind.REPEATED,
        time=minute.first.time,
        origin=origin,
        name=name,
        since=minute.first.time,
        statuses=dict(minute.statuses),
    )
