# SPDX-License-Identifier: Apache-2.0
"""Lines of a script's output: their numbers, and what is told of those that were dropped."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from output_stage import Follower, Kept, READ, Step, STEPS, story, STREAMS
import pytest

from gateway_node.child.output_frames import (
    Frame,
    joined,
    pack,
    SHOWN_BYTES,
    STDERR,
    STDOUT,
    unpack,
)
from gateway_node.executions.output_lines import DroppedLines, OutputLines, OutputStream
from gateway_node.process import head_index, stream_lines
from gateway_node.process.kept_files import read_kept_file
from gateway_node.process.line_reading import MAX_CHARACTERS


@given(steps=STEPS, after=st.integers(0, 99), limit=READ)
def test_every_line_is_seen_once_or_told_as_dropped(
    steps: Sequence[Step], after: int, limit: int
) -> None:
    """Whatever is written, whenever it is read, and from wherever: the same numbers and texts.

    What is within the bounds is seen; dropped is what is not, and nothing else.
    """
    with story() as told:
        told.go_on(steps)
        running = told.follower.read_all(told.shared, limit=limit, ended=False)
        assert running.last >= told.shown_lines
        assert not running.complete
        told.end('closed')
        late = Follower(told.reader, after)
        for each in (told.follower, late):
            final = each.read_all(None, limit=limit, ended=True)
            assert final.complete
            assert final.unfinished == ()
        whole = told.reader.read('e', None, after=0, limit=99, stream=None, ended=True)
        newest = told.reader.read_newest(
            'e', None, before=after, limit=limit, stream=None, ended=True
        )
    assert newest.lines == tuple(each for each in whole.lines if each.number < after)[-limit:]
    expected = told.expected
    for line in [*told.follower.lines, *late.lines]:
        expected.check(line)
    begun = sum(map(bool, expected.begun.values()))
    assert told.follower.after == len(expected.lines) + begun
    assert late.after == max(after, told.follower.after)
    seen = {line.number for line in late.lines}
    for number in range(after + 1, len(expected.lines) + 1):
        assert number in seen or not expected.is_kept(number, expected.written)


@given(steps=STEPS, end=st.sampled_from(['supervisor killed', 'both killed']))
def test_lines_have_the_same_numbers_when_somebody_was_killed(
    steps: Sequence[Step], end: str
) -> None:
    """What was lost is told as dropped; what had no end yet comes behind all that is known."""
    with story() as told:
        told.go_on(steps)
        running = told.follower.read_all(told.shared, limit=9, ended=False)
        told.end(end)
        late = Follower(told.reader)
        final = late.read_all(None, limit=9, ended=True)
        assert final.complete
    if end == 'supervisor killed':
        assert final.last >= running.last
    for line in late.lines:
        if line.number <= final.last - len(STREAMS):
            told.expected.check(line)


@given(
    reads=st.lists(st.tuples(st.binary(max_size=6), st.integers(0, 300)), min_size=1),
    cut=st.integers(0, 20),
)
def test_frames_keep_the_numbers_of_their_lines_however_they_are_joined_and_cut(
    reads: list[tuple[bytes, int]], cut: int
) -> None:
    """The other stream's lines, which ended between two reads, have theirs."""
    numbers: list[int] = []
    frames = []
    lines = 0
    for binary, others in reads:
        content = binary.replace(b'0', b'\n')
        lines += others
        frames.append(Frame(STDOUT, 0, lines, content))
        numbers += range(lines + 1, lines + 1 + content.count(b'\n'))
        lines += content.count(b'\n')
    whole = frames[0]
    for frame in frames[1:]:
        whole = joined(whole, frame)
    (whole,) = unpack(pack(whole), 0)
    assert whole.content == b''.join(frame.content for frame in frames)
    for parts in ([whole], [whole.first(cut), whole.beyond(cut)]):
        found = [
            number
            for part in parts
            for number, _ in zip(
                stream_lines.line_numbers(part), range(part.content.count(b'\n')), strict=False
            )
        ]
        assert found == numbers
    assert joined(whole.first(cut), whole.beyond(cut)).last_line == whole.last_line


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    """Yield an empty log."""
    started = Kept(tmp_path)
    yield started
    started.end()


def texts(read: OutputLines) -> list[tuple[int, str]]:
    """Return the numbers and texts of the lines."""
    return [(line.number, line.text) for line in read.lines]


