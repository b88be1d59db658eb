# SPDX-License-Identifier: Apache-2.0
"""Who changes something: every change has an actor, and nothing changes without one."""

from dataclasses import dataclass
import enum

from gateway_node.executions.scopes import EVERYTHING, Scope


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

    def includes(self, other: 'Role') -> bool:
        """Tell whether who has this role may do what that one may."""
        return _ORDER[self] >= _ORDER[other]


_ORDER = {role: place for place, role in enumerate(Role)}


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who changes something, and from where."""

    name: str | None
    """None where nobody was authenticated, and for the gateway itself."""
    role: Role
    origin: str
    """The address of a client, or `gateway`."""
    scope: Scope = EVERYTHING
    """What of the robot it may see and change; like what follows, not on record."""
    client_id: str | None = None
    """What a client calls itself (`X-Client-Id`): tells apart who shares a name, and proves
    nothing."""
    execution: str | None = None
    """The id of the execution whose script acts, with the rights of who started it."""

    @property
    def is_stranger(self) -> bool:
        """Whether nobody knows who it is, where that is asked: what is open to all is for it."""
        return self.name is None and self.role is Role.VIEWER

    def __str__(self) -> str:
        """Return who it is, for a person."""
        return self.origin if self.name is None else f'{self.name}@{self.origin}'


GATEWAY = Actor(name=None, role=Role.ADMIN, origin='gateway')
"""The gateway itself: it starts what is due, ends what ran out of time, forgets what is old."""
