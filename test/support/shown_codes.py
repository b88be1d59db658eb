# SPDX-License-Identifier: Apache-2.0
"""A display of one-time codes, for who is beside the robot: the test."""

import asyncio
import json
from typing import Any

from gateway_node.access.one_time_codes import OneTimeCodes
from gateway_node.access.proximity_verifier import Presence
from gateway_node.access.verified_proximity import VerifiedProximity
from gateway_node.clock import Clock
from gateway_node.executions.proximity import ProximityUnavailable


class RecordingDisplay:
    """A CodeDisplay that keeps what it showed."""

    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []
        self.refusal: ProximityUnavailable | None = None
        self.go_on = asyncio.Event()
        """Cleared, it holds up what is to be shown."""
        self.go_on.set()

    async def show(self, message: str) -> None:
        """Keep it."""
        await self.go_on.wait()
        if self.refusal is not None:
            raise self.refusal
        self.shown.append(json.loads(message))

    @property
    def code(self) -> str:
        """The one that was shown last."""
        return str(self.shown[-1]['code'])

    @property
    def wrong(self) -> str:
        """What that is not, and was not before."""
        past = {each['code'] for each in self.shown}
        return next(each for each in map('{:06}'.format, range(10**6)) if each not in past)

    def proximity(self, clock: Clock) -> VerifiedProximity:
        """Return a check by codes that are shown here."""
        codes = OneTimeCodes([self], clock, digits=6, valid_sec=120)
        return VerifiedProximity(codes, clock, max_failures=5)


def presence(
    script_id: str = 'check',
    *,
    entity: str = 'apps/arm',
    client: str = 'anna',
    client_id: str | None = None,
) -> Presence:
    """Return what is to be proven."""
    return Presence(
        entity=entity, script_id=script_id, script_name='Check', client=client, client_id=client_id
    )
