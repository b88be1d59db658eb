# SPDX-License-Identifier: Apache-2.0
"""How many connections there are: who gets a place, and who gives up its own for another."""

import asyncio
from collections import Counter
from dataclasses import dataclass
import logging
import resource
import time
from typing import Protocol

from gateway_node.http_server.errors import TooManyAtWork

_log = logging.getLogger(__name__)

REFUSED_AT_A_TIME = 32
"""Refused connections that are still told so; past that they close without an answer."""
RESERVED_DESCRIPTORS = 224
"""For everything else: the listening backlog of 100, the refused, DDS, storage, starts."""
MIN_CONNECTIONS = 16
_COMPLAINT_INTERVAL_SEC = 10.0


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """How many connections there may be, and how long each may take for what."""

    total: int = 256
    header_sec: float = 30.0
    """From the first byte of a request, or the connection, to the end of the header."""
    handshake_sec: float = 10.0
    """From a connection to the end of its TLS handshake."""
    keep_alive_sec: float = 75.0
    """Without a request."""
    stall_sec: float = 30.0
    """How long an answer may wait for its reader, beside a second for each `bytes_per_sec`."""
    bytes_per_sec: float = 1024.0
    refusal_sec: float = 2.0
    """How long a client that was refused gets to read that."""
    look_sec: float = 1.0
    """How often the connections are looked at."""

    @property
    def per_client(self) -> int:
        """Connections of one address, a proxy or a NAT being one, and at work for one identity."""
        return max(1, self.total // 2)


def connections_within(wanted: int, executions: int) -> int:
    """Return how many connections leave enough descriptors for so many executions.

    Of `man 2 setrlimit`, RLIMIT_NOFILE, the soft limit; it is not raised, as scripts inherit it
    and select(2) breaks with descriptors above 1023.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Two for a connection: its own, and that of the file which it uploads or downloads.
    room = max(MIN_CONNECTIONS, (soft - RESERVED_DESCRIPTORS - 4 * executions) // 2)
    if room < wanted:
        _log.warning(
            'the limit of open files leaves room for less than server.max_connections',
            extra={'limit': soft, 'max_connections': wanted, 'taken': room},
        )
    return min(wanted, room)


class Member(Protocol):
    """A connection that has a place."""

    client: str
    """The address that it came from."""

    @property
    def waiting_since(self) -> float | None:
        """The loop's time since when it waits for a request; None while it has work or output."""

    def give_way(self) -> None:
        """Close at once: another client needs the place."""

    def look(self, now: float) -> None:
        """Close where the client took too long over something."""


class OpenConnections:
    """The places; belongs to the event loop."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.refused_total = 0
        self._members: set[Member] = set()
        self._by_client: Counter[str] = Counter()
        self._at_work_for: dict[Member, str] = {}
        self._by_name: Counter[str] = Counter()
        self._refused: dict[asyncio.Transport, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._complain_at = 0.0

    def __len__(self) -> int:
        return len(self._members)

    def enter(self, member: Member) -> bool:
        """Give a place to a new connection; False where there is none.

        At the limit the connection that has waited longest for a request gives way, of the
        client that has the most of them.
        """
        crowded = self._by_client[member.client] >= self.limits.per_client
        if crowded or len(self._members) >= self.limits.total:
            victim = self._waiting_longest(member.client if crowded else None)
            if victim is None:
                return False
            self.leave(victim)
            victim.give_way()
        self._members.add(member)
        self._by_client[member.client] += 1
        self._arm()
        return True

    def leave(self, member: Member) -> None:
        """Take the place back; a connection that has none may leave too."""
        self.end_work(member)
        if member in self._members:
            self._members.remove(member)
            self._by_client[member.client] -= 1
            if not self._by_client[member.client]:
                del self._by_client[member.client]

    def work_for(self, member: Member, name: str) -> None:
        """Count a connection as at work for an identity, until `end_work`; TooManyAtWork.

        One that waits for a request is nobody's, and gives way.
        """
        self.end_work(member)
        if self._by_name[name] >= self.limits.per_client:
            raise TooManyAtWork(name, self.limits.per_client)
        self._at_work_for[member] = name
        self._by_name[name] += 1

    def end_work(self, member: Member) -> None:
        """Count a connection as at work no more; harmless where it is not."""
        name = self._at_work_for.pop(member, None)
        if name is not None:
            self._by_name[name] -= 1
            if not self._by_name[name]:
                del self._by_name[name]

    def refuse(self, transport: asyncio.Transport) -> bool:
        """Count a connection without a place, and let its client read so as `let_read` does."""
        self.refused_total += 1
        self._complain()
        return self.let_read(transport)

    def let_read(self, transport: asyncio.Transport) -> bool:
        """Close a connection soon; False where it was closed at once, as too many wait for that.

        Closed at once, what its client sends would reset it before the client has read the last
        answer.
        """
        if len(self._refused) >= REFUSED_AT_A_TIME:
            transport.abort()
            return False
        self._refused[transport] = asyncio.get_running_loop().time() + self.limits.refusal_sec
        self._arm()
        return True

    def forget_refused(self, transport: asyncio.Transport) -> None:
        """Note that a refused connection is gone."""
        self._refused.pop(transport, None)

    def close(self) -> None:
        """Close what was refused, and what is not served yet; look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for transport in self._refused:
            transport.abort()
        for member in tuple(self._members):
            member.give_way()

    def _waiting_longest(self, client: str | None) -> Member | None:
        waiting = [
            (-self._by_client[member.client], since, id(member), member)
            for member in self._members
            if client in (None, member.client) and (since := member.waiting_since) is not None
        ]
        return min(waiting)[-1] if waiting else None

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.limits.look_sec, self._look)

    def _look(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for member in tuple(self._members):
            member.look(now)
        for transport in [each for each, until in self._refused.items() if until <= now]:
            transport.abort()
        if self._members or self._refused:
            self._arm()

    def _complain(self) -> None:
        if time.monotonic() >= self._complain_at:
            self._complain_at = time.monotonic() + _COMPLAINT_INTERVAL_SEC
            _log.warning(
                'a connection was refused: there is no room for more',
                extra={'open': len(self._members), 'refused_so_far': self.refused_total},
            )
