# SPDX-License-Identifier: Apache-2.0
"""The entities manifest: components and functions that a YAML file declares.

The form of the file is in docs/configuration.md.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from gateway_node.entities.names import is_id, RESERVED_IDS
from gateway_node.entities.values import NodeName
from gateway_node.manifest_files import items, ManifestInvalid, mapping, read_manifest, text
from gateway_node.strict_json import shown


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """A declared component or function and the globs that choose its nodes."""

    id: str
    name: str
    description: str = ''
    nodes: tuple[str, ...] = ()
    """Globs over fully qualified node names, case-sensitive; `*` crosses slashes."""
    namespaces: tuple[str, ...] = ()
    """Globs over namespaces."""

    def chooses(self, node: NodeName) -> bool:
        """Tell whether `node` belongs to this declaration."""
        return any(fnmatchcase(node.fully_qualified_name, glob) for glob in self.nodes) or any(
            fnmatchcase(node.namespace, glob) for glob in self.namespaces
        )


@dataclass(frozen=True, kw_only=True)
class EntitiesManifest:
    """All declarations, in the file's order; where two choose a node the first has it."""

    components: tuple[Declaration, ...] = ()
    functions: tuple[Declaration, ...] = ()

    @property
    def component_ids(self) -> frozenset[str]:
        """The ids of the declared components."""
        return frozenset(declaration.id for declaration in self.components)


def load_entities_manifest(path: Path) -> EntitiesManifest:
    """Read a manifest file; ManifestInvalid names the place, the value and what is allowed."""
    return read_manifest(path, _parse)


def _parse(document: object) -> EntitiesManifest:
    top = mapping(document, 'the document', ('components', 'functions'))
    return EntitiesManifest(
        components=_declarations(top.get('components'), 'components'),
        functions=_declarations(top.get('functions'), 'functions'),
    )


def _declarations(value: object, place: str) -> tuple[Declaration, ...]:
    declared = items([] if value is None else value, place)
    declarations = tuple(_declaration(item, f'{place}[{i}]') for i, item in enumerate(declared))
    seen: set[str] = set()
    for declaration in declarations:
        if declaration.id in seen:
            raise ManifestInvalid(f'{place}: the id {declaration.id!r} stands there twice')
        seen.add(declaration.id)
    return declarations


def _declaration(value: object, place: str) -> Declaration:
    item = mapping(value, place, ('id', 'name', 'description', 'nodes', 'namespaces'))
    entity_id = item.get('id')
    if not isinstance(entity_id, str) or not is_id(entity_id):
        raise ManifestInvalid(
            f'{place}.id is {shown(entity_id)}; allowed: letters, digits, "_", "-" and "."'
        )
    if entity_id in RESERVED_IDS:
        raise ManifestInvalid(f'{place}.id is {entity_id!r}, which is kept for descriptions')
    declaration = Declaration(
        id=entity_id,
        name=text(item.get('name', entity_id), f'{place}.name', may_be_empty=True),
        description=text(item.get('description', ''), f'{place}.description', may_be_empty=True),
        nodes=_globs(item.get('nodes', []), f'{place}.nodes'),
        namespaces=_globs(item.get('namespaces', []), f'{place}.namespaces'),
    )
    if not declaration.nodes and not declaration.namespaces:
        raise ManifestInvalid(f'{place} chooses no node; give it "nodes" or "namespaces"')
    return declaration


def _globs(value: object, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(glob, str) for glob in value):
        raise ManifestInvalid(f'{place} is {shown(value)}; allowed: a list of globs')
    for glob in value:
        if not glob.startswith(('/', '*')):
            raise ManifestInvalid(f'{place} has {glob!r}; a glob begins with "/" or "*"')
    return tuple(value)
