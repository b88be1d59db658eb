# SPDX-License-Identifier: Apache-2.0
"""Output as a supervisor keeps it and a gateway reads it, without either process."""

from collections.abc import Iterator, Sequence
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
import tempfile
from unittest import mock

from hypothesis import strategies as st

from gateway_node.child.output_frames import STDERR, STDOUT
from gateway_node.child.supervision import output_head, output_writing
from gateway_node.child.supervision.output_writing import OutputLog
from gateway_node.executions.output_lines import (
    DroppedLines,
    OutputLine,
    OutputLines,
    OutputStream,
)
from gateway_node.process import head_index, stream_lines
from gateway_node.process.line_reading import LineReader
from gateway_node.process.running_output import keep_shared_output, SharedOutput

STREAMS = {STDOUT: OutputStream.STDOUT, STDERR: OutputStream.STDERR}
FEW_BYTES = 40
"""Are shown of each end, where a test patches the bounds: so all that they do is seen soon."""


@dataclass
class Expected:
    """A plain model: what was written, and the lines of it, as a list."""

    content: dict[int, bytes] = field(default_factory=lambda: {STDOUT: b'', STDERR: b''})
    lines: list[tuple[int, bytes, int]] = field(default_factory=list)
    """Of each: its stream, its bytes, and where in the stream it ends."""
    begun: dict[int, bytes] = field(default_factory=lambda: {STDOUT: b'', STDERR: b''})

    def write(self, stream: int, content: bytes) -> None:
        """Take what a script wrote."""
        for byte in content:
            self.content[stream] += bytes((byte,))
            if byte == ord('\n'):
                end = len(self.content[stream]) - 1
                self.lines.append((stream, self.begun[stream], end))
                self.begun[stream] = b''
            else:
                self.begun[stream] += bytes((byte,))

    @property
    def written(self) -> dict[int, int]:
        """How many bytes of each stream there were."""
        return {stream: len(content) for stream, content in self.content.items()}

    def check(self, line: OutputLine) -> None:
        """Fail where a line is not the one that was written."""
        if line.number <= len(self.lines):
            stream, content, _ = self.lines[line.number - 1]
            assert line.stream is STREAMS[stream]
        else:
            (content,) = (b for s, b in self.begun.items() if STREAMS[s] is line.stream)
        text = content.decode(errors='replace')
        before, gap, after = line.text.partition(' [... ')
        if line.whole:
            assert line.text == text
        elif gap:
            dropped, _, end = after.partition(' bytes dropped ...] ')
            assert text.startswith(before)
            assert text.endswith(end)
            if '\N{REPLACEMENT CHARACTER}' not in line.text:
                assert int(dropped) + len((before + end).encode()) == len(content)
        else:
            assert text.startswith(line.text) or text.endswith(line.text)

    def is_kept(self, number: int, written: dict[int, int]) -> bool:
        """Tell whether a line's end is within the bounds, with so much written."""
        stream, _, end = self.lines[number - 1]
        return end < FEW_BYTES or end >= written[stream] - FEW_BYTES


class Follower:
    """Reads on from where it was, and knows what it has seen."""

    def __init__(self, reader: LineReader, after: int = 0) -> None:
        self._reader = reader
        self.after = after
        self.lines: list[OutputLine] = []
        self.dropped: list[DroppedLines] = []

    def read(self, shared: SharedOutput | None, *, limit: int, ended: bool) -> OutputLines:
        """Read once."""
        read = self._reader.read(
            'e', shared, after=self.after, limit=limit, stream=None, ended=ended
        )
        assert len(read.lines) <= limit
        seen = [(line.number, line.number) for line in read.lines]
        seen += [(gap.first, gap.last) for gap in read.dropped]
        for first, last in sorted(seen):
            assert first == self.after + 1
            self.after = last
        assert read.last == self.after
        self.lines += read.lines
        self.dropped += read.dropped
        return read

    def read_all(self, shared: SharedOutput | None, *, limit: int, ended: bool) -> OutputLines:
        """Read until nothing comes any more."""
        while (before := self.after) != (read := self.read(shared, limit=limit, ended=ended)).last:
            assert read.last > before
        return read


