# SPDX-License-Identifier: Apache-2.0
"""Manifests: YAML files that a person wrote, read into JSON values and nothing else."""

from pathlib import Path
from typing import Any

import yaml

from gateway_node.strict_json import check, JsonRefused

MAX_BYTES = 2**20
MAX_NODES = 100_000
"""Values of the document once every alias stands for what it names."""

_TAG = 'tag:yaml.org,2002:'
_JSON_TYPES = frozenset({'str', 'int', 'float', 'bool', 'null', 'map', 'seq'})


class ManifestInvalid(Exception):
    """A manifest cannot be used; the message names the file, the place, the value and what is
    allowed."""


def read_yaml(path: Path) -> Any:
    """Return a file's document as JSON values; dates and other YAML types are refused.

    Aliases are counted as what they stand for before anything is made of them: a few lines of
    them, or of merge keys, can stand for more than a machine's memory.

    Raises:
        ManifestInvalid: the message does not name the file.
    """
    try:
        with path.open('rb') as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ManifestInvalid(f'has more than {MAX_BYTES} bytes')
        text = content.decode()
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            _check_node(root, {}, set())
        document = yaml.safe_load(text)
        check(document)
    except OSError as error:
        raise ManifestInvalid(f'cannot be read: {error.strerror}') from error
    except RecursionError as error:
        raise ManifestInvalid('nests too deep') from error
    except JsonRefused as error:
        raise ManifestInvalid(str(error)) from error
    # PyYAML hands what a constructor says on as it is: ValueError for the date 2026-99-99.
    except (yaml.YAMLError, ValueError) as error:
        raise ManifestInvalid(f'is no YAML: {" ".join(str(error).split())}') from error
    return document


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
