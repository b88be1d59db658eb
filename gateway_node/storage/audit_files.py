# SPDX-License-Identifier: Apache-2.0
"""The audit on the disk: lines of JSON in files of a bounded size, of which the oldest go first.

The newest notes are in `audit.jsonl`, those before in `audit-0000000000001234.jsonl`, from the one
of that sequence on.

No file is changed but by what is put at its end: what a crash left of a line stays, closed by a
line end, and is passed over by who reads.
"""

from collections.abc import Iterator, Sequence
import contextlib
import json
import os
from pathlib import Path
import re
import threading

from gateway_node.access.audit import (
    AuditNote,
    Document,
    document_of,
    NotesPage,
    NotesWanted,
)
from gateway_node.clock import Clock

FOLDER = 'audit'
_CURRENT = 'audit.jsonl'
_ROTATED = re.compile(r'audit-([0-9]{16})\.jsonl')
_SEQUENCE = re.compile(rb'\{"sequence":([0-9]{1,16}),')
"""The begin of a line; each ends with its brace."""
_FILE_MODE = 0o600
_BLOCK_BYTES = 64 * 1024
_LOOK_SEC = 1.0
"""How often it is seen whether the present file is still there: each call of the kernel has the
thread wait for the interpreter again."""
_MAX_LOOKS = 20_000
"""Notes that are looked at for one page."""

_encode = json.JSONEncoder(separators=(',', ':')).encode