def test_both_streams_have_one_numbering_in_the_order_of_their_line_ends(kept: Kept) -> None:
    """Where one of them is asked for, too. The time is that of the end."""
    kept.log.write(STDERR, b'slow', 1.0)
    kept.log.write(STDOUT, b'one\ntwo\n', 2.0)
    kept.log.write(STDERR, b' end\n', 3.0)
    read = kept.read()
    assert texts(read) == [(1, 'one'), (2, 'two'), (3, 'slow end')]
    assert [line.elapsed_ms for line in read.lines] == [2000, 2000, 3000]
    assert texts(kept.read(stream=OutputStream.STDERR)) == [(3, 'slow end')]
    assert texts(kept.read(after=1, limit=1)) == [(2, 'two')]
    assert kept.read(after=3).last == 3


def test_a_line_without_its_end_holds_no_other_up(kept: Kept) -> None:
    """As of a progress bar, which is shown beside the lines, and has no number until it ends."""
    kept.log.write(STDERR, b'\r10 %\r20 %', 1.0)
    kept.log.write(STDOUT, b'line\nprompt: \xc3', 2.0)
    read = kept.read()
    assert texts(read) == [(1, 'line')]
    assert [(begun.stream, begun.text) for begun in read.unfinished] == [
        (OutputStream.STDERR, '\r10 %\r20 %'),
        (OutputStream.STDOUT, 'prompt: '),
    ]
    assert kept.read(stream=OutputStream.STDOUT).unfinished == read.unfinished[1:]
    kept.end()
    ended = kept.read(ended=True)
    unknown = '\N{REPLACEMENT CHARACTER}'
    assert texts(ended) == [(1, 'line'), (2, '\r10 %\r20 %'), (3, f'prompt: {unknown}')]
    assert ended.complete
    assert not kept.read(limit=2, ended=True).complete
    assert texts(kept.read(after=2, ended=True)) == [(3, f'prompt: {unknown}')]
    assert kept.read(after=3, ended=True).complete


