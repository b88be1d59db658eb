# SPDX-License-Identifier: Apache-2.0
"""Keeps the head and the tail of what a script writes: bounded, and with few writes to the disk.

Errors of the disk never reach the caller: what cannot be kept is dropped and counted, and the
draining of the script's pipes goes on.
"""

import base64
from collections import deque
import contextlib
import os

from gateway_node.child.contract import TOLD_OUTPUT_BYTES
from gateway_node.child.exposed_files import make_directory, replace_file
from gateway_node.child.output_frames import (
    FORM,
    Frame,
    HEAD_FILE,
    joined,
    NOTE,
    OBJECT_BYTES,
    pack,
    pack_totals,
    SHOWN_BYTES,
    STDERR,
    STDOUT,
    TAIL_BYTES,
    TAIL_FILE,
    Totals,
)
from gateway_node.child.shared_tail import SharedTail
from gateway_node.child.supervision.output_head import OutputHead

_SOON_MILLISECONDS = 10
_MERGED_BYTES = 4096
"""Of frames that come soon after each other."""
_MAX_SMALL_FRAMES = 512
"""From so many on small frames are merged whenever they come."""
_LATE_MERGED_BYTES = 512
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
            self._frames[-1] = joined(last, frame)
        else:
            self._frames.append(frame)
        self._size += len(frame.content)
        while self._size - len(self._frames[0].content) >= TAIL_BYTES:
            self._size -= len(self._frames.popleft().content)

    def frames(self) -> list[Frame]:
        """Return the last TAIL_BYTES, or all that there is."""
        frames = list(self._frames)
        if self._size > TAIL_BYTES:
            frames[0] = frames[0].beyond(self._size - TAIL_BYTES)
        return frames

    def _merges(self, last: Frame, frame: Frame) -> bool:
        size = len(last.content) + len(frame.content)
        if frame.milliseconds - last.milliseconds < _SOON_MILLISECONDS:
            return size <= _MERGED_BYTES
        return size <= _LATE_MERGED_BYTES and len(self._frames) >= _MAX_SMALL_FRAMES


class OutputLog:
    """Both streams of one execution, from `now` on, by the monotonic clock."""

    def __init__(self, directory: str, now: float) -> None:
        self.began = now
        """The moment from which the times of what is written count."""
        self.lost_bytes = 0
        """What is in no file because the disk did not take it at the end."""
        self._written = {STDOUT: 0, STDERR: 0}
        self._lines = 0
        self._beyond = {STDOUT: 0, STDERR: 0}
        self._directory = directory
        self._head = OutputHead(os.path.join(directory, HEAD_FILE))
        self._tail_path = os.path.join(directory, TAIL_FILE)
        self._tails = {STDOUT: _Tail(), STDERR: _Tail()}
        self._room = {STDOUT: SHOWN_BYTES, STDERR: SHOWN_BYTES}
        self._begun = False
        """True once stdout has told what it begins as."""
        self._note_from = 0
        """How many bytes have to be there for the head to be told how many there are."""
        self._shared: SharedTail | None = None
        self._told = {STDOUT: bytearray(), STDERR: bytearray()}
        """All of each, as long as the end of the script tells it."""
        self.news = False
        """True where there is more than was shared."""

    @property
    def totals(self) -> Totals:
        """All that the script wrote, kept or not."""
        return Totals(
            self._written[STDOUT],
            self._written[STDERR],
            self._lines,
            self._beyond[STDOUT],
            self._beyond[STDERR],
        )

    @property
    def total_bytes(self) -> int:
        """Of both streams, kept or not."""
        return self._written[STDOUT] + self._written[STDERR]

    def write(self, stream: int, content: bytes, now: float) -> None:
        """Keep what was read of a stream, or what there is room for."""
        frame = Frame(stream, round((now - self.began) * 1000), self._lines, content)
        self._written[stream] += len(content)
        if self.total_bytes <= TOLD_OUTPUT_BYTES:
            self._told[stream] += content
        self._lines += content.count(b'\n')
        rest = self._fill_head(frame) if self._room[stream] else frame
        if rest.content:
            self._add_to_tail(rest)
            if self.total_bytes >= self._note_from:
                self._note_totals()
        self.news = True

    def share(self) -> int | None:
        """Show the gateway what no file holds; return a descriptor of the memory the first time.

        Whoever gets the descriptor closes it.
        """
        self.news = False
        descriptor = None
        frames = self._unfiled_frames()
        if frames and self._shared is None:
            # Without memory the gateway sees the tail when the script has ended.
            with contextlib.suppress(OSError):
                self._shared = SharedTail()
                descriptor = self._shared.descriptor
        if self._shared is not None:
            self._shared.fill(self._packed(frames))
        return descriptor

    def close(self) -> None:
        """Write what is still to be written."""
        for frame in self._head.finish():
            self._add_to_tail(frame)
        frames = self._unfiled_frames()
        if frames:
            make_directory(self._directory)
            if not replace_file(self._tail_path, self._packed(frames)):
                self._note_totals()
                self.lost_bytes = self.total_bytes - self._head.content_bytes
        self._head.close()
        if self._shared is not None:
            self._shared.close()

    def told(self) -> str | None:
        """Return both streams as `EndReport.output` has them."""
        if self.total_bytes > TOLD_OUTPUT_BYTES:
            return None
        # Each in one frame: who reads lines reads the files.
        frames = [Frame(stream, 0, 0, bytes(all_)) for stream, all_ in self._told.items() if all_]
        return base64.b64encode(self._packed(frames)).decode()

    def _fill_head(self, frame: Frame) -> Frame:
        """Put into the head what it has room for; return what is the tail's."""
        stream = frame.stream
        if stream == STDOUT and not self._begun:
            self._look_for_an_object(frame.content)
        kept = frame
        if len(frame.content) > self._room[stream]:
            kept = frame.first(self._room[stream])
        room = self._room[stream] - len(kept.content)
        unkept = self._head.add(kept, full=not room)
        # No gap within the head: once a piece is missing all that follows is the tail's.
        self._room[stream] = 0 if unkept.content else room
        if kept is frame:
            return unkept
        rest = frame.beyond(len(kept.content))
        return joined(unkept, rest) if unkept.content else rest

    def _look_for_an_object(self, content: bytes) -> None:
        """Make room for a JSON object where that is how stdout begins."""
        beginning = content.lstrip(_BEFORE_AN_OBJECT)
        if beginning:
            self._begun = True
            if beginning.startswith(b'{'):
                self._room[STDOUT] += OBJECT_BYTES - SHOWN_BYTES

    def _add_to_tail(self, frame: Frame) -> None:
        stream = frame.stream
        if not self._beyond[stream] and b'\n' in frame.content:
            self._beyond[stream] = frame.ended + 1 + sum(frame.skips[:1])
        self._tails[stream].add(frame)

    def _note_totals(self) -> None:
        """Write down how much there is, each time it has doubled.

        Should the tail be lost, with supervisor and gateway, it is known that there was one.
        """
        self._note_from = 2 * self.total_bytes
        self._head.append(Frame(NOTE, 0, 0, pack_totals(self.totals)))

    def _unfiled_frames(self) -> list[Frame]:
        frames = [*self._head.held.values()]
        for tail in self._tails.values():
            frames += tail.frames()
        return frames

    def _packed(self, frames: list[Frame]) -> bytes:
        return FORM + pack_totals(self.totals) + b''.join(map(pack, frames))
