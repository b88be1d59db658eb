# SPDX-License-Identifier: Apache-2.0
"""Databases of earlier versions: brought forward with all that is in them, or left as they are."""

from collections.abc import Iterator
import contextlib
import itertools
import json
import os
from pathlib import Path
import shutil
import signal
import sqlite3
import subprocess
import sys
from typing import Any

from earlier_form import summary_of, to_parameters
from fakes import FakeClock
from import_path import IMPORT_PATH
from made_up_history import MadeUpHistory
import pytest
from small_disks import filled, mounted

from gateway_node.executions.document_reading import execution_from
from gateway_node.executions.errors import StoreUnavailable
from gateway_node.executions.filters import ExecutionFilter, Moments, TriggerFilter
from gateway_node.executions.matching import matches
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.values import Execution
from gateway_node.storage.database import Database, FILE_NAME
from gateway_node.storage.execution_store import SqliteExecutionStore
from gateway_node.storage.schema import STEPS

SEARCHED_SINCE = 3
"""The last schema version without columns for what executions are searched by."""
EXECUTIONS = 200
UNKNOWN_THEN = ('script_name', 'script_kind', 'script_tags', 'verdict', 'summary', 'metrics')
KILLED_WHILE_IT_MIGRATES = """
import os, pathlib, signal, sqlite3, sys
from gateway_node.storage.database_file import connect
from gateway_node.storage.schema import migrate

class Connection:
    def __init__(self, connection, statements):
        self._connection = connection
        self._left = statements

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def execute(self, *arguments):
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1
        return self._connection.execute(*arguments)

connection = connect(pathlib.Path(sys.argv[1]))
connection.execute('PRAGMA journal_mode = WAL')
# A small cache has it write to the file before the commit.
connection.execute('PRAGMA cache_size = 10')
migrate(Connection(connection, int(sys.argv[2])))
"""
"""Migrates a file, and dies before so many statements more."""


def write_database(state_dir: Path) -> dict[str, Execution]:
    """Write a database of the version before; return its executions.

    Some were recorded in another order than their ids were given.
    """
    connection = sqlite3.connect(state_dir / FILE_NAME, isolation_level=None)
    connection.execute('PRAGMA auto_vacuum = INCREMENTAL')
    connection.execute('PRAGMA journal_mode = WAL')
    connection.execute('BEGIN')
    for statement in itertools.chain(*STEPS[:SEARCHED_SINCE]):
        connection.execute(statement)
    connection.execute(f'PRAGMA user_version = {SEARCHED_SINCE}')
    history = list(MadeUpHistory(EXECUTIONS).executions())
    history[50:60] = reversed(history[50:60])
    executions: dict[str, Execution] = {}
    for execution in history:
        row = _row(execution)
        connection.execute(
            f'INSERT INTO executions ({", ".join(row)}) VALUES ({", ".join("?" * len(row))})',
            tuple(row.values()),
        )
        executions[execution.id] = execution_from(row['document'], row['parameters'])
    last_id = max(executions)
    connection.execute('UPDATE store_state SET last_id = ?, up_sec = 100', (last_id,))
    # A number that is free, as removed executions leave them.
    gone = min(each.id for each in executions.values() if not each.is_open)
    connection.execute('DELETE FROM executions WHERE id = ?', (gone,))
    connection.execute('COMMIT')
    connection.close()
    del executions[gone]
    return executions


def _row(execution: Execution) -> dict[str, Any]:
    """Return the row that the version before made of an execution."""
    summary = summary_of(execution)
    for name in UNKNOWN_THEN:
        summary.pop(name, None)
    return {
        'id': execution.id,
        'entity': execution.entity.path,
        'script_id': execution.script_id,
        'status': execution.status.value,
        'scheduled': execution.is_schedule,
        'parent': execution.parent,
        'exit_code': execution.exit_code,
        'created_at': execution.created_at.isoformat(),
        'ended_sec': None if execution.is_open else 50.0,
        'document': json.dumps(summary, separators=(',', ':')),
        'parameters': to_parameters(execution),
        'kept_bytes': None if execution.is_open else 4096,
    }


