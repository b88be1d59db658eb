# SPDX-License-Identifier: Apache-2.0
"""Who changes something: every change has an actor, and nothing changes without one."""

from dataclasses import dataclass
import enum


class Role(enum.Enum):
    """What an actor may do; each may do what those before it may."""

    VIEWER = 'viewer'
    """Looks, and changes nothing."""
    OPERATOR = 'operator'
    """Starts and stops executions."""
    CONFIGURATOR = 'configurator'
    """Uploads, replaces and deletes scripts."""
    ADMIN = 'admin'
    """Does everything, to what belongs to others too."""


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who changes something, and from where."""

    name: str | None
    """None where nobody was authenticated, and for the gateway itself."""
    role: Role
    origin: str
    """The address of a client, or `gateway`."""

    def __str__(self) -> str:
        """Return who it is, for a person."""
        return self.origin if self.name is None else f'{self.name}@{self.origin}'


GATEWAY = Actor(name=None, role=Role.ADMIN, origin='gateway')
"""The gateway itself: it starts what is due, ends what ran out of time, forgets what is old."""
