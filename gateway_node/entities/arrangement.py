# SPDX-License-Identifier: Apache-2.0
"""Which apps and components there are, and which app is located where. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from gateway_node.entities.entities_manifest import EntitiesManifest
from gateway_node.entities.host import HOST_HOLDER
from gateway_node.entities.identities import Identity
from gateway_node.entities.names import RESERVED_IDS
from gateway_node.entities.values import App, Component, ComponentKind, EntityType, NodeName


class Arrangement:
    """All apps and components that the pairs of ids and holders stand for; the host is one."""

    def __init__(
        self,
        identities: Collection[Identity],
        manifest: EntitiesManifest,
        online: Collection[NodeName],
        host_name: str,
    ) -> None:
        self._manifest = manifest
        self._online = online
        components = [each for each in identities if each.ref.entity_type is EntityType.COMPONENT]
        self._once_declared = [each.ref.entity_id for each in components if each.declared]
        self._namespaces = {
            each.holder: each.ref.entity_id for each in components if not each.declared
        }
        self._host_id = self._namespaces.pop(HOST_HOLDER)
        self.apps: Mapping[str, App] = {
            each.ref.entity_id: self._app(each)
            for each in identities
            if each.ref.entity_type is EntityType.APP
        }
        """By id, in the order of the pairs."""
        self._app_ids_on: dict[str, list[str]] = defaultdict(list)
        for app_id in sorted(self.apps):
            self._app_ids_on[self.apps[app_id].component_id].append(app_id)
        self.components: Mapping[str, Component] = {
            component.id: component
            for component in (
                self._host(host_name),
                *self._declared(),
                *self._declared_no_more(),
                *self._of_namespaces(),
            )
        }
        """By id: the host, the declared ones in the manifest's order, those that were declared,
        the namespaces by id."""

    def _app(self, identity: Identity) -> App:
        namespace, _, name = identity.holder.rpartition('/')
        node = NodeName(namespace=namespace or '/', name=name)
        return App(
            id=identity.ref.entity_id,
            node=node,
            online=node in self._online,
            component_id=self._location(node),
            area_id=_area_id(node.segments[0]) if node.segments else None,
        )

    def _location(self, node: NodeName) -> str:
        for declaration in self._manifest.components:
            if declaration.chooses(node):
                return declaration.id
        return self._namespaces.get(node.namespace, self._host_id)

    def _host(self, host_name: str) -> Component:
        return Component(
            id=self._host_id,
            name=host_name,
            kind=ComponentKind.HOST,
            app_ids=tuple(sorted(self.apps)),
            online=True,
            description='The host that this gateway runs on',
        )

    def _declared(self) -> Iterator[Component]:
        for declaration in self._manifest.components:
            app_ids = self._located_on(declaration.id)
            areas = {self.apps[app_id].area_id for app_id in app_ids}
            yield Component(
                id=declaration.id,
                name=declaration.name,
                kind=ComponentKind.MANIFEST,
                app_ids=app_ids,
                online=True,
                description=declaration.description,
                area_id=areas.pop() if len(areas) == 1 else None,
            )

    def _declared_no_more(self) -> Iterator[Component]:
        declared = {declaration.id for declaration in self._manifest.components}
        for component_id in sorted(set(self._once_declared) - declared):
            yield Component(
                id=component_id,
                name=component_id,
                kind=ComponentKind.MANIFEST,
                app_ids=(),
                online=False,
            )

    def _of_namespaces(self) -> Iterator[Component]:
        present = {node.namespace for node in self._online}
        for namespace, component_id in sorted(self._namespaces.items(), key=lambda pair: pair[1]):
            yield Component(
                id=component_id,
                name=namespace,
                kind=ComponentKind.NAMESPACE,
                app_ids=self._located_on(component_id),
                online=namespace in present,
                namespace=namespace,
                area_id=_area_id(namespace.split('/')[1]),
            )

    def _located_on(self, component_id: str) -> tuple[str, ...]:
        return tuple(self._app_ids_on.get(component_id, ()))


def _area_id(segment: str) -> str:
    """Return the id of an area; no name of ROS has a hyphen, so that it is no other segment's."""
    return f'{segment}-area' if segment in RESERVED_IDS else segment
