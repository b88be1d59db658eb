# SPDX-License-Identifier: Apache-2.0
"""A script's output as text: its bytes, in the order of its lines."""

from collections.abc import Iterator, Sequence
from pathlib import Path
import re

from hypothesis import given
from hypothesis import strategies as st
from output_stage import Kept, Step, STEPS, story, STREAMS
import pytest

from gateway_node.child.output_frames import SHOWN_BYTES, STDERR, STDOUT
from gateway_node.executions.output_lines import OutputStream

MARK = re.compile(rb'(?:(?<=[^\n])\n)?\[\.\.\. (\d+) bytes of (stdout|stderr) dropped \.\.\.\]\n')


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    """Yield an empty log."""
    started = Kept(tmp_path)
    yield started
    started.end()


@given(steps=STEPS, ended=st.booleans())
def test_a_stream_is_told_as_it_was_written(steps: Sequence[Step], ended: bool) -> None:
    """Byte by byte, but for those that were dropped: of those it tells how many."""
    with story() as told:
        told.go_on([*steps, 'share'])
        if ended:
            told.end('closed')
        shared = None if ended else told.shared
        texts = {
            each: told.reader.read_text('e', shared, stream=stream, ended=ended)
            for each, stream in STREAMS.items()
        }
    for stream, text in texts.items():
        written = told.expected.content[stream]
        first, *cut = MARK.split(text)
        if not cut:
            assert text == written
            continue
        dropped, name, last = cut
        assert name.decode() == STREAMS[stream].value
        assert written.startswith(first)
        assert written.endswith(last)
        # The line end in front of the mark is its own, or that of the last line that is whole.
        between = len(written) - len(first) - len(last)
        own_end = written[len(first) :].startswith(b'\n')
        assert int(dropped) in ({between, between - 1} if own_end else {between})


@given(steps=STEPS)
def test_both_streams_come_in_the_order_of_their_lines(steps: Sequence[Step]) -> None:
    """As a terminal would show them, if each line came at once."""
    with story() as told:
        told.go_on(steps)
        told.end('closed')
        text = told.reader.read_text('e', None, stream=None, ended=True)
        read = told.reader.read('e', None, after=0, limit=999, stream=None, ended=True)
    shown = iter(text.decode(errors='replace').split('\n'))
    assert all(line.text in shown for line in read.lines if line.whole)


def test_what_no_line_end_follows_is_last(kept: Kept) -> None:
    """It begins a line of its own; nothing is put behind it."""
    kept.log.write(STDERR, b'\r10 %', 1.0)
    kept.log.write(STDOUT, b'one\ntwo\n> ', 2.0)
    kept.log.write(STDERR, b'\r20 %', 3.0)
    assert kept.text() == b'one\ntwo\n> \n\r10 %\r20 %'
    assert kept.text(OutputStream.STDOUT) == b'one\ntwo\n> '
    kept.end()
    assert kept.text(ended=True) == b'one\ntwo\n> \n\r10 %\r20 %'


def test_bytes_stay_as_they_are(kept: Kept) -> None:
    """Whatever they are: nothing is decoded, nor is a line ended by anything but a line feed."""
    binary = bytes(range(256)) * 3
    kept.log.write(STDOUT, binary, 1.0)
    kept.log.write(STDERR, b'e\n', 2.0)
    kept.end()
    assert kept.text(OutputStream.STDOUT, ended=True) == binary
    assert kept.text(ended=True).replace(b'e\n', b'', 1) == binary


def test_what_was_dropped_is_told_where_it_was(kept: Kept) -> None:
    """Between the lines of the other stream, which come as they came."""
    kept.log.write(STDERR, b'before\n', 1.0)
    kept.log.write(STDOUT, b'y\n' * SHOWN_BYTES, 2.0)
    kept.log.write(STDERR, b'after\n', 3.0)
    kept.log.write(STDOUT, b'z' * SHOWN_BYTES, 4.0)
    kept.share()
    mark = b'[... %d bytes of stdout dropped ...]\n' % SHOWN_BYTES
    half = b'y\n' * (SHOWN_BYTES // 2)
    assert kept.text() == b'before\n' + half + mark + b'after\n' + b'z' * SHOWN_BYTES
    assert kept.text(OutputStream.STDERR) == b'before\nafter\n'


def test_no_half_character_stands_at_a_cut(kept: Kept) -> None:
    """Its bytes are dropped with the others, of the head's end and of the tail's begin."""
    kept.log.write(STDOUT, b'-' + '€'.encode() * 100_000 + b'\n', 1.0)
    kept.end()
    first, mark, last = kept.text(ended=True).split(b'\n', 2)
    assert set(first.decode()) == {'-', '€'}
    assert set(last.decode()) == {'€', '\n'}
    dropped = 300_002 - len(first) - len(last)
    assert mark == b'[... %d bytes of stdout dropped ...]' % dropped
