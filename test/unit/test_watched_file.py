# SPDX-License-Identifier: Apache-2.0
"""A file that says who is let in is read anew whenever it changes."""

import asyncio
import contextlib
import logging
import os
from pathlib import Path
import threading
from unittest.mock import Mock

import pytest

from gateway_node.access import watched_file
from gateway_node.access.errors import FileInvalid
from gateway_node.access.watched_file import FileAsRead, MAX_BYTES, WatchedFile

pytestmark = pytest.mark.asyncio


def private_text(file: FileAsRead) -> str:
    """Read a text that only its owner may read, and that is not `bad`."""
    file.check_private()
    if file.content == b'bad':
        raise FileInvalid('is bad; allowed: anything else')
    return file.content.decode()


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Put a file in the place of what is there, as a careful writer does."""
    fresh = path.with_name('fresh')
    fresh.write_text(text)
    fresh.chmod(mode)
    fresh.rename(path)


def put_pipe(path: Path) -> None:
    """Put a pipe in the place of a file."""
    path.unlink()
    os.mkfifo(path)


async def opened(path: Path, text: str = 'one') -> WatchedFile[str]:
    """Return a file that is watched."""
    write(path, text)
    watched = WatchedFile('auth.tokens_file', path, private_text)
    await watched.open()
    return watched


async def test_a_change_is_taken_and_told(tmp_path: Path) -> None:
    """Once; who writes the same again changed nothing."""
    watched = await opened(tmp_path / 'file')
    told: list[str] = []
    watched.on_change(lambda: told.append(watched.content))
    for text in ('one', 'two', 'two', 'three'):
        write(tmp_path / 'file', text)
        await watched.look()
        await watched.look()
    assert told == ['two', 'three']


async def test_what_was_written_in_the_same_moment_is_not_missed(tmp_path: Path) -> None:
    """The clock of files is coarse: what is new is read once more, however it looks."""
    path = tmp_path / 'file'
    watched = await opened(path)
    with path.open('r+') as file:
        before = os.fstat(file.fileno())
        file.write('two')
        file.flush()
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    await watched.look()
    assert watched.content == 'two'


async def test_what_could_not_be_read_is_tried_at_each_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been up to the system: the file does not look otherwise once it can be."""
    watched = await opened(tmp_path / 'file')
    write(tmp_path / 'file', 'two')
    with monkeypatch.context() as patch:
        patch.setattr(watched_file, '_read', Mock(side_effect=OSError(24, 'Too many open files')))
        for _ in range(3):
            await watched.look()
    assert watched.content == 'one'
    assert 'Too many open files' in watched.warnings[0]
    await watched.look()
    assert (watched.content, watched.warnings) == ('two', ())


@pytest.mark.parametrize(
    ('spoil', 'why'),
    [
        (lambda path: path.unlink(), 'cannot be read: No such file'),
        (lambda path: write(path, 'bad'), 'is bad; allowed: anything else'),
        (lambda path: path.chmod(0o644), 'has mode -rw-r--r--; allowed: a file that only'),
        (lambda path: write(path, 'x' * (MAX_BYTES + 1)), f'has more than {MAX_BYTES} bytes'),
        (put_pipe, 'is no file'),
        (lambda path: (path.unlink(), path.mkdir()), 'cannot be read: Is a directory'),
    ],
)
async def test_what_cannot_be_used_changes_nothing_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: object, why: str
) -> None:
    """Once in the log, and in the warnings until it is mended."""
    assert callable(spoil)
    path = tmp_path / 'file'
    watched = await opened(path)
    spoil(path)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            await watched.look()
    assert watched.content == 'one'
    (warning,) = watched.warnings
    assert f'what the file said before holds: parameter auth.tokens_file: {path} {why}' in warning
    assert len(caplog.records) == 1
    if path.is_dir():
        path.rmdir()
    write(path, 'two')
    await watched.look()
    assert (watched.content, watched.warnings) == ('two', ())


@pytest.mark.parametrize(('text', 'mode'), [('bad', 0o600), ('one', 0o640)])
async def test_it_does_not_open_with_what_cannot_be_used(
    tmp_path: Path, text: str, mode: int
) -> None:
    """Nothing was said before."""
    write(tmp_path / 'file', text, mode)
    with pytest.raises(FileInvalid, match=r'parameter auth.tokens_file: .* allowed: '):
        await WatchedFile('auth.tokens_file', tmp_path / 'file', private_text).open()


async def test_a_reading_that_is_asked_for_looks_whatever_the_file_looks_like(
    tmp_path: Path,
) -> None:
    """As at SIGHUP."""
    path = tmp_path / 'file'
    readings: list[bytes] = []

    def parse(file: FileAsRead) -> str:
        readings.append(file.content)
        return 'x'

    write(path, 'one')
    watched = WatchedFile('auth.tokens_file', path, parse)
    await watched.open()
    for _ in range(3):
        await watched.look()
    assert len(readings) == 2
    await watched.read_anew()
    assert len(readings) == 3


async def test_a_file_that_does_not_answer_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it said holds, and the warnings say why."""
    monkeypatch.setattr('gateway_node.access.watched_file._PATIENCE_SEC', 0.05)
    answers = threading.Event()
    answers.set()

    def parse(file: FileAsRead) -> str:
        answers.wait(30)
        return file.content.decode()

    path = tmp_path / 'file'
    write(path, 'one')
    watched = WatchedFile('auth.tokens_file', path, parse)
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(TimeoutError):  # of a slow machine
                await watched.open()
                break
            await asyncio.sleep(0)
    answers.clear()
    write(path, 'two')
    await watched.look()
    assert watched.content == 'one'
    assert 'does not answer' in watched.warnings[0]
    answers.set()
    async with asyncio.timeout(30):
        while watched.content != 'two':
            await watched.look()
            await asyncio.sleep(0)
    assert watched.warnings == ()


async def test_whoever_reads_while_it_is_renamed_sees_one_or_the_other(tmp_path: Path) -> None:
    """Never half of it, and at last what was written last."""
    path = tmp_path / 'file'
    texts = [f'{number} ' * 5000 for number in range(200)]
    watched = await opened(path, texts[0])
    seen: list[str] = []
    watched.on_change(lambda: seen.append(watched.content))

    def write_all() -> None:
        for text in texts[1:]:
            write(path, text)

    writing = asyncio.create_task(asyncio.to_thread(write_all))
    while not writing.done():
        await watched.look()
        assert watched.warnings == ()
    await writing
    await watched.look()
    await watched.look()
    assert watched.content == texts[-1]
    assert [text for text in seen if text not in texts] == []
