# SPDX-License-Identifier: Apache-2.0
"""A check of proximity that takes one word, as often as it is said."""

import datetime

from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor
from gateway_node.executions.proximity import (
    Proof,
    ProximityChallenge,
    ProximityNeeded,
    ProximityRefused,
)
from gateway_node.scripts.values import Script

CHALLENGE = ProximityChallenge(
    challenge='say it', valid_until=datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
)


class FakeProximityCheck:
    """A ProximityCheck."""

    def __init__(self) -> None:
        self.word = 'here'
        self.checked: list[tuple[EntityRef, str, Proof]] = []
        """What was to be checked, in order."""

    async def challenge(
        self, entity: EntityRef, script: Script, actor: Actor
    ) -> ProximityChallenge:
        """Return the only one."""
        return CHALLENGE

    def check_open(self, script: Script, actor: Actor) -> None:
        """Return: nobody is ever refused for long."""

    async def check(self, entity: EntityRef, script: Script, proof: Proof) -> None:
        """Return where the word was said."""
        self.checked.append((entity, script.id, proof))
        if proof.response is None:
            raise ProximityNeeded(script.id, CHALLENGE)
        if proof.response != self.word:
            raise ProximityRefused(script.id, 1)
