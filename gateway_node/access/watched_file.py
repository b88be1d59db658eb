# SPDX-License-Identifier: Apache-2.0
"""A file that says who is let in, read anew whenever it changes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
import logging
import os
from pathlib import Path
import stat
from typing import Generic, TypeVar

from gateway_node.access.errors import FileInvalid
from gateway_node.threads import Look, Threads

_log = logging.getLogger(__name__)
_Content = TypeVar('_Content')

LOOK_SEC = 1.0
"""Seconds from one look at the file to the next."""
MAX_BYTES = 2**20
_PATIENCE_SEC = 30.0

_State = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class FileAsRead:
    """What a file held, and who may read it."""

    content: bytes = field(repr=False)
    mode: int

    def check_private(self) -> None:
        """Raise FileInvalid where anybody but its owner may read or write it."""
        if self.mode & 0o077:
            raise FileInvalid(
                f'has mode {stat.filemode(self.mode)}; allowed: a file that only its owner may '
                'read (chmod 600)'
            )


@dataclass(frozen=True, kw_only=True)
class _Found(Generic[_Content]):
    """What a look found: a content, or why there is none."""

    state: _State | None
    content: _Content | None = None
    error: FileInvalid | None = None


class WatchedFile(Generic[_Content]):
    """What a file says; where it is wrong, gone or silent, what it said last holds.

    Belongs to the event loop. Who writes the file renames another over it: half of it, too, would
    be read.
    """

    def __init__(
        self, parameter: str, path: Path, parse: Callable[[FileAsRead], _Content]
    ) -> None:
        """`parse` makes the content of the file, in a thread; it raises FileInvalid."""
        self._parameter = parameter
        self._path = path
        self._parse = parse
        self._look = Look(Threads(parameter, 1), self._found_now, _PATIENCE_SEC)
        self._content: _Content | None = None
        self._state: _State | None = None
        self._is_settled = False
        """Whether it was read once more after it was found changed: a clock of files is coarse,
        and what was written right after the first reading may look the same."""
        self._listeners: list[Callable[[], None]] = []
        self.warnings: tuple[str, ...] = ()
        """Why the last reading was not taken; empty where it was."""

    @property
    def content(self) -> _Content:
        """What it says; only once it is open."""
        assert self._content is not None, self._parameter
        return self._content

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have a function called whenever the file says something else."""
        self._listeners.append(listener)

    async def open(self) -> None:
        """Read it for the first time; FileInvalid, TimeoutError where it does not answer."""
        found = await self._look.answer()
        assert found is not None
        if found.error is not None:
            raise found.error
        self._state, self._content = found.state, found.content

    async def look(self) -> None:
        """Take what it says where that changed."""
        try:
            found = await self._look.answer()
        except TimeoutError:
            self._warn(f'parameter {self._parameter}: {self._path} does not answer')
            return
        if found is None:
            return
        was_settled = found.state is not None and found.state == self._state
        # What could not be read is tried at each look: it may not have been up to the file.
        self._is_settled = was_settled and found.error is None
        self._state = found.state
        if found.error is not None:
            self._warn(str(found.error))
            return
        self.warnings = ()
        if found.content == self._content:
            return
        self._content = found.content
        _log.info('%s was read anew', self._path)
        for listener in self._listeners:
            listener()

    async def read_anew(self) -> None:
        """Take what it says now, whether it looks changed or not."""
        self._is_settled = False
        await self.look()

    async def keep_looking(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(LOOK_SEC)
            await self.look()

    def _warn(self, why: str) -> None:
        warnings = (f'what the file said before holds: {why}',)
        if warnings != self.warnings:
            _log.error('%s', warnings[0])
        self.warnings = warnings

    def _found_now(self) -> _Found[_Content] | None:
        """Return what the file says; None where it is as it was read last. Blocks."""
        state: _State | None = None
        try:
            state = state_of(os.stat(self._path))
            if state == self._state and self._is_settled:
                return None
            state, file = _read(self._path)
            return _Found(state=state, content=self._parse(file))
        except OSError as error:
            why = f'cannot be read: {error.strerror}'
        except FileInvalid as error:
            why = str(error)
        return _Found(
            state=state, error=FileInvalid(f'parameter {self._parameter}: {self._path} {why}')
        )


def _read(path: Path) -> tuple[_State, FileAsRead]:
    with open(path, 'rb', opener=_open_at_once) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise FileInvalid('is no file')
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise FileInvalid(f'has more than {MAX_BYTES} bytes')
    return state_of(found), FileAsRead(content=content, mode=found.st_mode)


def _open_at_once(path: str, flags: int) -> int:
    """Open; nothing that is no file keeps who does waiting."""
    return os.open(path, flags | os.O_NONBLOCK)


def state_of(found: os.stat_result) -> _State:
    """Return what differs once a file was changed."""
    return (
        found.st_dev,
        found.st_ino,
        found.st_mode,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )
