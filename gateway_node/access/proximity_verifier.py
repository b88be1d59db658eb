# SPDX-License-Identifier: Apache-2.0
"""The port behind which a site checks in its own way who is beside the robot.

The parameter `proximity.verifier` names what makes one: see docs/security.md.
"""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Presence:
    """What is to be proven: that a client is beside the robot, to start one script of one entity.

    Equal where a proof of the one is a proof of the other.
    """

    entity: str
    """Its path, `apps/arm_1`."""
    script_id: str
    script_name: str = field(compare=False)
    client: str
    """The name of a credential; where there is none, an address."""
    client_id: str | None
    """What the client calls itself; it proves nothing."""


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """What a client is asked."""

    challenge: str
    valid_sec: float
    """How long it is valid yet."""


class ProximityVerifier(Protocol):
    """Checks proofs. It is called on the event loop, which nothing in it may block.

    What it raises is told to the client as 503, and to the log with its traceback; so is what
    takes longer than 20 s.
    """

    async def challenge(self, presence: Presence) -> Challenge:
        """Return what is to be answered: the same as long as it is valid, however often that is
        asked."""

    async def verify(self, presence: Presence, response: str) -> bool:
        """Tell whether a response answers what was asked of this very presence.

        One that does is used up. How often somebody may try is not the verifier's to count.
        """
