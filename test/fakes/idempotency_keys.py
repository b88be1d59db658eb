# SPDX-License-Identifier: Apache-2.0
"""Idempotency keys in memory."""

from collections.abc import Callable
from dataclasses import replace

from gateway_node.clock import Clock
from gateway_node.executions.idempotency import (
    IdempotencyKey,
    KEPT_FOR_SEC,
    KeptKey,
    MAX_KEYS,
)


class InMemoryIdempotencyKeys:
    """The `IdempotencyKeys` that forget everything with the process."""

    def __init__(
        self, clock: Clock, check_available: Callable[[], None], is_open: Callable[[str], bool]
    ) -> None:
        """`check_available` raises StoreUnavailable where a test wants that."""
        self._clock = clock
        self._check_available = check_available
        self._is_open = is_open
        self._kept: dict[tuple[str, str], KeptKey] = {}
        self._used: dict[tuple[str, str], float] = {}

    async def get(self, key: IdempotencyKey) -> KeptKey | None:
        """Return what is known of a key; None for a new one."""
        self._check_available()
        return self._kept.get((key.scope, key.name))

    async def reserve(self, key: IdempotencyKey, script_id: str) -> None:
        """Note the id that a script is going to have which is made under this key."""
        self._check_available()
        self.keep(key, script_id, made=False)

    async def prune(self) -> None:
        """Remove the keys that need not be kept."""
        self._check_available()
        before = self._clock.monotonic() - KEPT_FOR_SEC
        surplus = len(self._kept) - MAX_KEYS
        for number, place in enumerate(tuple(self._kept)):
            unneeded = number < surplus or self._used[place] < before
            if unneeded and not self._is_open(self._kept[place].resource_id):
                del self._kept[place], self._used[place]

    def keep(self, key: IdempotencyKey, resource_id: str, *, made: bool = True) -> None:
        """Keep a key with the id of what is made under it."""
        place = key.scope, key.name
        self._kept.pop(place, None)
        self._kept[place] = KeptKey(
            fingerprint=key.fingerprint, resource_id=resource_id, made=made
        )
        self._used[place] = self._clock.monotonic()

    def note_made(self, script_id: str) -> None:
        """Note that a script is there, where a key names it."""
        for place, kept in self._kept.items():
            if kept.resource_id == script_id:
                self._kept[place] = replace(kept, made=True)
