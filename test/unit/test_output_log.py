# SPDX-License-Identifier: Apache-2.0
"""What is kept of a script's output, how much the disk is written for it, and what is shown."""

from collections.abc import Callable, Iterator
import itertools
import os
from pathlib import Path
import threading

from hypothesis import given
from hypothesis import strategies as st
import pytest

from gateway_node.child.output_frames import (
    FORM,
    Frame,
    HEAD_FILE,
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
    unpack,
)
from gateway_node.child.shared_tail import MAX_CONTENT_BYTES, MEMORY_BYTES, newest, SharedTail
from gateway_node.child.supervision.output_writing import OutputLog
from gateway_node.process.outcomes import read_printed_object
from gateway_node.process.output_reading import (
    read_output,
    read_whole_stdout,
)
from gateway_node.process.running_output import keep_shared_output, SharedOutput

UNKNOWN = '\N{REPLACEMENT CHARACTER}'


def marker(dropped: int) -> str:
    """Return what stands in place of dropped bytes."""
    return f'\n[... {dropped} bytes dropped ...]\n'


def in_pieces(content: bytes, piece: int) -> Iterator[bytes]:
    """Cut the content into pieces."""
    for start in range(0, len(content), piece):
        yield content[start : start + piece]


def write(log: OutputLog, content: bytes, *, stream: int = STDOUT, piece: int = 65536) -> None:
    """Write the content in pieces that come a second apart."""
    for number, part in enumerate(in_pieces(content, piece)):
        log.write(stream, part, float(number))


def kept(folder: Path, content: bytes) -> OutputLog:
    """Return the log of a script that wrote the content to stdout and has ended."""
    log = OutputLog(str(folder), 0.0)
    write(log, content)
    log.close()
    return log


def share(log: OutputLog) -> SharedOutput:
    """Return what the gateway has of a log that shares for the first time."""
    descriptor = log.share()
    assert descriptor is not None
    return SharedOutput(descriptor)


def letters(count: int) -> bytes:
    """Return text in which no part is like another."""
    return b''.join(b'%07d\n' % number for number in range(count // 8 + 1))[:count]


@given(frames=st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=20))))
def test_frames_are_what_was_packed(frames: list[tuple[int, bytes]]) -> None:
    """Stream, time and bytes come back; of a frame that was cut off what there is."""
    packed = [Frame(stream, n, 999 * n, content) for n, (stream, content) in enumerate(frames)]
    stream = b''.join(map(pack, packed))
    assert list(unpack(stream, 0)) == packed
    if packed:
        cut = packed[-1]._replace(content=packed[-1].content[:-1])
        assert list(unpack(stream[:-1], 0)) in (packed[:-1], [*packed[:-1], cut])


@pytest.mark.parametrize('total', [0, 10, SHOWN_BYTES, 2 * SHOWN_BYTES, 2 * SHOWN_BYTES + 1])
@pytest.mark.parametrize('beyond', [0, OBJECT_BYTES])
@pytest.mark.parametrize('piece', [1000, 65536])
@pytest.mark.parametrize('beginning', [b'', b'{', b'\n\xef\xbb\xbf {'])
def test_the_first_and_the_last_of_a_stream_are_shown(
    tmp_path: Path, total: int, beyond: int, piece: int, beginning: bytes
) -> None:
    """Whatever the size and the pieces: 64 KiB of each end, the rest is counted.

    All of stdout is there where it could be a JSON object of up to 1 MiB.
    """
    content = (beginning + letters(total + beyond))[: total + beyond]
    log = OutputLog(str(tmp_path), 0.0)
    write(log, content, piece=piece)
    log.write(STDERR, b'error', 0.0)
    log.close()
    output = read_output(tmp_path)
    dropped = max(0, len(content) - 2 * SHOWN_BYTES)
    assert output.dropped_bytes == dropped
    assert output.stderr == 'error'
    if dropped:
        assert output.stdout == (
            content[:SHOWN_BYTES].decode() + marker(dropped) + content[-SHOWN_BYTES:].decode()
        )
    else:
        assert output.stdout == content.decode()
    all_kept = len(content) <= SHOWN_BYTES + TAIL_BYTES or (
        beginning and len(content) <= OBJECT_BYTES
    )
    whole = read_whole_stdout(tmp_path, len(content))
    assert whole == (content if all_kept else None)


def test_an_object_of_one_mebibyte_is_kept_whole(tmp_path: Path) -> None:
    """It is the script's result; one byte more is none."""
    content = b'{' + bytes(OBJECT_BYTES - 1)
    kept(tmp_path, content)
    assert read_whole_stdout(tmp_path, len(content)) == content
    kept(tmp_path, content + b'}')
    assert read_whole_stdout(tmp_path, len(content) + 1) is None


