# SPDX-License-Identifier: Apache-2.0
"""How many requests may come from whom: token buckets, each as the time at which it is full."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from gateway_node.access.client_addresses import is_loopback, network_of
from gateway_node.access.errors import RateLimited

MAX_BUCKETS = 4096
"""Beyond, those that were used longest ago are taken for full."""


@dataclass(frozen=True, kw_only=True)
class RateSettings:
    """What the configuration says of rates."""

    requests_per_sec: float = 0.0
    """On average; 0 for any number."""
    burst: int = 1
    """How many may come at once."""


class Rates:
    """Counts requests, by the name of who sends them, and of who has none by the address (of
    IPv6, the /64). What comes from this host is not counted."""

    def __init__(self, settings: RateSettings, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._full_at: OrderedDict[tuple[str | None, str], float] = OrderedDict()

    def take(self, client: str, name: str | None = None) -> None:
        """Count a request from an address, of somebody where that is known; RateLimited."""
        settings = self._settings
        if not settings.requests_per_sec or is_loopback(client):
            return
        bucket = (name, '' if name is not None else network_of(client))
        now, interval = self._monotonic(), 1 / settings.requests_per_sec
        full_at = max(self._full_at.get(bucket, now), now) + interval
        wait_sec = full_at - now - settings.burst * interval
        if wait_sec > interval * 1e-6:  # what floats lose
            raise RateLimited(wait_sec, settings.requests_per_sec)
        self._full_at[bucket] = full_at
        self._full_at.move_to_end(bucket)
        if len(self._full_at) > MAX_BUCKETS:
            self._full_at.popitem(last=False)
