# SPDX-License-Identifier: Apache-2.0
"""How many streams there are, and how many there may be."""

from collections import Counter
from collections.abc import Iterator
import contextlib
from dataclasses import dataclass

from gateway_node.http_server.errors import TooManyStreams


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """What streams may cost."""

    max_streams: int = 1000
    max_per_client: int = 50
    """Of one address, as a trusted proxy names it."""
    heartbeat_sec: float = 15.0
    """How long a stream is silent at most."""


class StreamPlaces:
    """The places of streams; belongs to the event loop."""

    def __init__(self, settings: StreamSettings) -> None:
        self.settings = settings
        self.refused_total = 0
        self._by_client: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._by_client.total()

    @property
    def counts(self) -> dict[str, int]:
        """How many streams are open, may be, and were refused."""
        return {
            'open': len(self),
            'limit': self.settings.max_streams,
            'refused': self.refused_total,
        }

    def check(self, client: str) -> None:
        """Raise TooManyStreams where a client gets no further one."""
        settings = self.settings
        try:
            if self._by_client[client] >= settings.max_per_client:
                raise TooManyStreams('streams.max_per_client', settings.max_per_client)
            if len(self) >= settings.max_streams:
                raise TooManyStreams('streams.max', settings.max_streams)
        except TooManyStreams:
            self.refused_total += 1
            raise

    @contextlib.contextmanager
    def taken(self, client: str) -> Iterator[None]:
        """Have a place taken."""
        self._by_client[client] += 1
        try:
            yield
        finally:
            self._by_client[client] -= 1
            if not self._by_client[client]:
                del self._by_client[client]