class AuditFiles:
    """The `AuditLog` in one folder of the state directory. All of it blocks."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        max_file_bytes: int,
        max_files: int,
        synced: bool = False,
    ) -> None:
        """Touch nothing yet. `synced`: a note is on the disk itself when it is kept, and not only
        in what the kernel will write."""
        self._folder = folder
        self._path = folder / _CURRENT
        self._clock = clock
        self._max_file_bytes = max_file_bytes
        self._max_files = max_files
        self._synced = synced
        self._fd = -1
        self._size = 0
        self._looked_at = float('-inf')
        """Monotonic; at the name of the present file."""
        self._first = 1
        """The sequence of the first note in the present file."""
        self._next: int | None = None
        """The sequence of the next note; None where nothing was looked at yet."""
        self._rotating = threading.Lock()
        """Held while the files get other names, and while they are opened to be read."""

    def append(self, notes: Sequence[AuditNote]) -> int:
        """Keep notes, in this order; return the sequence of the first. OSError."""
        sequence = self._see_to_file()
        if not notes:
            return sequence
        boot = self._clock.boot_time()
        place = {'boot': boot.boot_id.replace('-', ''), 'up_sec': round(boot.seconds, 3)}
        lines = [
            _encode({'sequence': number, **place, **document_of(note)})
            for number, note in enumerate(notes, sequence)
        ]
        content = '\n'.join([*lines, '']).encode()
        if self._size and self._size + len(content) > self._max_file_bytes:
            self._rotate(sequence)
        _write(self._fd, content, synced=self._synced)
        self._size += len(content)
        self._next = sequence + len(notes)
        return sequence

    def close(self) -> None:
        """Close the present file; the next note opens it again."""
        if self._fd >= 0:
            self._close()

    def page(self, wanted: NotesWanted) -> NotesPage:
        """Return notes that are wanted, the newest first; OSError."""
        documents: list[Document] = []
        looks = unreadable = 0
        last = None
        for sequence, document in self._notes(wanted):
            if sequence is None or document is None:
                unreadable += 1
                continue
            if len(documents) == wanted.limit or looks == _MAX_LOOKS:
                return NotesPage(documents=documents, next_before=last, unreadable=unreadable)
            looks, last = looks + 1, sequence
            if wanted.wants(document):
                documents.append(document)
        return NotesPage(documents=documents, unreadable=unreadable)

    def _see_to_file(self) -> int:
        """Have the present file open, as its name has it; return the next sequence."""
        now = self._clock.monotonic()
        if self._fd >= 0 and self._next is not None and now - self._looked_at < _LOOK_SEC:
            return self._next
        self._looked_at = now
        if self._fd >= 0:
            if self._next is not None and self._is_in_place():
                return self._next
            self._close()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self._path, flags, _FILE_MODE)
        try:
            os.fchmod(fd, _FILE_MODE)
            self._take_up(fd)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        assert self._next is not None
        return self._next

    def _is_in_place(self) -> bool:
        """Tell whether the present file is what stands under its name."""
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(self._fd), os.stat(self._path))
        return False

    def _take_up(self, fd: int) -> None:
        """Go on behind what a file has, and what other files have."""
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b'\n':
            _write(fd, b'\n', synced=False)
            size += 1
        if self._next is None:
            self._next = 1 + (_last_sequence(fd, size) or self._last_rotated())
        self._first = _first_sequence(fd) or self._next
        self._size = size

    def _last_rotated(self) -> int:
        for _, path in self._rotated():
            with _opened(path) as fd:
                last = _last_sequence(fd, os.fstat(fd).st_size)
                if last:
                    return last
        return 0

    def _rotate(self, sequence: int) -> None:
        """Begin a new file, with the note of that sequence."""
        with self._rotating:
            if self._synced:
                os.fdatasync(self._fd)
            self._path.rename(self._folder / f'audit-{self._first:016}.jsonl')
            self._close()
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._fd = os.open(self._path, flags, _FILE_MODE)
            self._first, self._size = sequence, 0
            for _, path in self._rotated()[self._max_files - 1 :]:
                path.unlink(missing_ok=True)
        if self._synced:
            with _opened(self._folder, os.O_DIRECTORY) as folder:
                os.fsync(folder)

    def _rotated(self) -> list[tuple[int, Path]]:
        """Return the files before the present one, the newest first, each with what it begins
        with."""
        found = (
            (int(name[1]), path)
            for path in self._folder.iterdir()
            if (name := _ROTATED.fullmatch(path.name))
        )
        return sorted(found, reverse=True)

    def _notes(self, wanted: NotesWanted) -> Iterator[tuple[int | None, Document | None]]:
        """Yield notes that `before` and `after` do not rule out, the newest first; of a line that
        is none, nothing."""
        for line in self._lines(wanted.before):
            sequence = _sequence_of(line)
            if sequence is None:
                yield None, None
            elif wanted.before is not None and sequence >= wanted.before:
                continue
            elif wanted.after is not None and sequence <= wanted.after:
                return
            else:
                yield sequence, _document(line)

    def _lines(self, before: int | None) -> Iterator[bytes]:
        """Yield the lines of all files, the newest first, without those of files that begin with
        `before` or behind it. One file is open at a time: there may be a thousand."""
        rotated: list[tuple[int, Path]] = []
        present = None
        with contextlib.ExitStack() as files:
            with self._rotating, contextlib.suppress(FileNotFoundError):
                rotated = self._rotated()
                present = files.enter_context(_opened(self._path))
            if present is not None:
                yield from _lines_backwards(present)
        for first, path in rotated:
            if before is not None and first >= before:
                continue
            # It may be gone by now, as the oldest one; no file gets a third name.
            with contextlib.suppress(FileNotFoundError), _opened(path) as fd:
                yield from _lines_backwards(fd)

    def _close(self) -> None:
        os.close(self._fd)
        self._fd = -1


@contextlib.contextmanager
def _opened(path: Path, flags: int = 0) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        yield fd
    finally:
        os.close(fd)


def _write(fd: int, content: bytes, *, synced: bool) -> None:
    """Put all of this at the end of a file, or nothing; OSError."""
    left = memoryview(content)
    try:
        while left:
            left = left[os.write(fd, left) :]
        if synced:
            os.fdatasync(fd)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(fd, os.fstat(fd).st_size - len(content) + len(left))
        raise


def _lines_backwards(fd: int) -> Iterator[bytes]:
    """Yield the lines of a file from its last one on; what has no line end yet is none."""
    at, rest, is_whole = os.fstat(fd).st_size, b'', False
    while at:
        start = max(0, at - _BLOCK_BYTES)
        rest, *lines = (os.pread(fd, at - start, start) + rest).split(b'\n')
        at = start
        if lines and not is_whole:
            lines.pop()
            is_whole = True
        yield from filter(None, reversed(lines))
    if rest and is_whole:
        yield rest


def _sequence_of(line: bytes) -> int | None:
    found = _SEQUENCE.match(line)
    return int(found[1]) if found and line.endswith(b'}') else None


def _document(line: bytes) -> Document | None:
    try:
        document: Document = json.loads(line)
    except ValueError:
        return None
    return document


def _last_sequence(fd: int, size: int) -> int | None:
    """Return the sequence of the last line of a file, those counted that are no notes."""
    for broken, line in enumerate(_lines_backwards(fd)):
        sequence = _sequence_of(line)
        if sequence is not None:
            return sequence + broken
    return None


def _first_sequence(fd: int) -> int | None:
    """Return the sequence of the first note of a file; what a crash left of a line may precede."""
    lines = os.pread(fd, _BLOCK_BYTES, 0).split(b'\n')
    return next(filter(None, map(_sequence_of, lines)), None)