@pytest.mark.parametrize(
    ('beginning', 'told'),
    [(b'{"a": 1}\n', True), (b'\xef\xbb\xbf \n{', True), (b'[{', False), (b'a {', False)],
)
def test_what_may_have_been_an_object_is_told_where_it_is_too_long(
    tmp_path: Path, beginning: bytes, told: bool
) -> None:
    """A text that is no object, however long, is no reason to complain."""
    content = beginning + bytes(OBJECT_BYTES)
    kept(tmp_path, content)
    printed, complaint = read_printed_object(tmp_path, len(content))
    assert printed is None
    assert ('it was not taken as the result' in complaint) is told


def test_an_object_behind_a_head_of_blanks_makes_no_gap(tmp_path: Path) -> None:
    """What begins as an object later than that is no result, and is shown where it belongs."""
    content = b' ' * 70_000 + b'{' + letters(100_000)
    log = OutputLog(str(tmp_path), 0.0)
    write(log, content, piece=10_000)
    log.close()
    assert read_output(tmp_path).stdout == (
        ' ' * SHOWN_BYTES
        + marker(len(content) - 2 * SHOWN_BYTES)
        + content[-SHOWN_BYTES:].decode()
    )


def written_bytes() -> int:
    """Return how many bytes this thread has written to files (man 5 proc_pid_io, wchar)."""
    lines = Path('/proc/thread-self/io').read_text().splitlines()
    return int(dict(line.split(': ') for line in lines)['wchar'])


@pytest.mark.parametrize('piece', [1, 10, 100, 65536])
@pytest.mark.parametrize('streams', [(STDOUT,), (STDERR, STDOUT)])
def test_the_disk_is_written_little_more_than_is_kept(
    tmp_path: Path, piece: int, streams: tuple[int, ...]
) -> None:
    """At most 1.2 bytes for each that is kept, however the script writes; nothing is rewritten.

    Memory that is shared with the gateway is no disk.
    """
    log = OutputLog(str(tmp_path), 0.0)
    content = letters(3 * SHOWN_BYTES)
    before = written_bytes()
    shared = 0
    for number, part in enumerate(in_pieces(content, piece)):
        for stream in streams:
            log.write(stream, part, float(number))
        if number % 1000 == 2 and (descriptor := log.share()) is not None:
            os.close(descriptor)
            shared += 1
    log.close()
    cost = written_bytes() - before
    output = read_output(tmp_path)
    assert output.dropped_bytes == len(streams) * SHOWN_BYTES
    assert shared == 1
    kept_bytes = len(streams) * 2 * SHOWN_BYTES
    assert kept_bytes <= cost <= 1.2 * kept_bytes


def test_little_output_is_on_the_disk_at_once(tmp_path: Path) -> None:
    """What a script has said before it hangs can be read, in the pieces in which it came."""
    log = OutputLog(str(tmp_path), 0.0)
    for number in range(300):
        log.write(STDOUT, b'.', number / 1000)
        assert read_output(tmp_path).stdout == '.' * (number + 1)
    assert log.share() is None
    frames = unpack((tmp_path / HEAD_FILE).read_bytes())
    assert [frame.milliseconds for frame in frames] == list(range(300))


def test_output_is_kept_where_a_script_removed_the_folder_of_all_executions(
    tmp_path: Path,
) -> None:
    """What is above the directory of an execution is made anew."""
    folder = tmp_path / 'executions' / 'exec_1'
    assert kept(folder, b'up\n').lost_bytes == 0
    assert read_output(folder).stdout == 'up\n'


def test_what_is_held_back_of_many_small_writes_is_shared(tmp_path: Path) -> None:
    """Single bytes cost the disk too much; the gateway can read them at every moment."""
    log = OutputLog(str(tmp_path), 0.0)
    content = letters(20_000)
    shared = None
    for number in range(len(content)):
        write(log, content[number : number + 1])
        if number % 777 == 776:
            descriptor = log.share()
            if descriptor is not None:
                shared = SharedOutput(descriptor)
            shown = read_output(tmp_path, shared, ended=False)
            assert (shown.stdout, shown.dropped_bytes) == (content[: number + 1].decode(), 0)
    assert shared is not None
    shared.close()
    log.close()
    assert read_whole_stdout(tmp_path, len(content)) == content
    assert not (tmp_path / TAIL_FILE).exists()


def test_what_the_head_got_meanwhile_is_shown_once(tmp_path: Path) -> None:
    """A reader can have the head of a later moment than the tail."""
    log = OutputLog(str(tmp_path), 0.0)
    content = letters(2000)
    write(log, content, piece=1)
    with_held = share(log)
    log.close()
    assert read_output(tmp_path, with_held).stdout == content.decode()
    with_held.close()


