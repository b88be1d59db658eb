# SPDX-License-Identifier: Apache-2.0
"""What the files of an archive may be called, so that they lie where they are unpacked and nowhere
else, and one beside the other on any disk. Pure."""

from collections.abc import Iterable, Iterator
import re
import unicodedata

from gateway_node.scripts.file_names import plain_name_fault
from gateway_node.strict_json import shown

MAX_PATH_BYTES = 1024
MAX_DEPTH = 16
"""Segments of a path."""

_DRIVE = re.compile(r'[A-Za-z]:')


def name_faults(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each name that is not allowed, with what is wrong with it.

    A name is that of a folder where it ends with `/`.
    """
    taken = _Taken()
    for name in names:
        fault = _fault(name) or taken.fault(name)
        if fault is not None:
            yield name, fault


def _fault(name: str) -> str | None:
    path = name.removesuffix('/')
    if path.startswith('/') or _DRIVE.match(path):
        return 'is an absolute path'
    segments = path.split('/')
    if '..' in segments:
        return 'leads out of its folder'
    if len(path.encode()) > MAX_PATH_BYTES:
        return f'is longer than {MAX_PATH_BYTES} bytes'
    if len(segments) > MAX_DEPTH:
        return f'is nested deeper than {MAX_DEPTH} levels'
    return next(filter(None, map(plain_name_fault, segments)), None)


class _Taken:
    """The names that others have."""

    def __init__(self) -> None:
        self._forms: dict[str, str] = {}
        """The path that has each form, by the form that all which differ in case share."""
        self._named: set[str] = set()
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def fault(self, name: str) -> str | None:
        """Return what others make wrong with a name, or None, and then it is taken."""
        path = name.removesuffix('/')
        segments = path.split('/')
        above = {'/'.join(segments[:depth]) for depth in range(1, len(segments))}
        for each in (*above, path):
            earlier = self._forms.setdefault(_folded(each), each)
            if earlier != each:
                return f'differs from {shown(earlier)} in case, or in the form of letters, only'
        if path in self._named:
            return 'is there twice'
        if self._files & above:
            return 'lies in what is a file'
        is_file = path == name
        if is_file and path in self._folders:
            return 'is a file, and a folder of others'
        self._named.add(path)
        self._folders |= above
        if is_file:
            self._files.add(path)
        return None


def _folded(path: str) -> str:
    return unicodedata.normalize('NFKC', unicodedata.normalize('NFKC', path).casefold())