@contextlib.contextmanager
def small_bounds(*, free_headers_bytes: int = 60) -> Iterator[None]:
    """Let heads, tails and whatever else has a bound be small."""
    with (
        mock.patch.multiple(
            output_writing,
            SHOWN_BYTES=FEW_BYTES,
            TAIL_BYTES=FEW_BYTES + 3,
            _MAX_SMALL_FRAMES=3,
            _LATE_MERGED_BYTES=12,
            _MERGED_BYTES=20,
        ),
        mock.patch.multiple(
            output_head, _FREE_HEADERS_BYTES=free_headers_bytes, _MAX_HELD_BYTES=16
        ),
        mock.patch.object(stream_lines, 'SHOWN_BYTES', FEW_BYTES),
        mock.patch.object(head_index, '_INTERVAL_BYTES', 10),
    ):
        yield


PIECES = st.lists(
    st.sampled_from([b'a', b'b', 'ß'.encode(), '🤖'.encode(), b'\xff', b'\r', b'\n', b'\n']),
    max_size=30,
).map(b''.join)
WRITE = st.tuples(st.sampled_from([STDOUT, STDERR]), PIECES)
READ = st.integers(1, 5)
STEPS = st.lists(st.one_of(WRITE, st.just('share'), READ), max_size=60)
Step = tuple[int, bytes] | str | int


def take_part(log: OutputLog, shared: SharedOutput | None) -> SharedOutput | None:
    """Have the log share what there is; return what the gateway has of it."""
    descriptor = log.share()
    return shared if descriptor is None else SharedOutput(descriptor)


class Story:
    """A script that writes, a gateway that is told of it, and who reads on meanwhile."""

    def __init__(self, folder: Path) -> None:
        (folder / 'e').mkdir()
        self.folder = folder
        self.log = OutputLog(str(folder / 'e'), 0.0)
        self.reader = LineReader(folder)
        self.follower = Follower(self.reader)
        self.expected = Expected()
        self.shared: SharedOutput | None = None
        self.shown_lines = 0
        self._shown_bytes = self.expected.written

    def go_on(self, steps: Sequence[Step]) -> None:
        """Take the steps; fail where a line is told as dropped that is not."""
        for now, step in enumerate(steps):
            if isinstance(step, tuple):
                self.log.write(*step, float(now))
                self.expected.write(*step)
            elif isinstance(step, int):
                told = len(self.follower.dropped)
                self.follower.read(self.shared, limit=step, ended=False)
                for gap in self.follower.dropped[told:]:
                    for number in range(gap.first, gap.last + 1):
                        assert not self.expected.is_kept(number, self._shown_bytes)
            else:
                self.shared = take_part(self.log, self.shared)
                self._shown_bytes = self.expected.written
                self.shown_lines = len(self.expected.lines)

    def end(self, end: str) -> None:
        """Let the script end, or whoever keeps its output be killed."""
        if end == 'closed':
            self.log.close()
        elif end == 'supervisor killed' and self.shared is not None:
            keep_shared_output(self.folder / 'e', self.shared)
        if self.shared is not None:
            self.shared.close()


@contextlib.contextmanager
def story() -> Iterator[Story]:
    """Yield one with small bounds."""
    with tempfile.TemporaryDirectory() as folder, small_bounds():
        yield Story(Path(folder))


class Kept:
    """An output log with its true bounds, and a reader of it."""

    def __init__(self, folder: Path) -> None:
        (folder / 'e').mkdir()
        self.log = OutputLog(str(folder / 'e'), 0.0)
        self.reader = LineReader(folder)
        self.shared: SharedOutput | None = None

    def share(self) -> None:
        """Let the gateway see all that there is."""
        self.shared = take_part(self.log, self.shared)

    def read(
        self,
        after: int = 0,
        limit: int = 1000,
        stream: OutputStream | None = None,
        *,
        ended: bool = False,
    ) -> OutputLines:
        """Read once."""
        return self.reader.read(
            'e', self.shared, after=after, limit=limit, stream=stream, ended=ended
        )

    def newest(
        self,
        limit: int,
        before: int | None = None,
        stream: OutputStream | None = None,
        *,
        ended: bool = False,
    ) -> OutputLines:
        """Read the last ones."""
        return self.reader.read_newest(
            'e', self.shared, before=before, limit=limit, stream=stream, ended=ended
        )

    def text(self, stream: OutputStream | None = None, *, ended: bool = False) -> bytes:
        """Read all of it as text."""
        return self.reader.read_text('e', self.shared, stream=stream, ended=ended)

    def end(self) -> None:
        """Let the script have ended."""
        self.log.close()
        if self.shared is not None:
            self.shared.close()
            self.shared = None