def test_the_tail_is_in_memory_until_the_end(tmp_path: Path) -> None:
    """While the script runs only its head is on the disk; the count is right all the time."""
    log = OutputLog(str(tmp_path), 0.0)
    content = letters(500_000)
    write(log, content[:200_000])
    assert log.news
    shared = share(log)
    shown = read_output(tmp_path, shared, ended=False)
    assert shown.stdout.endswith(content[200_000 - SHOWN_BYTES : 200_000].decode())
    assert shown.dropped_bytes == 200_000 - 2 * SHOWN_BYTES
    write(log, content[200_000:])
    assert log.share() is None
    shown = read_output(tmp_path, shared, ended=False)
    assert shown.stdout.endswith(content[-SHOWN_BYTES:].decode())
    assert shown.dropped_bytes == len(content) - 2 * SHOWN_BYTES
    assert os.listdir(tmp_path) == [HEAD_FILE]
    log.close()
    assert read_output(tmp_path, shared) == shown
    shared.close()
    assert read_output(tmp_path, shared) == shown


def test_the_gateway_keeps_the_tail_of_a_lost_supervisor(tmp_path: Path) -> None:
    """It writes what the supervisor would have written, but not over that."""
    log = OutputLog(str(tmp_path), 0.0)
    write(log, letters(300_000))
    shared = share(log)
    keep_shared_output(tmp_path, shared)
    lost = read_output(tmp_path)
    assert lost.stdout.endswith(letters(300_000)[-SHOWN_BYTES:].decode())
    assert lost.dropped_bytes == 300_000 - 2 * SHOWN_BYTES
    write(log, letters(300_000))
    log.close()
    written = read_output(tmp_path)
    keep_shared_output(tmp_path, shared)
    assert read_output(tmp_path) == written != lost
    shared.close()


@pytest.mark.parametrize(
    ('written', 'known'), [(70_000, 70_000), (139_000, 70_000), (1_000_000, 560_000)]
)
def test_a_tail_that_is_lost_is_counted(tmp_path: Path, written: int, known: int) -> None:
    """With supervisor and gateway its memory goes. At least half of what there was is known."""
    log = OutputLog(str(tmp_path), 0.0)
    write(log, letters(written), piece=10_000)
    assert read_output(tmp_path, ended=False).dropped_bytes == 0
    lost = read_output(tmp_path)
    assert lost.dropped_bytes == known - SHOWN_BYTES
    assert lost.stdout == letters(SHOWN_BYTES).decode() + marker(known - SHOWN_BYTES)
    assert read_whole_stdout(tmp_path, written) is None


def test_a_tail_for_which_there_is_no_room_is_counted(tmp_path: Path) -> None:
    """The head takes the last count, where the disk has room for that."""
    log = OutputLog(str(tmp_path), 0.0)
    write(log, letters(999_999), piece=10_000)
    (tmp_path / f'{TAIL_FILE}.new').mkdir()
    log.close()
    assert read_output(tmp_path).dropped_bytes == 999_999 - SHOWN_BYTES


@pytest.mark.parametrize('gap', [1, 100_000])
@pytest.mark.parametrize('character', ['ß', '€', '🤖'])
@pytest.mark.parametrize('before', [0, 1, 2, 3])
@pytest.mark.parametrize('after', [0, 1, 2, 3])
def test_no_character_is_cut_in_two(
    tmp_path: Path, gap: int, character: str, before: int, after: int
) -> None:
    """The bytes of a character that the cut goes through are dropped, and counted."""
    size = len(character.encode())
    # `before` bytes of one are within the first 64 KiB, `after` bytes of another in the last.
    before, after = before % size, after % size
    first = 'a' * (SHOWN_BYTES - before)
    last = 'z' * (SHOWN_BYTES - after)
    cut = (character if before else '') + '-' * gap + (character if after else '')
    kept(tmp_path, (first + cut + last).encode())
    assert read_output(tmp_path).stdout == first + marker(len(cut.encode())) + last
    assert read_output(tmp_path).dropped_bytes == len(cut.encode())


@pytest.mark.parametrize('invalid', [b'\x80', b'\xbf\xbf\xbf', b'\xff', b'\xe4', b'\xed\xa0\x80'])
def test_at_a_cut_too_bytes_that_are_no_text_are_replaced(tmp_path: Path, invalid: bytes) -> None:
    """Only a character that was whole is left out; Latin-1 and the like show as before."""
    size = len(invalid)
    first = b'a' * (SHOWN_BYTES - size - 1) + invalid + b'a'
    last = invalid + b'z' * (SHOWN_BYTES - size)
    kept(tmp_path, first + b'-' * 5000 + last)
    output = read_output(tmp_path)
    assert output.dropped_bytes == 5000
    assert output.stdout == first.decode(errors='replace') + marker(5000) + last.decode(
        errors='replace'
    )


