"""Reads what a supervisor kept of a script's output; while it runs, and after: in a thread."""

from pathlib import Path

from gateway_node.child.output_frames import (
    HEAD_BYTES,
    HEAD_FILE,
    SHOWN_BYTES,
    STDERR,
    STDOUT,
    TAIL_FILE,
    TOTALS,
    unpack,
)
from gateway_node.executions.values import Output
from gateway_node.process.kept_files import read_regular

_MAX_FILE_BYTES = 16 * 1024 * 1024
"""More than the frames of a full head are, one byte in each."""

_Streams = dict[int, bytearray]


def read_output(directory: Path) -> Output:
    """Return the first and the last of each stream; empty where nothing was kept."""
    head, tail, totals = _read_files(directory)
    stdout = _Shown(STDOUT, head, tail, totals)
    stderr = _Shown(STDERR, head, tail, totals)
    return Output(
        stdout=stdout.text, stderr=stderr.text, dropped_bytes=stdout.dropped + stderr.dropped
    )


def read_whole_stdout(directory: Path, total_bytes: int) -> bytes | None:
    """Return all of stdout where it is within the head and all of it was kept, else None."""
    if total_bytes > HEAD_BYTES[STDOUT]:
        return None
    head, tail, _ = _read_files(directory)
    content = bytes(head[STDOUT] + tail[STDOUT])
    return content if len(content) == total_bytes else None


class _Shown:
    """One stream as the API shows it."""

    def __init__(
        self, stream: int, head: _Streams, tail: _Streams, totals: dict[int, int]
    ) -> None:
        first, last = head[stream], tail[stream]
        total = max(totals.get(stream, 0), len(first))
        gap = total - len(first) - len(last)
        if gap > 0:
            first, last = first[:SHOWN_BYTES], last[-SHOWN_BYTES:]
        elif total > 2 * SHOWN_BYTES:
            first, last = first[:SHOWN_BYTES], (first + last)[-SHOWN_BYTES:]
        self.dropped = total - len(first) - len(last)
        between = f'\n[... {self.dropped} bytes dropped ...]\n' if self.dropped else ''
        if between:
            self.text = _decoded(first) + between + _decoded(last)
        else:
            self.text = _decoded(first + last)


def _read_files(directory: Path) -> tuple[_Streams, _Streams, dict[int, int]]:
    # The tail first: read after the head it could begin later than the head that was read ends.
    tail = _read(directory / TAIL_FILE)
    head = _joined(_read(directory / HEAD_FILE))
    if len(tail) < TOTALS.size:
        return head, _joined(b''), {}
    stdout, stderr = TOTALS.unpack_from(tail)
    return head, _joined(tail, TOTALS.size), {STDOUT: stdout, STDERR: stderr}


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, _MAX_FILE_BYTES)
    except OSError:
        return b''


def _joined(content: bytes, offset: int = 0) -> _Streams:
    """Return each stream's bytes; never all frames at once, of which there may be many."""
    streams = {STDOUT: bytearray(), STDERR: bytearray()}
    for frame in unpack(content, offset):
        if frame.stream in streams:
            streams[frame.stream] += frame.content
    return streams


def _decoded(content: bytes | bytearray) -> str:
    return content.decode(errors='replace')
