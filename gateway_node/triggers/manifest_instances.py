# SPDX-License-Identifier: Apache-2.0
"""The instances that the scripts manifest declares: those of the entities that are there, and
whether somebody turned their triggers on, or off. See decision 069."""

from collections.abc import Iterable

from gateway_node.entities.values import EntityRef
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.scripts.instances import InstanceDefinition
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.values import Script
from gateway_node.triggers.instance_book import InstanceBook
from gateway_node.triggers.instance_documents import Switch
from gateway_node.triggers.values import Instance


class ManifestInstances:
    """Has them in a book as the manifest says, but for their switches, which are kept."""

    def __init__(self, book: InstanceBook, library: ScriptLibrary) -> None:
        self._book = book
        self._library = library
        self._switches: dict[InstanceRef, bool] = {}

    def know(self, switch: Switch) -> None:
        """Take that somebody turned the triggers of one on, or off."""
        self._switches[switch.ref] = switch.enabled

    def take(self, entities: Iterable[EntityRef]) -> None:
        """Have those that the manifest declares for these entities, and no others."""
        self._book.take_managed(
            {
                instance.ref: instance
                for instance in (
                    self._managed(entity, *declared)
                    for entity in entities
                    for declared in self._library.managed_instances(entity)
                )
            }
        )

    def _managed(
        self, entity: EntityRef, script: Script, definition: InstanceDefinition
    ) -> Instance:
        ref = InstanceRef(entity=entity, script_id=script.id, name=definition.name)
        return Instance(
            ref=ref,
            definition=definition,
            enabled=self._switches.get(ref, definition.enabled is not False),
            managed=True,
            confirmation=script.confirmation if definition.confirmed else None,
        )
