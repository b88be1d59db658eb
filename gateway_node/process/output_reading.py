# SPDX-License-Identifier: Apache-2.0
"""Reads what a supervisor kept of a script's output; while it runs, and after: in a thread."""

import codecs
from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import threading
from typing import NamedTuple

from gateway_node.child.exposed_files import replace_file
from gateway_node.child.output_frames import (
    Frame,
    HEAD_FILE,
    NOTE,
    OBJECT_BYTES,
    SHOWN_BYTES,
    STDERR,
    STDOUT,
    TAIL_FILE,
    TOTALS,
    unpack,
)
from gateway_node.child.shared_tail import MEMORY_BYTES, newest
from gateway_node.executions.values import Output
from gateway_node.process.kept_files import read_regular

_MAX_FILE_BYTES = 4 * 1024 * 1024
"""More than the frames of a full head are."""
_READ_ATTEMPTS = 3
"""Of shared memory: a reader that is delayed can find both of its slots being written."""
_MAX_CHARACTER_BYTES = 4


class SharedOutput:
    """What a supervisor shows of the output beyond the files, for as long as this is open.

    Takes the descriptor over. Reading is for threads.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._open = True
        self._lock = threading.Lock()

    def read(self) -> bytes:
        """Return what the tail's file would hold; empty where there is nothing to be had."""
        for _ in range(_READ_ATTEMPTS):
            with self._lock, contextlib.suppress(OSError):
                memory = os.pread(self._descriptor, MEMORY_BYTES, 0) if self._open else b''
                if content := newest(memory):
                    return content
        return b''

    def close(self) -> None:
        """Let the memory go."""
        with self._lock:
            if self._open:
                os.close(self._descriptor)
                self._open = False


def read_output(
    directory: Path, shared: SharedOutput | None = None, *, ended: bool = True
) -> Output:
    """Return the first and the last of each stream; empty where nothing was kept.

    Unless it has `ended`, the beginning of a character that is not whole yet is left out.
    """
    kept = _read(directory, shared, ended=ended)
    stdout, stderr = (_show(kept[stream], ended=ended) for stream in (STDOUT, STDERR))
    return Output(
        stdout=stdout.text, stderr=stderr.text, dropped_bytes=stdout.dropped + stderr.dropped
    )


def read_whole_stdout(directory: Path, total_bytes: int) -> bytes | None:
    """Return all of stdout where it was kept and is no longer than a result may be, else None."""
    if total_bytes > OBJECT_BYTES:
        return None
    stdout = _read(directory, None, ended=True)[STDOUT]
    content = bytes(stdout.first + stdout.last)
    return content if len(content) == total_bytes else None


def read_stdout_beginning(directory: Path) -> bytes:
    """Return what of stdout is kept without a gap from its first byte on."""
    return bytes(_read(directory, None, ended=True)[STDOUT].first)


def keep_shared_output(directory: Path, shared: SharedOutput) -> None:
    """Write what the supervisor, which is gone, would have written as the tail."""
    path = directory / TAIL_FILE
    content = shared.read()
    if content and not path.exists():
        replace_file(str(path), content)


class _Kept(NamedTuple):
    """What is kept of one stream."""

    first: bytearray
    last: bytearray
    """Begins where `first` ends, or later."""
    total: int
    """Bytes that were written, as far as that is known."""


class _Shown(NamedTuple):
    text: str
    dropped: int


def _show(kept: _Kept, *, ended: bool) -> _Shown:
    first, last, total = kept
    if total <= 2 * SHOWN_BYTES and len(first) + len(last) == total:
        return _Shown(codecs.utf_8_decode(first + last, 'replace', ended)[0], 0)
    if len(first) + len(last) == total:
        last = first + last
    beginning, shown = codecs.utf_8_decode(first[:SHOWN_BYTES], 'replace', False)
    last = last[_character_start(last, max(0, len(last) - SHOWN_BYTES)) :]
    end, _ = codecs.utf_8_decode(last, 'replace', ended)
    dropped = total - shown - len(last)
    return _Shown(f'{beginning}\n[... {dropped} bytes dropped ...]\n{end}', dropped)


def _character_start(content: bytes | bytearray, at: int) -> int:
    """Return `at`, or the end of the character that begins before it and ends after it."""
    for start in range(max(0, at - _MAX_CHARACTER_BYTES + 1), at):
        for end in range(at + 1, start + _MAX_CHARACTER_BYTES + 1):
            with contextlib.suppress(UnicodeDecodeError):
                if len(content[start:end].decode()) == 1:
                    return end
    return at


def _read(directory: Path, shared: SharedOutput | None, *, ended: bool) -> dict[int, _Kept]:
    # The head last: read before the tail, it could end before the tail that was read begins.
    unfiled = b'' if shared is None else shared.read()
    tail = _read_file(directory / TAIL_FILE) or unfiled
    first, noted = _joined(unpack(_read_file(directory / HEAD_FILE)))
    last, totals = _joined(unpack(tail, TOTALS.size))
    if len(tail) >= TOTALS.size:
        totals = _totals(tail)
    elif ended:
        # The tail was lost. Before the end it may only not have been shown yet.
        totals = noted
    return {stream: _kept(first[stream], last[stream], totals[stream]) for stream in first}


def _kept(first: bytearray, last: bytearray, total: int) -> _Kept:
    total = max(total, len(first))
    # The head can have got meanwhile what was the tail's when that was read.
    overlap = len(first) + len(last) - total
    return _Kept(first, last[max(0, overlap) :], total)


def _read_file(path: Path) -> bytes:
    try:
        return read_regular(path, _MAX_FILE_BYTES)
    except OSError:
        return b''


def _joined(frames: Iterator[Frame]) -> tuple[dict[int, bytearray], dict[int, int]]:
    """Return each stream's bytes, and what the frames say of totals.

    Never all frames are there at once, for they may be many.
    """
    streams = {STDOUT: bytearray(), STDERR: bytearray()}
    totals = {STDOUT: 0, STDERR: 0}
    for frame in frames:
        if frame.stream in streams:
            streams[frame.stream] += frame.content
        elif frame.stream == NOTE and len(frame.content) == TOTALS.size:
            totals = _totals(frame.content)
    return streams, totals


def _totals(content: bytes) -> dict[int, int]:
    return dict(zip((STDOUT, STDERR), TOTALS.unpack_from(content), strict=True))
