# SPDX-License-Identifier: Apache-2.0
"""Shows the first and the last of what a script wrote; while it runs, and after: in a thread."""

import codecs
from collections.abc import Iterable
import contextlib
from pathlib import Path
from typing import NamedTuple

from gateway_node.child.output_frames import (
    Frame,
    NOTE,
    OBJECT_BYTES,
    SHOWN_BYTES,
    STDERR,
    STDOUT,
    Totals,
    unpack_tail,
    unpack_totals,
)
from gateway_node.executions.values import Output
from gateway_node.process.kept_output import read_kept
from gateway_node.process.running_output import SharedOutput

LONGEST_CHARACTER_BYTES = 4


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


class ToldOutput(NamedTuple):
    """An output that the end of its script told."""

    output: Output
    stdout: bytes | None
    """All of stdout; None where that is not all there was."""


def read_told_output(content: bytes) -> ToldOutput:
    """Return an output that is told in the form of the tail's file, which has all of it."""
    totals, frames = unpack_tail(content)
    streams, _ = _joined(frames)
    totals = totals or Totals()
    stdout, stderr = (
        _show(_Kept(bytearray(), streams[stream], totals.written(stream)), ended=True)
        for stream in (STDOUT, STDERR)
    )
    whole = len(streams[STDOUT]) == totals.stdout_bytes
    return ToldOutput(
        Output(
            stdout=stdout.text, stderr=stderr.text, dropped_bytes=stdout.dropped + stderr.dropped
        ),
        bytes(streams[STDOUT]) if whole else None,
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
    last = last[character_start(last, max(0, len(last) - SHOWN_BYTES)) :]
    end, _ = codecs.utf_8_decode(last, 'replace', ended)
    dropped = total - shown - len(last)
    return _Shown(f'{beginning}\n[... {dropped} bytes dropped ...]\n{end}', dropped)


def character_start(content: bytes | bytearray, at: int) -> int:
    """Return `at`, or the end of the character that begins before it and ends after it."""
    for start in range(max(0, at - LONGEST_CHARACTER_BYTES + 1), at):
        for end in range(at + 1, start + LONGEST_CHARACTER_BYTES + 1):
            with contextlib.suppress(UnicodeDecodeError):
                if len(content[start:end].decode()) == 1:
                    return end
    return at


def _read(directory: Path, shared: SharedOutput | None, *, ended: bool) -> dict[int, _Kept]:
    kept = read_kept(directory, shared)
    first, noted = _joined(kept.head)
    last, _ = _joined(kept.unfiled)
    totals = kept.totals
    if totals is None:
        # The tail was lost. Before the end it may only not have been shown yet.
        totals = noted if ended else Totals()
    return {stream: _kept(first[stream], last[stream], totals.written(stream)) for stream in first}


def _kept(first: bytearray, last: bytearray, total: int) -> _Kept:
    total = max(total, len(first))
    # The head can have got meanwhile what was the tail's when that was read.
    overlap = len(first) + len(last) - total
    return _Kept(first, last[max(0, overlap) :], total)


def _joined(frames: Iterable[Frame]) -> tuple[dict[int, bytearray], Totals]:
    """Return each stream's bytes, and what the frames say of totals."""
    streams = {STDOUT: bytearray(), STDERR: bytearray()}
    totals = Totals()
    for frame in frames:
        if frame.stream in streams:
            streams[frame.stream] += frame.content
        elif frame.stream == NOTE:
            totals = unpack_totals(frame.content) or totals
    return streams, totals
