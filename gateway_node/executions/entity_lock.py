# SPDX-License-Identifier: Apache-2.0
"""A lock on an entity: who holds it, on what, and for how long."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
import enum

from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor


class LockScope(enum.Enum):
    """What of an entity a lock may be on: SOVD's collections, of which this gateway has one."""

    DATA = 'data'
    """Nothing here."""
    OPERATIONS = 'operations'
    """Nothing here."""
    CONFIGURATIONS = 'configurations'
    """Nothing here."""
    FAULTS = 'faults'
    """Nothing here."""
    BULK_DATA = 'bulk-data'
    """Nothing here."""
    MODES = 'modes'
    """Nothing here."""
    SCRIPTS = 'scripts'
    """The scripts, their executions, and the line of these."""
    LOGS = 'logs'
    """Nothing here."""
    CYCLIC_SUBSCRIPTIONS = 'cyclic-subscriptions'
    """Nothing here."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a lock; it has a name of either kind."""

    name: str | None
    """As which it was authenticated, where it was."""
    client_id: str | None
    """What it calls itself; None where whoever has the name holds it."""

    def is_actor(self, actor: Actor) -> bool:
        """Tell whether this is who acts."""
        return self.name == actor.name and self.client_id in (None, actor.client_id)

    @property
    def shown(self) -> Mapping[str, str]:
        """Who it is, in JSON values."""
        names = {'name': self.name, 'client_id': self.client_id}
        return {kind: name for kind, name in names.items() if name is not None}

    def __str__(self) -> str:
        """Return who it is, for a person."""
        return ' as '.join(map(repr, self.shown.values()))


@dataclass(frozen=True, kw_only=True)
class EntityLock:
    """One lock."""

    id: str
    entity: EntityRef
    holder: Holder
    scopes: tuple[LockScope, ...]
    """None of them stands for all."""
    ends_up_sec: float
    """When it ends, by the time that all gateways on the store were up."""
    boot_id: str
    """Of the machine when it was taken: another boot ends it."""

    def is_on(self, scopes: Collection[LockScope]) -> bool:
        """Tell whether it is on one of these; none of them stands for all, too."""
        return not self.scopes or not scopes or not set(self.scopes).isdisjoint(scopes)
