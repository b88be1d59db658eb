# SPDX-License-Identifier: Apache-2.0
"""What the core knows of proofs of proximity: who gives one, the port that checks it, and why a
start is refused.

A script whose metadata say so is started only for who is beside the robot, at that moment: what
waits, or is to start later, was never proven.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import datetime
import math
from typing import Any, Protocol

from gateway_node.clock import rfc3339
from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor
from gateway_node.executions.errors import FeatureNotAvailable
from gateway_node.scripts.values import Script
from gateway_node.violations import Violation


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What a start says of being beside the robot."""

    by: Actor
    response: str | None = field(repr=False)
    """None where it says nothing."""


@dataclass(frozen=True, kw_only=True)
class ProximityChallenge:
    """What is to be answered by who stands beside the robot."""

    challenge: str
    valid_until: datetime.datetime
    """By the wall clock, to be shown; it is measured by another."""

    def document(self) -> dict[str, Any]:
        """Return it as clients see it."""
        return {'challenge': self.challenge, 'valid_until': rfc3339(self.valid_until)}


class ProximityCheck(Protocol):
    """Knows who is beside the robot."""

    async def challenge(
        self, entity: EntityRef, script: Script, actor: Actor
    ) -> ProximityChallenge | None:
        """Return what an actor has to answer to start a script; None where there is nothing to
        answer at the moment."""

    def check_open(self, script: Script, actor: Actor) -> None:
        """Return where an actor's proof would be looked at; nothing is used up, or shown.

        Raises:
            ProximityNotAvailable, ProximityClosed: as their names say.
        """

    async def check(self, entity: EntityRef, script: Script, proof: Proof) -> None:
        """Return where the proof holds, which it does once.

        Raises:
            ProximityNotAvailable, ProximityUnavailable, ProximityNeeded, ProximityRefused,
            ProximityClosed: as their names say.
        """


class NoProximityCheck:
    """The check of a gateway that is told of none."""

    async def challenge(self, entity: EntityRef, script: Script, actor: Actor) -> None:
        """Return None: nothing that could be answered would be taken."""

    def check_open(self, script: Script, actor: Actor) -> None:
        """Raise ProximityNotAvailable."""
        raise ProximityNotAvailable(script.id)

    async def check(self, entity: EntityRef, script: Script, proof: Proof) -> None:
        """Raise ProximityNotAvailable."""
        raise ProximityNotAvailable(script.id)


class ProximityNotAvailable(FeatureNotAvailable):
    """Nothing here checks a proof of proximity."""

    def __init__(self, script_id: str) -> None:
        super().__init__(
            f'script {script_id!r} requires a proof of proximity, and nothing here checks one; '
            'set proximity.command, proximity.topic or proximity.verifier'
        )
        self.script_id = script_id


class ProximityNeeded(Exception):
    """A proof of proximity is required, and none was given: `parameters` have the challenge."""

    def __init__(self, script_id: str, challenge: ProximityChallenge) -> None:
        super().__init__(
            f'script {script_id!r} requires a proof of proximity: answer the challenge with '
            '"proximity_response"'
        )
        self.script_id = script_id
        self.told: Mapping[str, Any] = {'proximity_challenge': challenge.document()}


class ProximityRefused(Exception):
    """The proof of proximity does not hold: it is wrong, expired, used already, or for another
    script or client."""

    def __init__(self, script_id: str, tries_left: int) -> None:
        super().__init__(
            f'the proximity_response proves nothing for script {script_id!r}: it is wrong, '
            f'expired, used already, or for another script or client; tries left: {tries_left}'
        )
        self.script_id = script_id
        self.tries_left = tries_left


class ProximityClosed(Exception):
    """No proof of proximity is taken from this client for a while."""

    def __init__(self, reason: str, retry_after_sec: float) -> None:
        super().__init__(f'no proof of proximity is taken at the moment: {reason}')
        self.retry_after_sec = retry_after_sec

    @property
    def headers(self) -> dict[str, str]:
        """What says when to try again (RFC 9110, section 10.2.3)."""
        return {'Retry-After': str(max(1, math.ceil(self.retry_after_sec)))}


class ProximityUnavailable(Exception):
    """What shows or checks proofs of proximity does not work at the moment."""

    def __init__(self, what: str, reason: str) -> None:
        """Take what it is, and a `reason` that continues a sentence about it."""
        super().__init__(f'proximity cannot be proven at the moment: {what} {reason}')
        self.what = what


class StartUnattended(Exception):
    """A script that requires a proof of proximity is started by who stands there: neither by a
    schedule nor by a trigger, nor on several entities, nor among many."""

    def __init__(self, path: str, reason: str) -> None:
        """Take where the request says otherwise, and a `reason` that continues a sentence."""
        super().__init__(f'{path.rpartition("/")[2]} {reason}')
        self.violations = (Violation(path=path, reason=reason),)

    @classmethod
    def by_schedule(cls, script_id: str) -> 'StartUnattended':
        """Return the refusal of a schedule."""
        reason = (
            f'would start script {script_id!r}, which requires a proof of proximity, when nobody '
            "stands there; allowed: 'now'"
        )
        return cls('/body/execution_type', reason)

    @classmethod
    def by_trigger(cls, script_id: str) -> 'StartUnattended':
        """Return the refusal of an instance that triggers would start."""
        reason = (
            f'would start script {script_id!r}, which requires a proof of proximity, when nobody '
            'stands there; allowed: none, and a start by hand'
        )
        return cls('/start_triggers', reason)

    @classmethod
    def among_many(cls, script_id: str) -> 'StartUnattended':
        """Return the refusal of one of many that are started again."""
        reason = (
            f'would start script {script_id!r}, which requires a proof of proximity, among many; '
            'start it again by itself'
        )
        return cls('/body/action', reason)

    @classmethod
    def on_several(cls, entities: Sequence[str]) -> 'StartUnattended':
        """Return the refusal of a group, of which these entities' script requires a proof."""
        reason = (
            f'has entities whose script requires a proof of proximity: {", ".join(entities)}; '
            'start it on each by itself'
        )
        return cls('/body/entities', reason)
