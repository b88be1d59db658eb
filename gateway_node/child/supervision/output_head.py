# SPDX-License-Identifier: Apache-2.0
"""The file of the first bytes that a script writes. It is appended to and never rewritten."""

import contextlib
import os

from gateway_node.child.exposed_files import make_directory, open_fresh
from gateway_node.child.output_frames import (
    FORM,
    Frame,
    header,
    joined,
    LEAST_HEADER_BYTES,
    NOTHING,
    pack,
)

_FREE_HEADERS_BYTES = 4096
"""For the headers of small frames: one block of the disk."""
_DEAREST = 8
"""Beyond that, how many bytes of content each byte of a header has to bring."""
_MAX_HELD_BYTES = 4096
"""From so many on a frame is written whatever its header costs: line numbers may make it long."""


class OutputHead:
    """One frame behind the other, of both streams.

    Small frames are written at once as long as their headers do not cost the disk too much; then
    each is held back until more of its stream has come. A header takes 5 to 12 bytes where no
    lines of the other stream ended within, so that is until there are some 50 bytes.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.held: dict[int, Frame] = {}
        """What is held back, by stream."""
        self._descriptor: int | None = None
        """None until there is something to keep: no start has to wait for the file."""
        self._size = 0
        self._headers_bytes = 0
        self.content_bytes = 0
        """Of the streams, that are in the file."""

    def add(self, frame: Frame, *, full: bool) -> Frame:
        """Append the frame, or hold it back unless it makes its stream's head full.

        Return what cannot be kept, with what was held back before it; empty where all can.
        """
        held = self.held.pop(frame.stream, None)
        if held is not None:
            frame = joined(held, frame)
        size = len(frame.content)
        if not full and self._too_dear(LEAST_HEADER_BYTES + len(frame.skips), size):
            # A header need not be made to see that.
            self.held[frame.stream] = frame
            return NOTHING
        header_bytes = len(header(frame))
        if not full and self._too_dear(header_bytes, size):
            self.held[frame.stream] = frame
        elif self.append(frame):
            self._headers_bytes += header_bytes
            self.content_bytes += len(frame.content)
        else:
            return frame
        return NOTHING

    def append(self, frame: Frame) -> bool:
        """Write the frame at the end; return False where the disk does not take it."""
        packed = pack(frame) if self._size else FORM + pack(frame)
        try:
            if self._descriptor is None:
                make_directory(os.path.dirname(self._path))
                self._descriptor = open_fresh(self._path)
            written = os.write(self._descriptor, packed)
        except OSError:
            written = 0
        if written == len(packed):
            self._size += written
            return True
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
                os.lseek(self._descriptor, self._size, os.SEEK_SET)
        return False

    def finish(self) -> list[Frame]:
        """Append what was held back; return what of it cannot be kept."""
        ends = [frame._replace(content=b'') for frame in self.held.values()]
        return [unkept for end in ends if (unkept := self.add(end, full=True)).content]

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _too_dear(self, header_bytes: int, content_bytes: int) -> bool:
        headers_bytes = self._headers_bytes + header_bytes
        affordable = _FREE_HEADERS_BYTES + (self.content_bytes + content_bytes) // _DEAREST
        return content_bytes < _MAX_HELD_BYTES and headers_bytes > affordable