def test_half_a_character_is_shown_when_it_is_whole(tmp_path: Path) -> None:
    """While the script runs the rest may still come; at its end there is none."""
    log = OutputLog(str(tmp_path), 0.0)
    log.write(STDOUT, 'a€'.encode()[:-1], 0.0)
    running = read_output(tmp_path, ended=False)
    assert (running.stdout, running.dropped_bytes) == ('a', 0)
    assert read_output(tmp_path).stdout == f'a{UNKNOWN}'
    log.write(STDOUT, '€'.encode()[-1:], 0.0)
    assert read_output(tmp_path, ended=False).stdout == 'a€'
    write(log, b'-' * 200_000 + '🤖'.encode()[:3])
    shared = share(log)
    running = read_output(tmp_path, shared, ended=False)
    assert running.stdout.endswith('--')
    assert running.dropped_bytes == 200_007 - 2 * SHOWN_BYTES
    log.close()
    assert read_output(tmp_path).stdout.endswith(f'-{UNKNOWN}')
    shared.close()


@given(memory=st.binary(max_size=200))
def test_shared_memory_may_hold_anything(memory: bytes) -> None:
    """A script is of the same user and can write into it."""
    assert isinstance(newest(memory), bytes)
    assert isinstance(newest(memory.ljust(MEMORY_BYTES, b'\xff')), bytes)


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'\xff' * 15,
        b'\xff' * MAX_CONTENT_BYTES,
        FORM + pack_totals(Totals(2**64 - 1)),
        FORM + pack_totals(Totals()) + pack(Frame(STDOUT, 0, 0, b'forged')),
        FORM + pack_totals(Totals(9)) + pack(Frame(STDOUT, 0, 0, b'f\n', (2**62,)))[:-5],
        FORM
        + pack_totals(Totals(9, 9))
        + pack(Frame(NOTE, 0, 0, b''))
        + pack(Frame(77, 0, 0, b'forged')),
    ],
    ids=range(7),
)
def test_what_no_supervisor_would_share_is_shown_as_something(
    tmp_path: Path, content: bytes
) -> None:
    """Forged memory makes the output of its own execution wrong, and nothing fail."""
    kept(tmp_path, b'head')
    tail = SharedTail()
    tail.fill(content)
    shared = SharedOutput(tail.descriptor)
    shown = read_output(tmp_path, shared, ended=False)
    assert shown.stdout.startswith('head')
    assert shown.dropped_bytes >= 0
    shared.close()


@pytest.mark.parametrize(
    'spoil',
    [
        lambda memory: os.pwrite(memory, b'\xff' * MEMORY_BYTES, 0),
        lambda memory: os.pwrite(memory, b'\xff' * 16, 0),
        lambda memory: os.pwrite(memory, b'\0' * MEMORY_BYTES, 0),
    ],
)
def test_a_forged_memory_harms_only_its_own_script(
    tmp_path: Path, spoil: Callable[[int], int]
) -> None:
    """What is shown then may be wrong; it is text with a count, and the next reading is right."""
    log = OutputLog(str(tmp_path), 0.0)
    write(log, letters(300_000))
    descriptor = log.share()
    assert descriptor is not None
    spoil(descriptor)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    shared = SharedOutput(descriptor)
    assert read_output(tmp_path, shared, ended=False).stdout.startswith('0000000\n')
    for _ in range(2):
        log.share()
    shown = read_output(tmp_path, shared, ended=False)
    assert shown.dropped_bytes == 300_000 - 2 * SHOWN_BYTES
    shared.close()


def test_a_reader_sees_no_half_written_memory() -> None:
    """However often the writer fills it while it is read: what is read was filled in once."""
    tail = SharedTail()
    output = SharedOutput(tail.descriptor)
    stop = threading.Event()

    def fill() -> None:
        for number in itertools.count(1):
            tail.fill(bytes([number % 256]) * MAX_CONTENT_BYTES)
            if stop.is_set():
                return

    tail.fill(bytes(MAX_CONTENT_BYTES))
    writer = threading.Thread(target=fill)
    writer.start()
    try:
        read = [output.read() for _ in range(200)]
    finally:
        stop.set()
        writer.join()
    assert any(read)
    assert all(len(set(content)) <= 1 for content in read)
    output.close()
    assert output.read() == b''


def test_the_fullest_tail_has_room_in_the_memory(tmp_path: Path) -> None:
    """Small frames and large ones, of both streams."""
    log = OutputLog(str(tmp_path), 0.0)
    for number in range(3 * SHOWN_BYTES // 100):
        for stream in (STDOUT, STDERR):
            size = 1 if number % 2 else 200
            log.write(stream, b'x' * size, float(number))
    log.close()
    assert SHOWN_BYTES * 2 < (tmp_path / TAIL_FILE).stat().st_size < MAX_CONTENT_BYTES
