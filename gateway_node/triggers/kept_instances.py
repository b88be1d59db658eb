# SPDX-License-Identifier: Apache-2.0
"""What earlier gateways kept of instances, as it is read."""

import logging

from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.scripts.errors import InstanceRefused
from gateway_node.triggers.instance_documents import kept_instance, Switch
from gateway_node.triggers.ports import InstanceStore
from gateway_node.triggers.values import Instance

_log = logging.getLogger(__name__)

_DAMAGE = (InstanceRefused, LookupError, TypeError, ValueError, AttributeError)


class KeptInstances:
    """Reads them, and knows which cannot be read: another version of the gateway may."""

    def __init__(self, store: InstanceStore) -> None:
        self._store = store
        self._unread: set[InstanceRef] = set()

    async def read(self) -> list[Instance | Switch]:
        """Return all that can be read, in the order of their subjects; StoreUnavailable."""
        found: list[Instance | Switch] = []
        for kept in await self._store.instances():
            try:
                found.append(kept_instance(kept))
            except _DAMAGE as error:
                _log.error('%s cannot be read, and does nothing: %s', kept.ref.subject, error)
                self._unread.add(kept.ref)
        return found

    def kept_anew(self, ref: InstanceRef) -> None:
        """Take that an instance was recorded, in place of what may be damaged."""
        self._unread.discard(ref)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong, in sentences."""
        return tuple(f'{ref.subject} cannot be read, and does nothing' for ref in self._unread)
