# SPDX-License-Identifier: Apache-2.0
"""Who is beside the robot, as a verifier says; and how often somebody may be wrong."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
import datetime
import logging
from typing import TypeVar
from weakref import WeakValueDictionary

from gateway_node.access.client_addresses import network_of
from gateway_node.access.proximity_verifier import Presence, ProximityVerifier
from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor
from gateway_node.executions.proximity import (
    Proof,
    ProximityChallenge,
    ProximityClosed,
    ProximityNeeded,
    ProximityRefused,
    ProximityUnavailable,
)
from gateway_node.scripts.values import Script

T = TypeVar('T')

_log = logging.getLogger(__name__)

DEADLINE_SEC = 20.0
"""For a verifier's word."""
FIRST_CLOSED_SEC = 60.0
LONGEST_CLOSED_SEC = 3600.0
FORGOTTEN_SEC = 3600.0
"""After its last failure, or its door opened again, a client has all tries again."""
MAX_CLIENTS = 10_000
"""Whose failures are known: of more, those are forgotten that failed longest ago."""


@dataclass
class _Failures:
    """Those of one client."""

    count: int = 0
    """Since its door was last closed."""
    closings: int = 0
    opens_at: float = 0.0
    forgotten_at: float = 0.0


class VerifiedProximity:
    """A ProximityCheck: asks a verifier, and closes the door for a while to who fails often."""

    def __init__(self, verifier: ProximityVerifier, clock: Clock, *, max_failures: int) -> None:
        """After `max_failures` no proof is taken from a client for a minute, then for twice as
        long, up to an hour."""
        self._verifier = verifier
        self._clock = clock
        self._max_failures = max_failures
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def challenge(
        self, entity: EntityRef, script: Script, actor: Actor
    ) -> ProximityChallenge | None:
        """Return what an actor has to answer to start a script; None where its door is closed, or
        nothing can be asked."""
        try:
            self._refuse_closed(_door_of(actor))
            return await self._challenge(_presence(entity, script, actor))
        except (ProximityClosed, ProximityUnavailable) as error:
            _log.debug('no challenge for %s: %s', actor, error)
            return None

    def check_open(self, script: Script, actor: Actor) -> None:
        """Return where a proof of an actor's would be looked at; ProximityClosed."""
        self._refuse_closed(_door_of(actor))

    async def check(self, entity: EntityRef, script: Script, proof: Proof) -> None:
        """Return where the proof holds; see `ProximityCheck.check`."""
        presence, door = _presence(entity, script, proof.by), _door_of(proof.by)
        if proof.response is None:
            self._refuse_closed(door)
            raise ProximityNeeded(script.id, await self._challenge(presence))
        # One after the other: who tries many at once has no more tries.
        async with self._turns.setdefault(door, asyncio.Lock()):
            self._refuse_closed(door)
            response = proof.response
            if await self._asked(lambda: self._verifier.verify(presence, response)) is True:
                self._failures.pop(door, None)
                return
            tries_left = self._note_failure(door)
        _log.warning('a proof of proximity of %s for script %s is refused', proof.by, script.id)
        raise ProximityRefused(script.id, tries_left)

    async def _challenge(self, presence: Presence) -> ProximityChallenge:
        async def ask() -> ProximityChallenge:
            asked = await self._verifier.challenge(presence)
            valid = datetime.timedelta(seconds=asked.valid_sec)
            return ProximityChallenge(
                challenge=str(asked.challenge), valid_until=self._clock.now() + valid
            )

        return await self._asked(ask)

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return a verifier's word; what goes wrong with it is ProximityUnavailable."""
        try:
            async with asyncio.timeout(DEADLINE_SEC):
                return await ask()
        except (ProximityClosed, ProximityUnavailable):
            raise
        except TimeoutError as error:
            raise ProximityUnavailable(
                'the verifier', f'does not answer within {DEADLINE_SEC:g} s'
            ) from error
        except Exception as error:
            # It is the site's own, and may raise anything.
            _log.exception('the verifier of proximity failed')
            raise ProximityUnavailable('the verifier', 'failed; the log tells how') from error

    def _refuse_closed(self, door: str) -> None:
        known = self._failures.get(door)
        closed_sec = 0.0 if known is None else known.opens_at - self._clock.monotonic()
        if closed_sec > 0:
            raise ProximityClosed(f'{self._max_failures} were refused', closed_sec)

    def _note_failure(self, door: str) -> int:
        """Count a failure; return how many tries are left."""
        now = self._clock.monotonic()
        known = self._failures.get(door)
        if known is None or known.forgotten_at <= now:
            known = self._failures[door] = _Failures()
        self._failures.move_to_end(door)
        known.count += 1
        known.forgotten_at = now + FORGOTTEN_SEC
        if known.count >= self._max_failures:
            known.closings += 1
            closed_sec = min(FIRST_CLOSED_SEC * 2 ** (known.closings - 1), LONGEST_CLOSED_SEC)
            known.opens_at = now + closed_sec
            known.forgotten_at = known.opens_at + FORGOTTEN_SEC
            known.count = 0
        if len(self._failures) > MAX_CLIENTS:
            self._failures.popitem(last=False)
        return 0 if known.opens_at > now else self._max_failures - known.count


def _presence(entity: EntityRef, script: Script, actor: Actor) -> Presence:
    return Presence(
        entity=entity.path,
        script_id=script.id,
        script_name=script.name,
        client=actor.origin if actor.name is None else actor.name,
        client_id=actor.client_id,
    )


def _door_of(actor: Actor) -> str:
    """Return whose failures are counted together: a client can call itself as it likes."""
    return f'address {network_of(actor.origin)}' if actor.name is None else f'name {actor.name}'
