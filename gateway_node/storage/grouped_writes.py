# SPDX-License-Identifier: Apache-2.0
"""Writes in groups: what waits while one commit runs goes into the next one, as one.

See decision 041.
"""

import asyncio
from collections.abc import Callable, Sequence
import contextlib
from dataclasses import dataclass
import sqlite3
import threading
from typing import Any, Generic, TypeVar

from gateway_node.storage.connection import Answer, Connection

_Result = TypeVar('_Result')


@dataclass(frozen=True, kw_only=True)
class Write(Generic[_Result]):
    """A change that somebody waits for."""

    change: Callable[[sqlite3.Connection], _Result]
    """Writes; called again where it was taken back because another one of its group failed."""
    then: Callable[[Sequence[_Result]], None] | None
    """Is given what the changes of one commit returned that have this same `then`, in order."""
    done: 'asyncio.Future[_Result]'


class GroupedWrites:
    """Writes through one connection, in the order of the calls.

    Each change stands for itself: one that fails takes back what it wrote and nothing else. The
    commit is that of all of them: where it fails none is made.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        check: Callable[[], None],
        after: Callable[[sqlite3.Connection], None],
    ) -> None:
        """Before each commit `check` raises where nothing may be written, after it comes `after`;
        both on the thread."""
        self._connection = connection
        self._check = check
        self._after = after
        self._waiting: list[Write[Any]] = []
        self._taking = threading.Lock()

    async def write(
        self,
        change: Callable[[sqlite3.Connection], _Result],
        then: Callable[[Sequence[_Result]], None] | None = None,
    ) -> _Result:
        """Make a change; it is on the disk when this returns."""
        done: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        write = Write(change=change, then=then, done=done)
        with self._taking:
            if not self._waiting:
                self._connection.submit(self._write_waiting)
            self._waiting.append(write)
        return await done

    def _write_waiting(self) -> None:
        """Write all that waits."""
        with self._taking:
            group, self._waiting = self._waiting, []
        self._connection.tell(self._write(group))

    def _write(self, group: Sequence[Write[Any]]) -> Sequence[Answer[Any]]:
        try:
            connection = self._connection.opened()
            self._check()
            made = write_together(connection, group)
            _tell_those_behind(group, made)
            self._after(connection)
        except BaseException as error:
            made = [Made(error=error)] * len(group)
        return list(map(self._answer, group, made))

    def _answer(self, write: Write[Any], made: 'Made') -> Answer[Any]:
        if made.error is not None:
            return Answer(done=write.done, error=self._connection.translated(made.error))
        return Answer(done=write.done, result=made.result)


@dataclass(frozen=True, kw_only=True)
class Made:
    """What came of one change: it is on the disk, or was not made."""

    result: Any = None
    error: BaseException | None = None


def _tell_those_behind(group: Sequence[Write[Any]], made: Sequence[Made]) -> None:
    results: dict[Callable[[Sequence[Any]], None], list[Any]] = {}
    for write, each in zip(group, made, strict=True):
        if write.then is not None and each.error is None:
            results.setdefault(write.then, []).append(each.result)
    for then, of_those in results.items():
        then(of_those)


def write_together(connection: sqlite3.Connection, group: Sequence[Write[Any]]) -> list[Made]:
    """Make changes with one commit; return what came of each.

    Where one fails, all is taken back and each is made by itself: changes that fail are rare, and
    a savepoint for each would cost more. Raises what keeps all from being made; then none is.
    """
    try:
        return [Made(result=each) for each in _commit(connection, group)]
    except _ChangeFailed as failure:
        if len(group) == 1:
            return [Made(error=failure.__cause__)]
    return [_make_alone(connection, each) for each in group]


def _make_alone(connection: sqlite3.Connection, write: Write[Any]) -> Made:
    try:
        return write_together(connection, [write])[0]
    except BaseException as error:
        return Made(error=error)


class _ChangeFailed(Exception):
    """A change has raised the error from which this comes; its transaction is taken back."""


def _commit(connection: sqlite3.Connection, group: Sequence[Write[Any]]) -> list[Any]:
    """Make changes in one transaction; return what each returns. _ChangeFailed."""
    roll_back(connection)  # where an earlier attempt to do so failed
    connection.execute('BEGIN IMMEDIATE')
    try:
        results = [_result(connection, each) for each in group]
        connection.execute('COMMIT')
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            roll_back(connection)
        raise
    return results


def _result(connection: sqlite3.Connection, write: Write[Any]) -> Any:
    try:
        return write.change(connection)
    except BaseException as error:
        raise _ChangeFailed from error


def roll_back(connection: sqlite3.Connection) -> None:
    """Take back what was not committed."""
    if connection.in_transaction:
        connection.execute('ROLLBACK')