def filters_of(execution: Execution) -> Iterator[ExecutionFilter]:
    """Return a filter for each thing by which an execution is found, and that it has."""
    values: dict[str, Any] = {
        'statuses': execution.status,
        'entities': execution.entity.path,
        'scripts': execution.script_id,
        'exit_codes': execution.exit_code,
        'signals': execution.signal,
        'vendor_codes': execution.failure and execution.failure.reason.value,
        'execution_types': execution.execution_type,
        'triggers': TriggerFilter(type=execution.trigger.type),
        'usernames': execution.trigger.username,
        'parents': execution.parent,
        'schedules': execution.parent,
        'priorities': execution.priority,
    }
    for name, value in values.items():
        if value is not None:
            fields: dict[str, Any] = {name: frozenset({value})}
            yield ExecutionFilter(**fields)
    yield ExecutionFilter(scheduled=execution.is_schedule)


async def check(state_dir: Path, known: dict[str, Execution]) -> None:
    """Check that everything is there as it was, and that each filter finds what it means."""
    store = await SqliteExecutionStore.open(await Database.open(state_dir), FakeClock())
    for execution_id, execution in known.items():
        assert await store.get(execution_id) == execution
    questions = [each for one in known.values() for each in filters_of(one)]
    for one in [*known.values()][::20]:
        questions.append(ExecutionFilter(created=Moments(after=one.created_at)))
        questions.append(ExecutionFilter(created=Moments(before=one.created_at)))
    # Many ask the same.
    for wanted in {repr(each): each for each in questions}.values():
        found = await store.find(wanted, KeysetPage(limit=-1000))
        ids = [each.id for each in found.executions]
        meant = [each for each in sorted(known, reverse=True) if matches(wanted, known[each])]
        assert (ids, found.more) == (meant, None), wanted
    assert sum((await store.counts()).values()) == len(known)
    assert await store.last_id() == max(known)
    await store.close()


async def test_what_an_earlier_version_recorded_is_found(tmp_path: Path) -> None:
    """Every execution is as it was, and by every filter that found it is found what it means."""
    known = write_database(tmp_path)
    await check(tmp_path, known)


def left_by_a_kill(state_dir: Path, statements: int) -> bool:
    """Have a process die in the middle of a migration; return False where it came to its end."""
    command = [sys.executable, '-c', KILLED_WHILE_IT_MIGRATES, str(state_dir / FILE_NAME)]
    env = {**os.environ, 'PYTHONPATH': IMPORT_PATH}
    ended = subprocess.run([*command, str(statements)], env=env, timeout=50, check=False)
    assert ended.returncode in (0, -signal.SIGKILL)
    return ended.returncode != 0


def version_in(state_dir: Path) -> int:
    """Return the schema version of a database that is sound."""
    with contextlib.closing(sqlite3.connect(state_dir / FILE_NAME)) as connection:
        assert connection.execute('PRAGMA integrity_check').fetchone()[0] == 'ok'
        version: int = connection.execute('PRAGMA user_version').fetchone()[0]
        return version


def copied(state_dir: Path, copy: Path) -> Path:
    """Copy a state directory."""
    shutil.copytree(state_dir, copy)
    return copy


async def test_a_migration_that_is_killed_changes_nothing(tmp_path: Path) -> None:
    """Before its first statement, within, or before its commit; the next start makes it whole."""
    (tmp_path / 'state').mkdir()
    known = write_database(tmp_path / 'state')
    statements = 3 + sum(map(len, STEPS[SEARCHED_SINCE:]))
    for number, place in enumerate((1, statements // 2, statements - 1)):
        copy = copied(tmp_path / 'state', tmp_path / str(number))
        assert left_by_a_kill(copy, place)
        assert version_in(copy) == SEARCHED_SINCE
    await check(copy, known)


@pytest.mark.slow
async def test_a_migration_killed_before_any_statement_changes_nothing(tmp_path: Path) -> None:
    """The same, at each of its statements."""
    (tmp_path / 'state').mkdir()
    known = write_database(tmp_path / 'state')
    for number in itertools.count():
        copy = copied(tmp_path / 'state', tmp_path / str(number))
        if not left_by_a_kill(copy, number):
            break
        assert version_in(copy) == SEARCHED_SINCE
        await check(copy, known)
    assert version_in(copy) == len(STEPS)


async def test_a_migration_without_room_changes_nothing(tmp_path: Path) -> None:
    """A start on a full disk is refused; the next one, with room, brings everything forward."""
    with mounted(tmp_path / 'disk', 'size=16m') as disk:
        known = write_database(disk)
        with filled(disk), pytest.raises(StoreUnavailable):
            await Database.open(disk)
        assert version_in(disk) == SEARCHED_SINCE
        await check(disk, known)
