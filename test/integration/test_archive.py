# SPDX-License-Identifier: Apache-2.0
"""What the history does not keep any longer goes to the archive first."""

import asyncio
from collections.abc import AsyncIterator
import datetime
import json
import os
from pathlib import Path
import stat
import threading
from typing import Any

from clients import CLIENT
from fakes import EXECUTOR, new_execution
from lives import APP, COMPLETED, Life, Robot
import pytest
from small_disks import filled, mounted
from waiting import wait_until

from gateway_node.executions.documents import archived_execution
from gateway_node.executions.errors import ArchiveUnavailable
from gateway_node.executions.values import Execution, ExecutionType
from gateway_node.storage.archive import MonthlyArchive


def ended(number: int, *, month: int = 3, **fields: Any) -> Execution:
    """Return an execution that ended in some month of 2026."""
    at = datetime.datetime(2026, month, 31, 23, 59, 59, tzinfo=datetime.UTC)
    return new_execution(number, status=COMPLETED, completed_at=at, **fields)


async def each_of(*executions: Execution) -> AsyncIterator[Execution]:
    """Give executions one after the other."""
    for execution in executions:
        yield execution


def lines_of(directory: Path) -> dict[str, list[str]]:
    """Return the ids in each file of an archive; each line is whole."""
    return {
        path.name: [json.loads(line)['id'] for line in path.read_bytes().splitlines()]
        for path in sorted(directory.iterdir())
        if path.suffix == '.ndjson'
    }


def ids(*numbers: int) -> list[str]:
    """Return the ids of executions."""
    return [new_execution(number).id for number in numbers]


def archive_in(directory: Path) -> MonthlyArchive:
    """Return the archive of a directory."""
    return MonthlyArchive(directory, archived_execution)


async def test_an_execution_is_a_line_in_the_file_of_the_month_of_its_end(
    tmp_path: Path,
) -> None:
    """With its parameters, as the API shows it, for the gateway's user alone."""
    directory = tmp_path / 'usb' / 'archive'
    archive = archive_in(directory)
    result = {'text': 'two\nlines', 'surrogate': '\ud800'}
    first = ended(
        1, input_parameters={'depth': 3}, output_parameters=result, executor=EXECUTOR, exit_code=0
    )
    await archive.check()
    await archive.append(each_of(first, ended(2, month=5)))
    await archive.append(each_of(ended(3)))
    assert lines_of(directory) == {
        'executions-2026-03.ndjson': ids(1, 3),
        'executions-2026-05.ndjson': ids(2),
    }
    path = directory / 'executions-2026-03.ndjson'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = json.loads(path.read_bytes().splitlines()[0])
    assert (kept['input_parameters'], kept['parameters']) == ({'depth': 3}, result)
    assert kept['executor'] == {'name': '/gateway_node', 'host': 'robot'}
    assert (kept['status'], kept['exit_code']) == ('completed', 0)
    assert kept['completed_at'] == '2026-03-31T23:59:59.000Z'
    assert not {'href', 'is_outdated', 'output'} & kept.keys()


async def test_what_a_crash_left_of_a_line_is_cut_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It was not finished, so that nothing of it was removed: it comes again, whole."""
    path = tmp_path / 'executions-2026-03.ndjson'
    await archive_in(tmp_path).append(each_of(ended(1)))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"id": "' + 100_000 * b'x')
    await archive_in(tmp_path).append(each_of(ended(2)))
    assert lines_of(tmp_path) == {path.name: ids(1, 2)}
    assert '100008 bytes of a line that was not finished are cut off' in caplog.text
    path.write_bytes(b'no line at all')
    await archive_in(tmp_path).append(each_of(ended(3)))
    assert lines_of(tmp_path) == {path.name: ids(3)}


async def test_a_full_disk_keeps_nothing_of_a_batch(tmp_path: Path) -> None:
    """What was there stays as it was; once there is room all of it is kept."""
    with mounted(tmp_path / 'small', 'size=1m') as disk:
        archive = archive_in(disk)
        await archive.append(each_of(ended(1)))
        large = ended(3, month=5, input_parameters={'text': 100_000 * 'x'})
        with filled(disk):
            with pytest.raises(ArchiveUnavailable, match='No space left'):
                await archive.append(each_of(ended(2), large))
            (warning,) = archive.warnings
            assert f'history.archive_dir {disk}' in warning
            kept = {name: each for name, each in lines_of(disk).items() if each}
            assert kept == {'executions-2026-03.ndjson': ids(1)}
        await archive.append(each_of(ended(2), large))
        assert archive.warnings == ()
        assert lines_of(disk) == {
            'executions-2026-03.ndjson': ids(1, 2),
            'executions-2026-05.ndjson': ids(3),
        }


async def test_a_disk_that_refuses_even_the_close_is_told_as_one_that_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NFS does (man 2 close): all files of the batch are left as they were, and closed."""
    close = os.close
    closed = []

    def refusing(descriptor: int) -> None:
        close(descriptor)
        closed.append(descriptor)
        raise OSError(28, 'No space left on device')

    archive = archive_in(tmp_path)
    await archive.append(each_of(ended(1)))
    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', _no_space)
        patch.setattr(os, 'close', refusing)
        with pytest.raises(ArchiveUnavailable, match='No space left'):
            await archive.append(each_of(ended(2), ended(3, month=5)))
    assert archive.warnings
    assert len(closed) == 2
    await archive.append(each_of(ended(2)))
    assert lines_of(tmp_path)['executions-2026-03.ndjson'] == ids(1, 2)


