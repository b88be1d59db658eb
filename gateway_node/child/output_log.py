"""Keeps the head and the tail of what a script writes, in files of bounded size.

Errors of the disk never reach the caller: what cannot be kept is dropped and counted, and the
draining of the script's pipes goes on.
"""

from collections import deque
import contextlib
import os

from gateway_node.child.output_frames import (
    Frame,
    HEAD_BYTES,
    HEAD_FILE,
    pack,
    pack_header,
    SHOWN_BYTES,
    STDERR,
    STDOUT,
    TAIL_FILE,
    TOTALS,
)
from gateway_node.child.script_side_files import open_fresh

_TAIL_INTERVAL_SEC = 0.25
_MERGE_NANOSECONDS = 10_000_000
_MERGED_BYTES = 4096
_MAX_SMALL_FRAMES = 1024
"""From so many on small frames are merged whatever lies between them."""


def _merges(last: Frame, frame: Frame, count: int) -> bool:
    """Return True where `frame` is to go into the last one of `count` frames."""
    return (
        last.stream == frame.stream
        and len(last.content) + len(frame.content) <= _MERGED_BYTES
        and (
            frame.nanoseconds - last.nanoseconds < _MERGE_NANOSECONDS or count >= _MAX_SMALL_FRAMES
        )
    )


class _Tail:
    """The last bytes of one stream; at least SHOWN_BYTES where there were as many."""

    def __init__(self) -> None:
        self.frames: deque[Frame] = deque()
        self._size = 0

    def add(self, frame: Frame) -> None:
        last = self.frames[-1] if self.frames else None
        if last is not None and _merges(last, frame, len(self.frames)):
            self.frames[-1] = last._replace(content=last.content + frame.content)
        else:
            self.frames.append(frame)
        self._size += len(frame.content)
        while self._size - len(self.frames[0].content) >= SHOWN_BYTES:
            self._size -= len(self.frames.popleft().content)


class OutputLog:
    """Both streams of one execution."""

    def __init__(self, directory: str) -> None:
        self._head_path = os.path.join(directory, HEAD_FILE)
        self.totals = {STDOUT: 0, STDERR: 0}
        self._tail_path = os.path.join(directory, TAIL_FILE)
        self._tails = {STDOUT: _Tail(), STDERR: _Tail()}
        self._room = dict(HEAD_BYTES)
        self._head_size = 0
        self._head_frames = 0
        self._last: Frame | None = None
        """The frame at the head's end."""
        self._head: int | None = None
        """None until there is something to keep: no start has to wait for the file."""
        self._tail_due: float | None = None

    @property
    def total_bytes(self) -> int:
        """All that the script wrote, kept or not."""
        return self.totals[STDOUT] + self.totals[STDERR]

    @property
    def tail_due(self) -> float | None:
        """When, by the monotonic clock, `flush_tail` has something to do."""
        return self._tail_due

    def write(self, frame: Frame, now: float) -> None:
        """Keep the frame, or what there is room for."""
        self.totals[frame.stream] += len(frame.content)
        room = self._room[frame.stream]
        if room > 0:
            kept = frame._replace(content=frame.content[:room])
            if self._append(kept):
                self._room[frame.stream] = room - len(kept.content)
                frame = frame._replace(content=frame.content[room:])
            else:
                # No gap within the head: once a piece is missing all that follows is the tail's.
                self._room[frame.stream] = 0
        if frame.content:
            self._tails[frame.stream].add(frame)
            if self._tail_due is None:
                self._tail_due = now + _TAIL_INTERVAL_SEC

    def flush_tail(self) -> None:
        """Replace the tail's file by what the tails hold now."""
        self._tail_due = None
        frames = [*self._tails[STDOUT].frames, *self._tails[STDERR].frames]
        content = TOTALS.pack(self.totals[STDOUT], self.totals[STDERR]) + b''.join(
            pack(frame) for frame in frames
        )
        incoming = f'{self._tail_path}.new'
        try:
            with open(open_fresh(incoming), 'wb') as file:
                file.write(content)
            os.replace(incoming, self._tail_path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(incoming)

    def close(self) -> None:
        """Write what is still to be written."""
        if self._tail_due is not None:
            self.flush_tail()
        if self._head is not None:
            os.close(self._head)
            self._head = None

    def _append(self, frame: Frame) -> bool:
        if self._head is None:
            try:
                self._head = open_fresh(self._head_path)
            except OSError:
                return False
        last = self._last
        if last is not None and _merges(last, frame, self._head_frames):
            return self._lengthen(last, frame)
        if not self._write(pack(frame)):
            return False
        self._last = frame
        self._head_frames += 1
        return True

    def _lengthen(self, last: Frame, frame: Frame) -> bool:
        """Add the content to the last frame. Its length comes first: see `unpack`."""
        assert self._head is not None
        merged = last._replace(content=last.content + frame.content)
        start = self._head_size - len(pack(last))
        try:
            os.pwrite(self._head, pack_header(merged), start)
            if self._write(frame.content):
                self._last = merged
                return True
            os.pwrite(self._head, pack_header(last), start)
        except OSError:
            return False
        return False

    def _write(self, content: bytes) -> bool:
        assert self._head is not None
        try:
            written = os.write(self._head, content)
        except OSError:
            written = 0
        if written == len(content):
            self._head_size += written
            return True
        with contextlib.suppress(OSError):
            os.ftruncate(self._head, self._head_size)
            os.lseek(self._head, self._head_size, os.SEEK_SET)
        return False
