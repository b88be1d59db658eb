# SPDX-License-Identifier: Apache-2.0
"""Manifests: YAML files that a person wrote, read into JSON values, and the checks of those.

Every check names the place, the value and what is allowed, in a ManifestInvalid.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from gateway_node.strict_json import check, JsonRefused, shown

_Manifest = TypeVar('_Manifest')

MAX_BYTES = 2**20
MAX_NODES = 100_000
"""Values of the document once every alias stands for what it names."""

_TAG = 'tag:yaml.org,2002:'
_JSON_TYPES = frozenset({'str', 'int', 'float', 'bool', 'null', 'map', 'seq'})


class ManifestInvalid(Exception):
    """A manifest cannot be used; the message names the file, the place, the value and what is
    allowed."""


def read_manifest(path: Path, parse: Callable[[object], _Manifest]) -> _Manifest:
    """Return what `parse` makes of a file's document; blocks.

    Raises:
        ManifestInvalid: one line with the file, the place in it, the value and what is allowed.
    """
    try:
        document = yaml_document(_read(path))
        return parse({} if document is None else document)
    except ManifestInvalid as error:
        raise ManifestInvalid(f'{path}: {error}') from error


def mapping(
    value: object, place: str, allowed: tuple[str, ...] | None = None
) -> Mapping[str, Any]:
    """Return a value that is a mapping, of no other keys than `allowed`; None allows any."""
    if not isinstance(value, dict):
        raise ManifestInvalid(f'{place} is {shown(value)}; allowed: a mapping')
    for key in value:
        if allowed is not None and key not in allowed:
            raise ManifestInvalid(
                f'{place} has the key {shown(key)}; allowed: {", ".join(allowed)}'
            )
    return value


def items(value: object, place: str) -> list[Any]:
    """Return a value that is a list."""
    if not isinstance(value, list):
        raise ManifestInvalid(f'{place} is {shown(value)}; allowed: a list')
    return value


def text(value: object, place: str, *, may_be_empty: bool = False) -> str:
    """Return a value that is a text without NUL, and says something unless it `may_be_empty`."""
    if not isinstance(value, str) or '\0' in value or not (value or may_be_empty):
        hint = ' (in quotes)' if isinstance(value, (bool, int, float)) else ''
        raise ManifestInvalid(f'{place} is {shown(value)}; allowed: a text{hint}')
    return value


def _read(path: Path) -> bytes:
    try:
        with path.open('rb') as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ManifestInvalid(f'cannot be read: {error.strerror}') from error
    if len(content) > MAX_BYTES:
        raise ManifestInvalid(f'has more than {MAX_BYTES} bytes')
    return content


def yaml_document(content: bytes) -> Any:
    """Return a document as JSON values; dates and other YAML types are refused. ManifestInvalid.

    Aliases are counted as what they stand for before anything is made of them: a few lines of
    them, or of merge keys, can stand for more than a machine's memory.
    """
    try:
        source = content.decode()
        root = yaml.compose(source, Loader=yaml.SafeLoader)
        if root is not None:
            _check_node(root, {}, set())
        document = yaml.safe_load(source)
        check(document)
    except RecursionError as error:
        raise ManifestInvalid('nests too deep') from error
    except JsonRefused as error:
        raise ManifestInvalid(str(error)) from error
    except yaml.MarkedYAMLError as error:
        # Without the text around it, which a file of secrets would have in it.
        raise ManifestInvalid(f'is no YAML: {_problem(error)}') from error
    # PyYAML hands what a constructor says on as it is: ValueError for the date 2026-99-99.
    except (yaml.YAMLError, ValueError) as error:
        raise ManifestInvalid(f'is no YAML: {" ".join(str(error).split())}') from error
    return document


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = ' '.join(str(error.problem).split())
    return (
        problem if error.problem_mark is None else f'line {error.problem_mark.line + 1}: {problem}'
    )


def _check_node(node: yaml.Node, sizes: dict[int, int], above: set[int]) -> int:
    """Return how many values a node stands for; refuse what JSON does not have, loops, excess."""
    if id(node) in sizes:
        return sizes[id(node)]
    line = node.start_mark.line + 1
    if id(node) in above:
        raise ManifestInvalid(f'line {line}: an alias stands inside what it names')
    above.add(id(node))
    _check_type(node, line)
    size = 1
    if isinstance(node, yaml.MappingNode):
        _check_keys(node)
        size += sum(_check_node(value, sizes, above) for _, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        size += sum(_check_node(item, sizes, above) for item in node.value)
    if size > MAX_NODES:
        raise ManifestInvalid(f'line {line}: stands for more than {MAX_NODES} values')
    above.discard(id(node))
    sizes[id(node)] = size
    return size


def _check_type(node: yaml.Node, line: int) -> None:
    if node.tag.removeprefix(_TAG) not in _JSON_TYPES:
        raise ManifestInvalid(
            f'line {line}: {str(node.value)[:40]!r} is a {node.tag.removeprefix(_TAG)}; '
            'allowed: texts (in quotes), numbers, true, false, null, lists, mappings'
        )


def _check_keys(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if key.tag == _TAG + 'merge':
            continue
        if key.tag != _TAG + 'str':
            raise ManifestInvalid(
                f'line {line}: a key is no text; put {key.value!r:.40} in quotes'
            )
        if key.value in seen:
            raise ManifestInvalid(f'line {line}: the key {key.value!r:.40} is there twice')
        seen.add(key.value)
