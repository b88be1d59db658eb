# SPDX-License-Identifier: Apache-2.0
"""How many streams there are, and how many there may be."""

from collections import Counter
from collections.abc import Iterator
import contextlib
from dataclasses import dataclass

from gateway_node.access.client_addresses import network_of
from gateway_node.executions.actors import Actor
from gateway_node.http_server.errors import TooManyStreams

_Client = tuple[str, str]
"""What streams are counted by: the kind of it, and its text."""


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """What streams may cost."""

    max_streams: int = 1000
    max_per_client: int = 50
    """Of one address, as a trusted proxy names it (of IPv6, of one /64), and of one identity."""
    heartbeat_sec: float = 15.0
    """How long a stream is silent at most."""


class StreamPlaces:
    """The places of streams; belongs to the event loop."""

    def __init__(self, settings: StreamSettings) -> None:
        self.settings = settings
        self.refused_total = 0
        self._open = 0
        self._by_client: Counter[_Client] = Counter()

    def __len__(self) -> int:
        return self._open

    @property
    def counts(self) -> dict[str, int]:
        """How many streams are open, may be, and were refused."""
        return {
            'open': len(self),
            'limit': self.settings.max_streams,
            'refused': self.refused_total,
        }

    def check(self, reader: Actor) -> None:
        """Raise TooManyStreams where somebody gets no further one."""
        settings = self.settings
        open_already = max(self._by_client[each] for each in _counted_as(reader))
        try:
            if open_already >= settings.max_per_client:
                raise TooManyStreams('streams.max_per_client', settings.max_per_client)
            if len(self) >= settings.max_streams:
                raise TooManyStreams('streams.max', settings.max_streams)
        except TooManyStreams:
            self.refused_total += 1
            raise

    @contextlib.contextmanager
    def taken(self, reader: Actor) -> Iterator[None]:
        """Have a place taken."""
        counted_as = _counted_as(reader)
        self._open += 1
        self._by_client.update(counted_as)
        try:
            yield
        finally:
            self._open -= 1
            self._by_client.subtract(counted_as)
            self._by_client = +self._by_client  # without those that are at 0


def _counted_as(reader: Actor) -> tuple[_Client, ...]:
    of_address = ('address', network_of(reader.origin))
    return (of_address,) if reader.name is None else (of_address, ('name', reader.name))