async def test_what_could_not_be_removed_is_not_archived_again(tmp_path: Path) -> None:
    """As often as it is tried, in one life of the gateway."""
    archive = archive_in(tmp_path)
    for numbers in ((1, 2), (1, 2), (2, 3), (2, 3)):
        await archive.append(each_of(*map(ended, numbers)))
    assert lines_of(tmp_path) == {'executions-2026-03.ndjson': ids(1, 2, 3)}


async def test_an_archive_that_cannot_be_is_said_before_it_is_needed(tmp_path: Path) -> None:
    """In a warning, until a look finds it in order."""
    in_the_way = tmp_path / 'archive'
    in_the_way.write_bytes(b'')
    archive = archive_in(in_the_way)
    with pytest.raises(ArchiveUnavailable, match='nothing is removed from the history'):
        await archive.check()
    assert archive.warnings
    in_the_way.unlink()
    await archive.check()
    assert archive.warnings == ()


async def test_an_archive_that_does_not_answer_is_said_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a mount that died; when it answers again, the batch goes on."""
    answers = threading.Event()

    def slowly(descriptor: int) -> None:
        answers.wait(30)

    monkeypatch.setattr(os, 'fsync', slowly)
    monkeypatch.setattr('gateway_node.storage.archive._PATIENCE_SEC', 0)
    archive = archive_in(tmp_path)
    appending = asyncio.create_task(archive.append(each_of(ended(1))))
    await wait_until(lambda: archive.warnings, what='a warning')
    assert 'it does not answer' in archive.warnings[0]
    answers.set()
    await appending
    assert archive.warnings == ()


async def ran(life: Life, script_id: str) -> str:
    """Let a script run; return the id of its execution."""
    execution = await life.start(script_id, ExecutionType.NOW)
    return (await life.finish(execution.id)).id


async def gone(life: Life, execution_id: str) -> None:
    """Wait until an execution is removed."""
    while await life.store.get(execution_id) is not None:
        pass  # each turn is a read of the disk


async def test_retention_archives_what_it_removes_and_a_client_does_not(
    tmp_path: Path,
) -> None:
    """With what no list shows; a client that deletes wants nothing to be left."""
    robot = Robot(tmp_path)
    robot.max_kept = 1
    robot.archive = archive_in(tmp_path / 'archive')
    async with robot.gateway() as life:
        script_id = await life.upload()
        first, second = [await ran(life, script_id) for _ in range(2)]
        await gone(life, first)
        await life.executions.delete(APP, script_id, second, actor=CLIENT)
    (lines,) = lines_of(tmp_path / 'archive').values()
    assert lines == [first]


async def test_nothing_is_removed_that_cannot_be_archived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it can be it is, once, and then removed."""
    monkeypatch.setattr('gateway_node.executions.retention.RETRY_SEC', 0.01)
    robot = Robot(tmp_path)
    robot.max_kept = 1
    robot.archive = archive_in(tmp_path / 'archive')
    async with robot.gateway() as life:
        script_id = await life.upload()
        await ran(life, script_id)
        with monkeypatch.context() as patch:
            patch.setattr(os, 'fsync', _no_space)
            first, second = await life.all(script_id), await ran(life, script_id)
            while not robot.archive.warnings:
                await life.store.last_id()
            assert [each.id for each in await life.all(script_id)] == [first[0].id, second]
        await gone(life, first[0].id)
        assert robot.archive.warnings == ()
    (lines,) = lines_of(tmp_path / 'archive').values()
    assert lines == [first[0].id]


def _no_space(descriptor: int) -> None:
    raise OSError(28, 'No space left on device')
