# SPDX-License-Identifier: Apache-2.0
"""Finding what is served under a path: a tree of segments, each looked up once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, TypeVar
from urllib.parse import unquote

T = TypeVar('T')

_FOUND = 256
"""Paths whose place is remembered: who follows an execution asks for the same ones again."""


@dataclass(kw_only=True)
class _Node(Generic[T]):
    below: 'dict[str, _Node[T]]' = field(default_factory=dict)
    """By the segment."""
    below_any: '_Node[T] | None' = None
    """Behind a placeholder."""
    methods: dict[str, T] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    """Of the placeholders on the way here, by the number of their segment."""
    is_rest: bool = False
    """Behind a placeholder that stands for all segments that are left."""


@dataclass(frozen=True, kw_only=True)
class Found(Generic[T]):
    """What is served under a path."""

    methods: Mapping[str, T]
    segments: Mapping[str, str]
    """What stands in the place of each placeholder, decoded."""


class Paths(Generic[T]):
    """Paths with placeholders (`/apps/{entity_id}`), each with something for some methods."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self.find = lru_cache(maxsize=_FOUND)(self._find)
        """Return what is served under a path, or the same without the slash at its end."""

    def add(
        self,
        method: str,
        path: str,
        served: T,
        choices: Mapping[str, list[str]],
        *,
        takes_rest: bool = False,
    ) -> None:
        """Serve `served` for a method of a path; `choices` are all texts of some placeholders.

        `takes_rest`: the last placeholder stands for one segment or more, and nothing else is
        where it is. To be called before anything is looked for.
        """
        nodes, names = [self._root], {}
        for number, segment in enumerate(path.split('/')):
            name = segment[1:-1] if segment.startswith('{') else None
            if name is not None:
                names[number] = name
            nodes = [child for node in nodes for child in _children(node, segment, name, choices)]
        for node in nodes:
            assert node.names in ({}, names), f'{path} has other names than its like'
            node.methods[method] = served
            node.names = names
            node.is_rest = takes_rest

    def _find(self, raw_path: str) -> Found[T] | None:
        segments = raw_path.split('/')
        if segments[-1] == '':
            del segments[-1]
        if '%' in raw_path:
            segments = [unquote(segment) for segment in segments]
        node = _walk(self._root, segments, 0)
        if node is None:
            return None
        if node.is_rest:
            last = max(node.names)
            segments[last:] = ['/'.join(segments[last:])]
        named = {name: segments[number] for number, name in node.names.items()}
        return Found(methods=node.methods, segments=named)


def _walk(node: _Node[T], segments: list[str], start: int) -> _Node[T] | None:
    """Return where the segments from `start` lead; what stands there itself goes before what a
    placeholder stands for."""
    for number in range(start, len(segments)):
        segment = segments[number]
        below = node.below.get(segment)
        below_any = node.below_any if segment else None
        if below is not None and below_any is not None:
            return _walk(below, segments, number + 1) or _walk(below_any, segments, number + 1)
        next_node = below or below_any
        if next_node is None:
            return None
        node = next_node
        if node.is_rest:
            break
    return node if node.methods else None


def _children(
    node: _Node[T], segment: str, name: str | None, choices: Mapping[str, list[str]]
) -> list[_Node[T]]:
    """Return the nodes behind a segment, made where there are none yet."""
    if name is not None and name not in choices:
        node.below_any = node.below_any or _Node()
        return [node.below_any]
    return [
        node.below.setdefault(text, _Node()) for text in (choices[name] if name else [segment])
    ]
