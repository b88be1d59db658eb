# SPDX-License-Identifier: Apache-2.0
"""The directory of entities: what the graph and the manifest say, under ids that stay.

It is fed with snapshots on the event loop and asked there; it is not thread-safe.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
import contextlib
from fnmatch import fnmatchcase

from gateway_node.clock import Clock
from gateway_node.entities.arrangement import Arrangement
from gateway_node.entities.entities_manifest import EntitiesManifest
from gateway_node.entities.errors import AreaNotFound, EntityNotFound, FunctionNotFound
from gateway_node.entities.host import check_undeclared, HOST_HOLDER, host_id
from gateway_node.entities.identities import Identity, IdentityBook
from gateway_node.entities.names import id_from_name
from gateway_node.entities.values import (
    App,
    Area,
    Component,
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
        wish = host_id(host_name, manifest.component_ids, remembered, used_components)
        self._book = IdentityBook(
            is_held=is_held,
            monotonic=clock.monotonic,
            declared=manifest.component_ids,
            remembered=remembered,
        )
        self._host_id = self._see_host(wish)
        self._present: set[NodeName] = set()
        self._updated = asyncio.Event()
        # Nothing is forgotten yet: what is held may not be known before the gateway is assembled.
        self._rebuild()

    def update(self, snapshot: GraphSnapshot) -> None:
        """Take the graph as it is now: new nodes get ids, gone ones go offline."""
        nodes = {node for node in snapshot.nodes if self._is_app(node)}
        self._forget()
        self._see(nodes)
        self._present = nodes
        self._rebuild()
        self._updated.set()

    def check_manifest(self, manifest: EntitiesManifest) -> None:
        """Return where a manifest can be taken; ManifestInvalid where it declares the host."""
        check_undeclared(self._host_id, manifest.component_ids)

    def take_manifest(self, manifest: EntitiesManifest) -> None:
        """Have what a manifest that was checked declares from now on, and nothing else.

        A component that is declared no more stays, offline, while something hangs on it.
        """
        self._manifest = manifest
        self._book.declare(manifest.component_ids)
        self._forget()
        self._rebuild()
        self._updated.set()

    def forget_stale(self) -> None:
        """Let go of ids that nobody needs any more, and count how long holders are away.

        To be called now and then, as a graph may stay as it is for long, and before `identities`
        are kept for a further life.
        """
        if self._forget():
            self._rebuild()

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
        return tuple(self._arrangement.apps[app_id] for app_id in sorted(self._arrangement.apps))

    @property
    def any_online(self) -> bool:
        """True while an app is online."""
        return any(app.online for app in self._arrangement.apps.values())

    def app(self, app_id: str) -> App:
        """Return one app; EntityNotFound."""
        try:
            return self._arrangement.apps[app_id]
        except KeyError:
            ref = EntityRef(entity_type=EntityType.APP, entity_id=app_id)
            raise EntityNotFound(ref) from None

    def node_of(self, ref: EntityRef) -> NodeName | None:
        """Return the node of an app, gone or not; None for what is no app, or not known."""
        app = self._arrangement.apps.get(ref.entity_id)
        return app.node if app is not None and app.ref == ref else None

    def online_apps(self, nodes: Collection[NodeName]) -> tuple[EntityRef, ...]:
        """Return the apps of these nodes, by id, as far as they are online."""
        return tuple(app.ref for app in self.apps() if app.online and app.node in nodes)

    def components(self) -> tuple[Component, ...]:
        """Return all components, in the order of `Arrangement.components`."""
        return tuple(self._arrangement.components.values())

    def host(self) -> EntityRef:
        """Return the host component."""
        return _component_ref(self._host_id)

    def component(self, component_id: str) -> Component:
        """Return one component; EntityNotFound."""
        try:
            return self._arrangement.components[component_id]
        except KeyError:
            raise EntityNotFound(_component_ref(component_id)) from None

    def entity(self, ref: EntityRef) -> App | Component:
        """Return the app or component of this reference; EntityNotFound."""
        if ref.entity_type is EntityType.APP:
            return self.app(ref.entity_id)
        return self.component(ref.entity_id)

    def refs(self) -> tuple[EntityRef, ...]:
        """Return all entities that carry scripts: the apps, then the components."""
        apps = (app.ref for app in self.apps())
        return (*apps, *(component.ref for component in self.components()))

    def component_of(self, ref: EntityRef) -> str:
        """Return the id of the component that an entity is, or is located on; EntityNotFound."""
        entity = self.entity(ref)
        return entity.component_id if isinstance(entity, App) else entity.id

    def holding(self, ref: EntityRef) -> tuple[EntityRef, ...]:
        """Return the entities that an entity is a part of: itself, the component that it is
        located on, and the host; known or not."""
        with contextlib.suppress(EntityNotFound):
            return tuple(dict.fromkeys((ref, _component_ref(self.component_of(ref)), self.host())))
        return tuple(dict.fromkeys((ref, self.host())))

    def areas(self) -> tuple[Area, ...]:
        """Return all areas, by id."""
        ids = sorted(
            {area_id for c in self._arrangement.components.values() if (area_id := c.area_id)}
        )
        return tuple(self.area(area_id) for area_id in ids)

    def area(self, area_id: str) -> Area:
        """Return one area; AreaNotFound."""
        components = tuple(
            c.id for c in self._arrangement.components.values() if c.area_id == area_id
        )
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
        forgotten = self._book.forget_stale()
        if forgotten:
            # Who is there has lost an id that nobody may have, and gets another one.
            self._see(self._present)
        return forgotten

    def _see_host(self, wish: str) -> str:
        host = self._book.seen(EntityType.COMPONENT, HOST_HOLDER, [wish])
        return host.ref.entity_id

    def _see(self, nodes: set[NodeName]) -> None:
        self._host_id = self._see_host(self._host_id)
        for node in sorted(nodes):
            self._book.seen(EntityType.APP, node.fully_qualified_name, _app_wishes(node))
        for namespace in sorted({node.namespace for node in nodes} - {'/'}):
            wish = id_from_name('_'.join(namespace.strip('/').split('/')))
            self._book.seen(EntityType.COMPONENT, namespace, [wish])

    def _rebuild(self) -> None:
        self._arrangement = Arrangement(
            tuple(self._book), self._manifest, self._present, self._host_name
        )


def _component_ref(component_id: str) -> EntityRef:
    return EntityRef(entity_type=EntityType.COMPONENT, entity_id=component_id)


def _app_wishes(node: NodeName) -> tuple[str, ...]:
    return (node.name, '_'.join((*node.segments, node.name)))
