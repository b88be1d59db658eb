# SPDX-License-Identifier: Apache-2.0
"""Where in a document secrets are: what its schema marks with `writeOnly` or as a password.

JSON Schema says of `writeOnly` that it is an annotation (Validation, 9.4), which holds where the
subschema that carries it fits. Here it holds wherever that subschema may apply, whether it fits
or not, so that nothing is shown because something else was wrong.
"""

from collections.abc import Iterable, Iterator, Mapping
import re
from typing import Any

from gateway_node.child.messages import Violations
from gateway_node.child.schema.schema_walk import pointer_token, SchemaWalk
from gateway_node.masking import MASK

MAX_SECRETS = 1000
MAX_SECRETS_CHARACTERS = 256 * 1024
"""Of the places of all secrets of one document."""


class SecretPlaces:
    """The secrets of one document; the schema was walked, and its references are resolved."""

    def __init__(self, walk: SchemaWalk, document: Any) -> None:
        self._walk = walk
        self._behind: dict[str, frozenset[str]] = {}
        self._document = document
        self.pointers: tuple[str, ...] = ()
        if any(map(_is_marked, walk.nodes.values())):
            self.pointers = tuple(self._search(document, frozenset({''}), ''))

    @property
    def violations(self) -> Violations:
        """What keeps these secrets from being taken, whatever the schema says."""
        count, characters = len(self.pointers), sum(map(len, self.pointers))
        if count > MAX_SECRETS or characters > MAX_SECRETS_CHARACTERS:
            return [('', f'has {count} secrets; allowed: at most {MAX_SECRETS}')]
        stands_in = 'is what stands for a secret; allowed: the secret itself, which is not kept'
        return [(p, stands_in) for p in self.pointers if self._value_at(p) == MASK]

    def around(self, pointer: str) -> str | None:
        """Return the secret that a place is, or is in; None where it is in none."""
        for secret in self.pointers:
            if pointer == secret or pointer.startswith(f'{secret}/'):
                return secret
        return None

    def are_below(self, pointer: str) -> bool:
        """Tell whether the value at a place, which is no secret, holds one."""
        return any(each.startswith(f'{pointer}/') for each in self.pointers)

    def _search(self, value: Any, schemas: frozenset[str], pointer: str) -> Iterator[str]:
        nodes = {p: self._walk.nodes[p] for each in schemas for p in self._with_behind(each)}
        if any(map(_is_marked, nodes.values())) or self._is_marked_inside(value, nodes):
            yield pointer
            return
        items: Iterable[tuple[str | int, Any]] = ()
        if isinstance(value, dict):
            items = value.items()
        elif isinstance(value, list):
            items = enumerate(value)
        for key, item in items:
            below = frozenset(
                pointer for at, node in nodes.items() for pointer in _applied_below(at, node, key)
            )
            if below:
                yield from self._search(item, below, f'{pointer}/{pointer_token(key)}')

    def _with_behind(self, start: str) -> frozenset[str]:
        """Return a subschema with those that apply to the same value because of it."""
        if start not in self._behind:
            found, waiting = {start}, [start]
            while waiting:
                more = set(self._walk.applied_with(waiting.pop())) - found
                found |= more
                waiting += more
            self._behind[start] = frozenset(found)
        return self._behind[start]

    def _is_marked_inside(self, value: Any, nodes: Mapping[str, Any]) -> bool:
        """Tell whether the names of an object, or what a text contains, may be secrets."""
        for at, node in nodes.items():
            if not isinstance(node, dict):
                continue
            if isinstance(value, str) and 'contentSchema' in node:
                return True
            if isinstance(value, dict) and 'propertyNames' in node:
                names = self._with_behind(f'{at}/propertyNames')
                if any(_is_marked(self._walk.nodes[each]) for each in names):
                    return True
        return False

    def _value_at(self, pointer: str) -> Any:
        value = self._document
        for token in pointer.split('/')[1:]:
            key = token.replace('~1', '/').replace('~0', '~')
            value = value[int(key)] if isinstance(value, list) else value[key]
        return value


def _is_marked(node: Any) -> bool:
    return isinstance(node, dict) and (
        node.get('writeOnly') is True or node.get('format') == 'password'
    )


def _applied_below(at: str, node: Any, key: str | int) -> Iterator[str]:
    """Yield the subschemas of one that may apply to this part of a value."""
    if not isinstance(node, dict):
        return
    others: tuple[str, ...] = ('unevaluatedProperties',)
    if isinstance(key, int):
        prefix = node.get('prefixItems', ())
        if key < len(prefix):
            yield f'{at}/prefixItems/{key}'
        elif 'items' in node:
            yield f'{at}/items'
        others = ('contains', 'unevaluatedItems')
    else:
        matched = key in node.get('properties', ())
        if matched:
            yield f'{at}/properties/{pointer_token(key)}'
        for pattern in node.get('patternProperties', ()):
            if re.search(pattern, key):
                matched = True
                yield f'{at}/patternProperties/{pointer_token(pattern)}'
        if not matched and 'additionalProperties' in node:
            yield f'{at}/additionalProperties'
    yield from (f'{at}/{keyword}' for keyword in others if keyword in node)