def test_dropped_lines_keep_their_numbers(kept: Kept) -> None:
    """A million of them are counted, and what the other stream said between is kept."""
    kept.log.write(STDOUT, b'y\n' * 40_000, 1.0)
    for _ in range(20):
        kept.log.write(STDOUT, b'y\n' * 25_000, 2.0)
    kept.log.write(STDERR, b'here\n', 2.0)
    for _ in range(20):
        kept.log.write(STDOUT, b'y\n' * 25_000, 3.0)
    kept.share()
    head = SHOWN_BYTES // 2
    total = 1_040_001
    read = kept.read(after=head - 1, limit=3)
    assert texts(read) == [(head, 'y'), (540_001, 'here'), (total - SHOWN_BYTES // 2 + 1, 'y')]
    assert read.dropped == (
        DroppedLines(first=head + 1, last=540_000),
        DroppedLines(first=540_002, last=total - SHOWN_BYTES // 2),
    )
    assert texts(kept.read(after=total - 1)) == [(total, 'y')]
    kept.end()
    assert kept.read(after=head - 1, limit=3, ended=True) == read


def test_a_line_that_is_longer_than_what_is_kept_is_one_line(kept: Kept) -> None:
    """Its two ends are, with a count of what is missing between; 2 GiB would be no more."""
    kept.log.write(STDOUT, b'begin ', 1.0)
    for _ in range(10):
        kept.log.write(STDOUT, '€'.encode() * 20_000, 1.0)
    kept.share()
    running = kept.read()
    assert running.lines == ()
    assert running.unfinished[0].text.startswith('begin €€')
    kept.log.write(STDOUT, b' end\nnext\n', 2.0)
    kept.share()
    first, second = kept.read().lines
    assert (second.number, second.text, second.whole) == (2, 'next', True)
    before, _, rest = first.text.partition(' [... ')
    dropped, _, after = rest.partition(' bytes dropped ...] ')
    assert int(dropped) == 600_006 + 4 - len((before + after).encode())
    assert after.endswith('€€ end')
    assert not first.whole
    assert '\N{REPLACEMENT CHARACTER}' not in first.text


def test_the_lines_at_the_cuts_are_told_to_be_cut(kept: Kept) -> None:
    """The head's is the one whose end came first beyond it; the tail's is known by its end."""
    kept.log.write(STDOUT, b'a' * SHOWN_BYTES, 1.0)
    kept.log.write(STDERR, b'between\n', 1.0)
    kept.log.write(STDOUT, b'a\n', 1.0)
    kept.log.write(STDOUT, b'-\n' * 1000, 1.0)
    kept.log.write(STDOUT, b'b' * SHOWN_BYTES + b'\nlast\n', 1.0)
    kept.end()
    between, first, second, last = kept.read(ended=True).lines
    assert (between.number, between.text) == (1, 'between')
    assert (first.number, first.text, first.whole) == (2, 'a' * SHOWN_BYTES, False)
    assert (second.number, set(second.text), second.whole) == (1003, {'b'}, False)
    assert (last.number, last.text, last.whole) == (1004, 'last', True)


def test_the_newest_lines_are_read_from_the_end(kept: Kept) -> None:
    """As many as were asked for, however many before them were dropped, and back from any."""
    kept.log.write(STDOUT, b'first\nsecond\n', 1.0)
    kept.log.write(STDERR, b'between\n', 1.0)
    for _ in range(30):
        kept.log.write(STDOUT, b'y\n' * 25_000, 2.0)
    kept.log.write(STDERR, b'error\n', 3.0)
    kept.log.write(STDOUT, b'last', 3.0)
    kept.share()
    total = 750_004
    assert texts(kept.newest(2)) == [(total - 1, 'y'), (total, 'error')]
    assert [begun.text for begun in kept.newest(2).unfinished] == ['last']
    assert texts(kept.newest(2, before=total)) == [(total - 2, 'y'), (total - 1, 'y')]
    errors = kept.newest(2, stream=OutputStream.STDERR)
    assert texts(errors) == [(3, 'between'), (total, 'error')]
    oldest = kept.newest(9, before=4)
    assert texts(oldest) == [(1, 'first'), (2, 'second'), (3, 'between')]
    assert (errors.earlier, oldest.earlier) == (False, False)
    assert kept.newest(2).earlier
    assert kept.newest(1, stream=OutputStream.STDERR).earlier
    kept.end()
    ended = kept.newest(2, ended=True)
    assert texts(ended) == [(total, 'error'), (total + 1, 'last')]
    assert ended.complete


def test_a_reading_is_bounded_by_characters_too(kept: Kept) -> None:
    """One line is there in any case."""
    line = b'{' + b'x' * (MAX_CHARACTERS // 3) + b'\n'
    for _ in range(9):
        kept.log.write(STDOUT, line, 1.0)
    assert len(kept.read().lines) == 3
    assert len(kept.read(after=2).lines) == 3
    newest = kept.newest(9)
    assert [line.number for line in newest.lines] == [8, 9]
    assert newest.earlier


def test_a_follower_of_a_long_head_does_not_read_it_from_its_begin(kept: Kept) -> None:
    """Whatever was read once is passed over by position."""
    kept.log.write(STDOUT, b'{', 0.0)
    for number in range(10_000):
        kept.log.write(STDOUT, b'"%08d": "%050d",\n' % (number, number), number / 1000)
    assert kept.read(after=9_000, limit=10).last == 9_010
    with mock.patch.object(head_index, 'read_kept_file', wraps=read_kept_file) as read:
        assert kept.read(after=9_000, limit=10).lines[0].number == 9_001
    (_, start), _ = read.call_args
    assert start > 500_000


def test_lines_whose_tail_was_lost_are_counted_as_far_as_they_were_noted(kept: Kept) -> None:
    """With supervisor and gateway. The line that the head cut may be the last that is known."""
    kept.log.write(STDOUT, b'x' * 20 + b'\n' + b'y' * SHOWN_BYTES, 1.0)
    kept.log.write(STDOUT, b'\n' * 100_000, 1.0)
    kept.shared = None
    read = kept.read(ended=True)
    assert [line.number for line in read.lines] == [1, 2]
    assert read.lines[1].text == 'y' * (SHOWN_BYTES - 21)
    assert read.dropped == (DroppedLines(first=3, last=100_001),)
    assert read.complete


def test_a_line_that_is_not_shown_yet_is_not_told_as_dropped(kept: Kept) -> None:
    """A reader sees the head at once and the tail later; it waits at what is between."""
    kept.log.write(STDERR, b'e' * SHOWN_BYTES + b'\n', 1.0)
    kept.log.write(STDOUT, b'one\n', 1.0)
    assert kept.read().last == 0
    kept.share()
    assert [line.number for line in kept.read().lines] == [1, 2]
