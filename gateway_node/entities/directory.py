# SPDX-License-Identifier: Apache-2.0
"""The directory of entities: what the graph and the manifest say, under ids that stay.

It is fed with snapshots on the event loop and asked there; it is not thread-safe.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from gateway_node.clock import Clock
from gateway_node.entities.entities_manifest import EntitiesManifest
from gateway_node.entities.errors import AreaNotFound, EntityNotFound, FunctionNotFound
from gateway_node.entities.host import HOST_HOLDER, host_id
from gateway_node.entities.identities import Identity, IdentityBook
from gateway_node.entities.names import id_from_name
from gateway_node.entities.values import (
    App,
    Area,
    Component,
    ComponentKind,
    EntityRef,
    EntityType,
    Function,
    GraphSnapshot,
    NodeName,
)


class EntityDirectory:
    """Apps, components, areas and functions, as of the last snapshot."""

    def __init__(
        self,
        *,
        host_name: str,
        own_node: NodeName,
        clock: Clock,
        is_held: Callable[[EntityRef], bool],
        manifest: EntitiesManifest | None = None,
        ignored_nodes: Sequence[str] = (),
        remembered: Sequence[Identity] = (),
        used_components: Sequence[str] = (),
    ) -> None:
        """Begin with an empty graph.

        `is_held` tells whether something hangs on an entity, which keeps its id; `own_node` is
        the gateway's node and no app, as are nodes that `ignored_nodes` choose: globs over their
        names, or, with a slash, over their fully qualified names. For `used_components`, and for
        what is raised, see `host.host_id`.
        """
        manifest = manifest or EntitiesManifest()
        self._host_name = host_name
        self._own_node = own_node
        self._ignored_nodes = tuple(ignored_nodes)
        self._manifest = manifest
        declared = frozenset(declaration.id for declaration in manifest.components)
        wish = host_id(host_name, declared, remembered, used_components)
        self._book = IdentityBook(
            is_held=is_held,
            monotonic=clock.monotonic,
            reserved=[_component_ref(entity_id) for entity_id in declared],
            remembered=remembered,
        )
        self._host_id = self._see_host(wish)
        self._apps: dict[str, App] = {}
        self._components: dict[str, Component] = {}
        self._present: set[NodeName] = set()
        self._updated = asyncio.Event()
        # Nothing is forgotten yet: what is held may not be known before the gateway is assembled.
        self._rebuild(self._present)

    def update(self, snapshot: GraphSnapshot) -> None:
        """Take the graph as it is now: new nodes get ids, gone ones go offline."""
        nodes = {node for node in snapshot.nodes if self._is_app(node)}
        self._forget()
        self._see(nodes)
        self._present = nodes
        self._rebuild(nodes)
        self._updated.set()

    def forget_stale(self) -> None:
        """Let go of ids that nobody needs any more, and count how long holders are away.

        To be called now and then, as a graph may stay as it is for long, and before `identities`
        are kept for a further life.
        """
        if self._forget():
            self._rebuild(self._present)

    async def wait_online(self, ref: EntityRef) -> None:
        """Wait until an entity is there and online."""
        while not self._is_online(ref):
            self._updated.clear()
            await self._updated.wait()

    def identities(self) -> tuple[Identity, ...]:
        """Return every remembered pair of id and holder, as of the last graph or forgetting."""
        return tuple(self._book)

    def apps(self) -> tuple[App, ...]:
        """Return all apps, by id, the offline ones included."""
        return tuple(self._apps[app_id] for app_id in sorted(self._apps))

    @property
    def any_online(self) -> bool:
        """True while an app is online."""
        return any(app.online for app in self._apps.values())

    def app(self, app_id: str) -> App:
        """Return one app; EntityNotFound."""
        try:
            return self._apps[app_id]
        except KeyError:
            ref = EntityRef(entity_type=EntityType.APP, entity_id=app_id)
            raise EntityNotFound(ref) from None

    def components(self) -> tuple[Component, ...]:
        """Return all components: the host, the declared ones, the namespaces by id."""
        return tuple(self._components.values())

    def component(self, component_id: str) -> Component:
        """Return one component; EntityNotFound."""
        try:
            return self._components[component_id]
        except KeyError:
            raise EntityNotFound(_component_ref(component_id)) from None

    def entity(self, ref: EntityRef) -> App | Component:
        """Return the app or component of this reference; EntityNotFound."""
        if ref.entity_type is EntityType.APP:
            return self.app(ref.entity_id)
        return self.component(ref.entity_id)

    def component_of(self, ref: EntityRef) -> str:
        """Return the id of the component that an entity is, or is located on; EntityNotFound."""
        entity = self.entity(ref)
        return entity.component_id if isinstance(entity, App) else entity.id

    def areas(self) -> tuple[Area, ...]:
        """Return all areas, by id."""
        ids = sorted({area_id for c in self._components.values() if (area_id := c.area_id)})
        return tuple(self.area(area_id) for area_id in ids)

    def area(self, area_id: str) -> Area:
        """Return one area; AreaNotFound."""
        components = tuple(c.id for c in self._components.values() if c.area_id == area_id)
        if not components:
            raise AreaNotFound(area_id)
        return Area(id=area_id, name=area_id, component_ids=components)

    def functions(self) -> tuple[Function, ...]:
        """Return all declared functions, in the manifest's order."""
        return tuple(
            Function(
                id=declaration.id,
                name=declaration.name,
                description=declaration.description,
                app_ids=tuple(a.id for a in self.apps() if declaration.chooses(a.node)),
            )
            for declaration in self._manifest.functions
        )

    def function(self, function_id: str) -> Function:
        """Return one function; FunctionNotFound."""
        for function in self.functions():
            if function.id == function_id:
                return function
        raise FunctionNotFound(function_id)

    def _is_app(self, node: NodeName) -> bool:
        if node.hidden or node == self._own_node:
            return False
        return not any(
            fnmatchcase(node.fully_qualified_name if '/' in glob else node.name, glob)
            for glob in self._ignored_nodes
        )

    def _is_online(self, ref: EntityRef) -> bool:
        try:
            return self.entity(ref).online
        except EntityNotFound:
            return False

    def _forget(self) -> bool:
        self._book.count_unseen()
        # Graphs come when something changes: what the last one held was there until now.
        self._see(self._present)
        return self._book.forget_stale()

    def _see_host(self, wish: str) -> str:
        host = self._book.seen(EntityType.COMPONENT, HOST_HOLDER, [wish])
        return host.ref.entity_id

    def _see(self, nodes: set[NodeName]) -> None:
        self._see_host(self._host_id)
        for node in sorted(nodes):
            self._book.seen(EntityType.APP, node.fully_qualified_name, _app_wishes(node))
        for namespace in sorted({node.namespace for node in nodes} - {'/'}):
            wish = id_from_name('_'.join(namespace.strip('/').split('/')))
            self._book.seen(EntityType.COMPONENT, namespace, [wish])

    def _rebuild(self, online: set[NodeName]) -> None:
        namespaces = {
            identity.holder: identity.ref.entity_id
            for identity in self._book
            if identity.ref.entity_type is EntityType.COMPONENT and identity.holder != HOST_HOLDER
        }
        apps = {}
        for identity in self._book:
            if identity.ref.entity_type is EntityType.APP:
                node = _node_name(identity.holder)
                apps[identity.ref.entity_id] = App(
                    id=identity.ref.entity_id,
                    node=node,
                    online=node in online,
                    component_id=self._location(node, namespaces),
                    area_id=node.segments[0] if node.segments else None,
                )
        self._apps = apps
        self._components = {
            component.id: component
            for component in (
                self._host(),
                *self._declared(),
                *self._namespace_components(namespaces, online),
            )
        }

    def _location(self, node: NodeName, namespaces: dict[str, str]) -> str:
        for declaration in self._manifest.components:
            if declaration.chooses(node):
                return declaration.id
        return namespaces.get(node.namespace, self._host_id)

    def _host(self) -> Component:
        return Component(
            id=self._host_id,
            name=self._host_name,
            kind=ComponentKind.HOST,
            app_ids=tuple(sorted(self._apps)),
            online=True,
            description='The host that this gateway runs on',
        )

    def _declared(self) -> Iterable[Component]:
        for declaration in self._manifest.components:
            app_ids = self._located_on(declaration.id)
            areas = {self._apps[app_id].area_id for app_id in app_ids}
            yield Component(
                id=declaration.id,
                name=declaration.name,
                kind=ComponentKind.MANIFEST,
                app_ids=app_ids,
                online=True,
                description=declaration.description,
                area_id=areas.pop() if len(areas) == 1 else None,
            )

    def _namespace_components(
        self, namespaces: dict[str, str], online: set[NodeName]
    ) -> Iterable[Component]:
        present = {node.namespace for node in online}
        for namespace, component_id in sorted(namespaces.items(), key=lambda pair: pair[1]):
            yield Component(
                id=component_id,
                name=namespace,
                kind=ComponentKind.NAMESPACE,
                app_ids=self._located_on(component_id),
                online=namespace in present,
                namespace=namespace,
                area_id=namespace.split('/')[1],
            )

    def _located_on(self, component_id: str) -> tuple[str, ...]:
        return tuple(
            app_id
            for app_id in sorted(self._apps)
            if self._apps[app_id].component_id == component_id
        )


def _component_ref(component_id: str) -> EntityRef:
    return EntityRef(entity_type=EntityType.COMPONENT, entity_id=component_id)


def _app_wishes(node: NodeName) -> tuple[str, ...]:
    return (node.name, '_'.join((*node.segments, node.name)))


def _node_name(fully_qualified_name: str) -> NodeName:
    namespace, _, name = fully_qualified_name.rpartition('/')
    return NodeName(namespace=namespace or '/', name=name)
