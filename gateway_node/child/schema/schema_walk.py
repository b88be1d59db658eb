# SPDX-License-Identifier: Apache-2.0
"""Walking a JSON Schema by its keywords: where its subschemas are and what refers to what.

Only what a keyword makes a schema is one: what stands under `const`, `enum`, `default` or
`examples` is a value, and `properties` may have a property that is called `$ref`. The keywords
are those of JSON Schema 2020-12, and `definitions`, which its meta-schema still knows.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
import re
from typing import Any
from urllib.parse import quote, unquote
import warnings

from gateway_node.child.messages import Violations
from gateway_node.strict_json import clip

DIALECT = 'https://json-schema.org/draft/2020-12/schema'

MAX_CHAIN = 64
"""Subschemas that apply to the same value, one inside or behind the other."""
MAX_APPLICATIONS = 10_000
"""Subschemas that apply to the same value in all; each `$ref` counts what it leads to again."""

_TOO_MANY = (
    f'applies too many subschemas to one value; allowed: {MAX_APPLICATIONS}, '
    f'and {MAX_CHAIN} one behind the other'
)

_SAME_VALUE = {
    'one': ('not', 'if', 'then', 'else'),
    'list': ('allOf', 'anyOf', 'oneOf'),
    'map': ('dependentSchemas',),
}
_PART_OF_VALUE = {
    'one': (
        'items',
        'contains',
        'additionalProperties',
        'propertyNames',
        'unevaluatedItems',
        'unevaluatedProperties',
        'contentSchema',
    ),
    'list': ('prefixItems',),
    'map': ('properties', 'patternProperties', '$defs', 'definitions'),
}
_REFERENCES = ('$ref', '$dynamicRef')


def pointer_token(key: str | int) -> str:
    """Return a key as a token of a JSON Pointer (RFC 6901, section 3)."""
    return str(key).replace('~', '~0').replace('/', '~1')


@dataclass
class SchemaWalk:
    """A schema, taken apart; it may be changed by `resolve`, so give it a copy."""

    root: Any
    nodes: dict[str, Any] = field(default_factory=dict)
    """Every subschema by its JSON Pointer."""
    violations: Violations = field(default_factory=list)
    _applies: dict[str, list[str]] = field(default_factory=dict)
    """For each subschema those that apply to the same value as it."""
    _anchors: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        waiting = [('', self.root)]
        while waiting:
            pointer, node = waiting.pop()
            self.nodes[pointer] = node
            self._applies[pointer] = []
            if isinstance(node, dict):
                for child, schema, same_value in _subschemas(pointer, node):
                    waiting.append((child, schema))
                    if same_value:
                        self._applies[pointer].append(child)
                self._check_names(pointer, node)
                self._check_patterns(pointer, node)

    def applied_with(self, pointer: str) -> tuple[str, ...]:
        """Return the subschemas that apply to the same value as this one, because of it."""
        return tuple(self._applies[pointer])

    def resolve(self) -> None:
        """Turn every reference into a `$ref` with a canonical JSON Pointer, and drop all names.

        What is left needs no base URI and no anchors, so nothing that evaluates it has a reason
        to look anywhere else. With one document the dynamic scope of a `$dynamicRef` is that
        document, so it leads where a `$ref` would (Core, 8.2.3.2).
        """
        for pointer, node in self.nodes.items():
            if not isinstance(node, dict):
                continue
            targets = [
                target
                for keyword in _REFERENCES
                if keyword in node
                and (target := self._target(f'{pointer}/{keyword}', node.pop(keyword))) is not None
            ]
            self._applies[pointer] += targets
            references = [
                {'$ref': '#' + quote(target, safe="/~!$&'()*+,;=:@")} for target in targets
            ]
            if len(references) == 1:
                node.update(references[0])
            elif references:
                node['allOf'] = [*node.get('allOf', ()), *references]
            for name in ('$schema', '$id', '$anchor', '$dynamicAnchor'):
                node.pop(name, None)
        self._check_loops()

    def _check_names(self, pointer: str, node: dict[str, Any]) -> None:
        dialect = node.get('$schema', DIALECT)
        if pointer and ('$schema' in node or '$id' in node):
            keyword = '$id' if '$id' in node else '$schema'
            self._add(f'{pointer}/{keyword}', 'is allowed at the top of the schema only')
        elif dialect not in (DIALECT, DIALECT + '#'):
            self._add('/$schema', f'is {clip(repr(dialect))}; allowed: {DIALECT}')
        if '$recursiveRef' in node:
            self._add(f'{pointer}/$recursiveRef', 'is of an older JSON Schema; use $dynamicRef')
        for keyword in ('$anchor', '$dynamicAnchor'):
            name = node.get(keyword)
            if isinstance(name, str) and self._anchors.setdefault(name, pointer) != pointer:
                self._add(f'{pointer}/{keyword}', f'{clip(repr(name))} is there already')

    def _check_patterns(self, pointer: str, node: dict[str, Any]) -> None:
        if 'pattern' in node:
            self._check_pattern(f'{pointer}/pattern', node['pattern'])
        if isinstance(node.get('patternProperties'), dict):
            for pattern in node['patternProperties']:
                place = f'{pointer}/patternProperties/{pointer_token(pattern)}'
                self._check_pattern(place, pattern)

    def _check_pattern(self, place: str, pattern: Any) -> None:
        if not isinstance(pattern, str):
            return  # the meta-schema says so
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                re.compile(pattern)
        except (re.error, OverflowError, RecursionError, ValueError) as error:
            reason = f'{clip(repr(pattern), 80)} is no regular expression of Python: {error}'
            self._add(place, clip(reason))

    def _target(self, place: str, reference: Any) -> str | None:
        if not isinstance(reference, str) or not reference.startswith('#'):
            self._add(
                place,
                f'is {clip(repr(reference), 80)}; allowed: a reference within the schema ("#...")',
            )
            return None
        fragment = unquote(reference[1:])
        pointer = fragment if fragment[:1] in ('', '/') else self._anchors.get(fragment)
        if pointer not in self.nodes:
            self._add(place, f'is {clip(repr(reference), 80)}, which is no subschema here')
            return None
        return pointer

    def _check_loops(self) -> None:
        """Find what applies to a value by way of itself, and what applies far too often."""
        chain: dict[str, int] = {}
        applications: dict[str, int] = {}
        for start in self.nodes:
            path = {} if start in chain else {start: iter(self._applies[start])}
            while path:
                here = next(reversed(path))
                step = next(path[here], None)
                if step is None:
                    del path[here]
                    behind = self._applies[here]
                    chain[here] = 1 + max((chain[each] for each in behind), default=0)
                    applications[here] = 1 + sum(applications[each] for each in behind)
                    if chain[here] > MAX_CHAIN or applications[here] > MAX_APPLICATIONS:
                        self._add(here, _TOO_MANY)
                        return
                elif step in path:
                    self._add(step, 'refers to itself without going into the value')
                    return
                elif step not in chain:
                    path[step] = iter(self._applies[step])

    def _add(self, place: str, reason: str) -> None:
        self.violations.append((clip(place), reason))


def _subschemas(pointer: str, node: dict[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    """Yield the subschemas of a schema: pointer, schema, whether for the same value."""
    for keywords, same_value in ((_SAME_VALUE, True), (_PART_OF_VALUE, False)):
        for keyword in keywords['one']:
            if isinstance(node.get(keyword), (dict, bool)):
                yield f'{pointer}/{keyword}', node[keyword], same_value
        for keyword in keywords['list']:
            if isinstance(node.get(keyword), list):
                for index, schema in enumerate(node[keyword]):
                    yield f'{pointer}/{keyword}/{index}', schema, same_value
        for keyword in keywords['map']:
            if isinstance(node.get(keyword), dict):
                for key, schema in node[keyword].items():
                    yield f'{pointer}/{keyword}/{pointer_token(key)}', schema, same_value
