# SPDX-License-Identifier: Apache-2.0
"""Proofs of proximity by codes: who is beside the robot reads there what to answer."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
import hashlib
import hmac
import json
import logging
import secrets
from typing import Protocol

from gateway_node.access.proximity_verifier import Challenge, Presence
from gateway_node.clock import Clock
from gateway_node.executions.proximity import ProximityClosed, ProximityUnavailable
from gateway_node.to_the_end import ToTheEnd

_log = logging.getLogger(__name__)

MAX_CODES = 100
"""That are valid at a time; each was shown beside the robot."""
MAX_CODES_OF_CLIENT = 10


class CodeDisplay(Protocol):
    """Shows codes where only who is beside the robot sees, or hears, them."""

    async def show(self, message: str) -> None:
        """Show a code, told as a JSON object; return once it is. ProximityUnavailable."""


@dataclass(frozen=True, kw_only=True)
class _Code:
    challenge: str
    digest: bytes
    expires_at: float
    """By the monotonic clock."""


class OneTimeCodes:
    """A ProximityVerifier; it keeps codes hashed, in memory."""

    def __init__(
        self, displays: Sequence[CodeDisplay], clock: Clock, *, digits: int, valid_sec: float
    ) -> None:
        """Take where codes are shown: on each of the displays that can, one at least."""
        self._displays = tuple(displays)
        self._clock = clock
        self._digits = digits
        self._valid_sec = valid_sec
        self._codes: dict[Presence, _Code] = {}
        self._showing = asyncio.Lock()
        self._to_the_end = ToTheEnd()

    async def challenge(self, presence: Presence) -> Challenge:
        """Return the challenge whose code is valid, else that of a new one, once that is shown.

        Raises:
            ProximityUnavailable: it cannot be shown.
            ProximityClosed: so many are valid that no other is made.
        """
        code = self._valid(presence)
        if code is None:
            # What is shown is valid although who asked has gone, and asks again.
            code = await self._to_the_end.run('show a code', self._show(presence))
        left_sec = code.expires_at - self._clock.monotonic()
        return Challenge(challenge=code.challenge, valid_sec=left_sec)

    async def verify(self, presence: Presence, response: str) -> bool:
        """Tell whether a response is the code of this very presence; it then never is again."""
        code = self._valid(presence)
        if code is None or not hmac.compare_digest(
            code.digest, _digest(code.challenge, response.strip())
        ):
            return False
        del self._codes[presence]
        return True

    async def _show(self, presence: Presence) -> _Code:
        async with self._showing:  # one after the other: a display has room for one
            code = self._valid(presence)
            if code is not None:
                return code
            self._refuse_many(presence)
            # 32 bits tell who reads it which request it belongs to.
            challenge = secrets.token_hex(4)
            digits = ''.join(secrets.choice('0123456789') for _ in range(self._digits))
            message = self._message(presence, challenge, digits)
            await self._display(message)
            code = _Code(
                challenge=challenge,
                digest=_digest(challenge, digits),
                expires_at=self._clock.monotonic() + self._valid_sec,
            )
            self._codes[presence] = code
            return code

    async def _display(self, message: str) -> None:
        """Show it on all displays; where none of them does, raise why the last one does not."""
        refusals = []
        for display in self._displays:
            try:
                await display.show(message)
            except ProximityUnavailable as error:
                _log.warning('%s', error)
                refusals.append(error)
        if len(refusals) == len(self._displays):
            raise refusals[-1]

    def _valid(self, presence: Presence) -> _Code | None:
        code = self._codes.get(presence)
        if code is not None and code.expires_at <= self._clock.monotonic():
            del self._codes[presence]
            return None
        return code

    def _refuse_many(self, presence: Presence) -> None:
        for each in tuple(self._codes):
            self._valid(each)
        of_client = sum(each.client == presence.client for each in self._codes)
        if of_client >= MAX_CODES_OF_CLIENT or len(self._codes) >= MAX_CODES:
            next_sec = min(each.expires_at for each in self._codes.values())
            raise ProximityClosed(
                f'{len(self._codes)} challenges are valid, {of_client} of them of this client; '
                f'allowed: {MAX_CODES}, {MAX_CODES_OF_CLIENT} of one client',
                next_sec - self._clock.monotonic(),
            )

    def _message(self, presence: Presence, challenge: str, digits: str) -> str:
        told = {
            'code': digits,
            'challenge': challenge,
            'valid_sec': self._valid_sec,
            'entity': presence.entity,
            'script': {'id': presence.script_id, 'name': presence.script_name},
            'client': presence.client,
            'client_id': presence.client_id,
        }
        return json.dumps(told, ensure_ascii=False)


def _digest(challenge: str, digits: str) -> bytes:
    return hashlib.sha256(f'{challenge}:{digits}'.encode()).digest()
