# SPDX-License-Identifier: Apache-2.0
"""Who shows wrong secrets is slowed down."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
import hashlib
from typing import TypeVar

from gateway_node.access.client_addresses import network_of
from gateway_node.access.errors import TooManyFailures

FREE_FAILURES = 5
"""How many wrong secrets a client may show before it has to wait."""
WITHIN_SEC = 60.0
"""A failure counts for so long, after the wait that it led to."""
LONGEST_WAIT_SEC = 60.0
MAX_CLIENTS = 4096
MAX_PROVEN = 4096

_Key = TypeVar('_Key')
_Value = TypeVar('_Value')


@dataclass(kw_only=True)
class _Failing:
    """A client that showed wrong secrets."""

    count: int = 0
    waits_until: float = 0.0
    forgotten_at: float = 0.0


class Failures:
    """Counts the wrong secrets that come from an address (of IPv6, from its /64).

    After some of them, nothing that comes from there is looked at for a while, and for twice as
    long after the next one. What was right before from there is looked at all the same: one
    client that is wrong keeps no other one behind the same address out, and finds out nothing.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._failing: OrderedDict[str, _Failing] = OrderedDict()
        self._proven: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def check(self, client: str, secret: str) -> None:
        """Return where a secret is to be looked at; TooManyFailures."""
        failing = self._failing.get(network_of(client)) if self._failing else None
        if failing is None or _proof(client, secret) in self._proven:
            return
        left = failing.waits_until - self._monotonic()
        if left > 0:
            raise TooManyFailures(left)

    def failed(self, client: str) -> None:
        """Count a wrong secret."""
        network, now = network_of(client), self._monotonic()
        failing = self._failing.get(network)
        if failing is None or failing.forgotten_at <= now:
            failing = self._failing[network] = _Failing()
        failing.count += 1
        beyond = failing.count - FREE_FAILURES
        # Past 2**10 the wait is the longest anyhow.
        wait = min(2.0 ** min(beyond, 10), LONGEST_WAIT_SEC) if beyond >= 0 else 0.0
        failing.waits_until = now + wait
        failing.forgotten_at = failing.waits_until + WITHIN_SEC
        _bound(self._failing, network, MAX_CLIENTS)

    def succeeded(self, client: str, secret: str) -> None:
        """Remember that a secret is right."""
        proof = _proof(client, secret)
        self._proven[proof] = None
        _bound(self._proven, proof, MAX_PROVEN)


def _proof(client: str, secret: str) -> tuple[str, bytes]:
    return network_of(client), hashlib.sha256(secret.encode(errors='surrogateescape')).digest()


def _bound(entries: OrderedDict[_Key, _Value], latest: _Key, limit: int) -> None:
    """Keep those that were used last."""
    entries.move_to_end(latest)
    if len(entries) > limit:
        entries.popitem(last=False)
