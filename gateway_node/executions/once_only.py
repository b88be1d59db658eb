# SPDX-License-Identifier: Apache-2.0
"""What a client asks for under a key is made once, however often it asks."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
import hashlib
import hmac
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from gateway_node.executions.errors import IdempotencyKeyReused
from gateway_node.executions.idempotency import IdempotencyKey
from gateway_node.executions.store_ports import IdempotencyKeys
from gateway_node.scripts.errors import ScriptNotFound
from gateway_node.to_the_end import ToTheEnd

T = TypeVar('T')


@dataclass(frozen=True, kw_only=True)
class Made(Generic[T]):
    """What came of a request."""

    resource: T
    replayed: bool = False
    """Whether an earlier request made it."""


class OnceOnly:
    """Makes what is asked for, or finds what was made.

    Of requests with one key that are under way together each waits for the one before. Where that
    was refused, nothing was made and the next one tries by itself.
    """

    def __init__(self, keys: IdempotencyKeys, secret: bytes) -> None:
        """With the same `secret` the same wish has the same fingerprint."""
        self._keys = keys
        self._secret = secret
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._to_the_end = ToTheEnd()

    def key(self, scope: str, name: str, wish: str) -> IdempotencyKey:
        """Return the key of a request for a wish, a text that is the same for the same one.

        The text may hold secrets; what is kept of it is of no use to who guesses them.
        """
        wished = wish.encode()
        return IdempotencyKey(
            scope=scope,
            name=name,
            fingerprint=hmac.new(self._secret, wished, 'sha256').hexdigest(),
            earlier_fingerprint=hashlib.sha256(wished).hexdigest(),
        )

    async def make(
        self,
        key: IdempotencyKey,
        make: Callable[[], Awaitable[T]],
        find: Callable[[str], Awaitable[T]],
    ) -> Made[T]:
        """Return what `make` makes, or what was made under the key, which `find` finds by its id.

        `make` keeps the key with what it makes. Once begun this goes on where it is cancelled, so
        that no twin overtakes what is on its way to the disk.

        Raises what both raise, StoreUnavailable, and:
            IdempotencyKeyReused: something else was asked for under this key.
        """
        return await self._to_the_end.run(
            'make what is asked for once', self._in_turn(key, make, find)
        )

    async def _in_turn(
        self,
        key: IdempotencyKey,
        make: Callable[[], Awaitable[T]],
        find: Callable[[str], Awaitable[T]],
    ) -> Made[T]:
        turn = self._turns.setdefault((key.scope, key.name), asyncio.Lock())
        async with turn:
            made = await self._made_before(key, find)
            return made or Made(resource=await make())

    async def _made_before(
        self, key: IdempotencyKey, find: Callable[[str], Awaitable[T]]
    ) -> Made[T] | None:
        kept = await self._keys.get(key)
        if kept is None:
            return None
        reused = kept.fingerprint not in key.fingerprints
        if kept.made and reused:
            raise IdempotencyKeyReused(key.name)
        try:
            resource = await find(kept.resource_id)
        except ScriptNotFound:
            if kept.made:
                raise
            # Its upload was refused, or the gateway died before there was a script.
            return None
        if reused:
            raise IdempotencyKeyReused(key.name)
        return Made(resource=resource, replayed=True)
