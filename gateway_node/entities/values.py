# SPDX-License-Identifier: Apache-2.0
"""Values of the entity room: nodes as the graph names them, entities as the API names them."""

from dataclasses import dataclass
import enum
from functools import cached_property


class EntityType(enum.Enum):
    """Collections of entities that carry scripts; the value is the collection's URI segment."""

    APP = 'apps'
    """A ROS node."""
    COMPONENT = 'components'
    """A host, a namespace that holds nodes, or a group that the manifest declares."""


@dataclass(frozen=True, kw_only=True, order=True)
class NodeName:
    """A node of the ROS graph.

    `namespace` is absolute without a trailing slash (`/` for the root), `name` is the base name.
    """

    namespace: str
    name: str

    @property
    def fully_qualified_name(self) -> str:
        """`/powertrain/engine/temp_sensor`, as `ros2 node list` prints it."""
        return f'{self.namespace.rstrip("/")}/{self.name}'

    @property
    def segments(self) -> tuple[str, ...]:
        """The namespace's segments; empty for the root."""
        return tuple(part for part in self.namespace.split('/') if part)

    @property
    def hidden(self) -> bool:
        """True where a segment or the name starts with `_` (ROS's rule for hidden names)."""
        return any(part.startswith('_') for part in (*self.segments, self.name))


@dataclass(frozen=True, kw_only=True)
class GraphSnapshot:
    """The nodes that the graph held at one moment."""

    nodes: frozenset[NodeName]
    namesakes: int = 0
    """Further nodes that bear the gateway's own full name."""
    self_testing: frozenset[NodeName] = frozenset()
    """The nodes that offer a test of themselves."""


@dataclass(frozen=True, kw_only=True)
class EntityRef:
    """Names one entity; `apps/x` and `components/x` are different entities."""

    entity_type: EntityType
    entity_id: str

    @cached_property
    def path(self) -> str:
        """The entity's path below the API's base, such as `apps/temp_sensor`."""
        return f'{self.entity_type.value}/{self.entity_id}'

    @classmethod
    def from_path(cls, path: str) -> 'EntityRef':
        """Read what `path` gave; ValueError where it is no such path."""
        collection, _, entity_id = path.partition('/')
        if not entity_id:
            raise ValueError(f'{path!r} is no entity path such as apps/temp_sensor')
        return cls(entity_type=EntityType(collection), entity_id=entity_id)


class ComponentKind(enum.Enum):
    """Why a component exists."""

    HOST = 'host'
    """The machine that the gateway runs on; it holds every node."""
    NAMESPACE = 'namespace'
    """A namespace that holds nodes."""
    MANIFEST = 'manifest'
    """Declared in the entities manifest."""


@dataclass(frozen=True, kw_only=True)
class App:
    """An app: one ROS node, present or remembered."""

    id: str
    node: NodeName
    online: bool
    component_id: str
    """The component that the app is located on: its manifest's, else its namespace's, else the
    host."""
    area_id: str | None
    """The first segment of the namespace, made an id; None for a node in the root namespace."""

    @property
    def ref(self) -> EntityRef:
        """The app's reference."""
        return EntityRef(entity_type=EntityType.APP, entity_id=self.id)


@dataclass(frozen=True, kw_only=True)
class Component:
    """A component and the apps that it hosts."""

    id: str
    name: str
    kind: ComponentKind
    app_ids: tuple[str, ...]
    online: bool
    """The host and declared components always; a namespace while one of its nodes is online; never
    what is declared no more."""
    description: str = ''
    namespace: str | None = None
    """The namespace that a component of kind NAMESPACE stands for."""
    area_id: str | None = None

    @property
    def ref(self) -> EntityRef:
        """The component's reference."""
        return EntityRef(entity_type=EntityType.COMPONENT, entity_id=self.id)


@dataclass(frozen=True, kw_only=True)
class Area:
    """An area: the components below one first namespace segment."""

    id: str
    name: str
    component_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function that the manifest declares, with the apps that serve it."""

    id: str
    name: str
    description: str
    app_ids: tuple[str, ...]
