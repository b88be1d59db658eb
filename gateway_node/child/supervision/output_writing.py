# SPDX-License-Identifier: Apache-2.0
"""Keeps the head and the tail of what a script writes: bounded, and with few writes to the disk.

Errors of the disk never reach the caller: what cannot be kept is dropped and counted, and the
draining of the script's pipes goes on.
"""

from collections import deque
import contextlib
import os

from gateway_node.child.exposed_files import replace_file
from gateway_node.child.output_frames import (
    Frame,
    HEAD_FILE,
    NOTE,
    OBJECT_BYTES,
    pack,
    SHOWN_BYTES,
    STDERR,
    STDOUT,
    TAIL_BYTES,
    TAIL_FILE,
    TOTALS,
)
from gateway_node.child.shared_tail import SharedTail
from gateway_node.child.supervision.output_head import OutputHead

_SHARE_INTERVAL_SEC = 0.1
_MERGE_NANOSECONDS = 10_000_000
_MERGED_BYTES = 4096
_MAX_SMALL_FRAMES = 512
"""From so many on small frames are merged whatever lies between them."""
_BEFORE_AN_OBJECT = b' \t\r\n\xef\xbb\xbf'
"""White space, and the bytes of a byte order mark."""


class _Tail:
    """The last bytes of one stream; at least TAIL_BYTES where there were as many."""

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._size = 0

    def add(self, frame: Frame) -> None:
        last = self._frames[-1] if self._frames else None
        if last is not None and self._merges(last, frame):
            self._frames[-1] = last._replace(content=last.content + frame.content)
        else:
            self._frames.append(frame)
        self._size += len(frame.content)
        while self._size - len(self._frames[0].content) >= TAIL_BYTES:
            self._size -= len(self._frames.popleft().content)

    def frames(self) -> list[Frame]:
        """Return the last TAIL_BYTES, or all that there is."""
        frames = list(self._frames)
        if frames:
            surplus = max(0, self._size - TAIL_BYTES)
            frames[0] = frames[0]._replace(content=frames[0].content[surplus:])
        return frames

    def _merges(self, last: Frame, frame: Frame) -> bool:
        soon = frame.nanoseconds - last.nanoseconds < _MERGE_NANOSECONDS
        return len(last.content) + len(frame.content) <= _MERGED_BYTES and (
            soon or len(self._frames) >= _MAX_SMALL_FRAMES
        )


class OutputLog:
    """Both streams of one execution."""

    def __init__(self, directory: str) -> None:
        self.totals = {STDOUT: 0, STDERR: 0}
        self.lost_bytes = 0
        """What is in no file because the disk did not take it at the end."""
        self._head = OutputHead(os.path.join(directory, HEAD_FILE))
        self._tail_path = os.path.join(directory, TAIL_FILE)
        self._tails = {STDOUT: _Tail(), STDERR: _Tail()}
        self._room = {STDOUT: SHOWN_BYTES, STDERR: SHOWN_BYTES}
        self._begun = False
        """True once stdout has told what it begins as."""
        self._note_from = 0
        """How many bytes have to be there for the head to be told how many there are."""
        self._shared: SharedTail | None = None
        self.share_due: float | None = None
        """When, by the monotonic clock, `share` has something to do."""

    @property
    def total_bytes(self) -> int:
        """All that the script wrote, kept or not."""
        return self.totals[STDOUT] + self.totals[STDERR]

    def write(self, frame: Frame, now: float) -> None:
        """Keep the frame, or what there is room for."""
        stream = frame.stream
        self.totals[stream] += len(frame.content)
        if stream == STDOUT and not self._begun and self._room[STDOUT]:
            self._look_for_an_object(frame.content)
        rest = self._fill_head(frame)
        if rest.content:
            self._tails[stream].add(rest)
            if self.total_bytes >= self._note_from:
                self._note_totals(frame.nanoseconds)
        if self.share_due is None and (rest.content or self._head.held):
            self.share_due = now + _SHARE_INTERVAL_SEC

    def share(self) -> int | None:
        """Show the gateway what no file holds; return a descriptor of the memory the first time.

        Whoever gets the descriptor closes it.
        """
        self.share_due = None
        descriptor = None
        if self._shared is None:
            # Without memory the gateway sees the tail when the script has ended.
            with contextlib.suppress(OSError):
                self._shared = SharedTail()
                descriptor = self._shared.descriptor
        if self._shared is not None:
            self._shared.fill(self._unfiled())
        return descriptor

    def close(self) -> None:
        """Write what is still to be written."""
        for frame in self._head.finish():
            self._tails[frame.stream].add(frame)
        tailed = any(tail.frames() for tail in self._tails.values())
        if tailed and not replace_file(self._tail_path, self._unfiled()):
            self._note_totals(0)
            self.lost_bytes = self.total_bytes - self._head.content_bytes
        self._head.close()

    def _look_for_an_object(self, content: bytes) -> None:
        """Make room for a JSON object where that is how stdout begins."""
        beginning = content.lstrip(_BEFORE_AN_OBJECT)
        if beginning:
            self._begun = True
            if beginning.startswith(b'{'):
                self._room[STDOUT] += OBJECT_BYTES - SHOWN_BYTES

    def _fill_head(self, frame: Frame) -> Frame:
        """Put into the head what it has room for; return what is the tail's."""
        room = self._room[frame.stream]
        if not room:
            return frame
        kept = frame._replace(content=frame.content[:room])
        room -= len(kept.content)
        unkept = self._head.add(kept, full=not room)
        # No gap within the head: once a piece is missing all that follows is the tail's.
        self._room[frame.stream] = 0 if unkept.content else room
        return unkept._replace(content=unkept.content + frame.content[len(kept.content) :])

    def _note_totals(self, nanoseconds: int) -> None:
        """Write down how much there is, each time it has doubled.

        Should the tail be lost, with supervisor and gateway, it is known that there was one.
        """
        self._note_from = 2 * self.total_bytes
        self._head.append(Frame(NOTE, nanoseconds, self._packed_totals()))

    def _packed_totals(self) -> bytes:
        return TOTALS.pack(self.totals[STDOUT], self.totals[STDERR])

    def _unfiled(self) -> bytes:
        frames = [*self._head.held.values()]
        for tail in self._tails.values():
            frames += tail.frames()
        return self._packed_totals() + b''.join(map(pack, frames))
