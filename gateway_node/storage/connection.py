# SPDX-License-Identifier: Apache-2.0
"""One connection to the SQLite file, on a thread of its own."""

import asyncio
from collections.abc import Callable, Sequence
import contextlib
from dataclasses import dataclass
import logging
from pathlib import Path
import queue
import sqlite3
import threading
from typing import Any, Generic, TypeVar

from gateway_node.executions.errors import StoreUnavailable, StoreUnusable
from gateway_node.storage.database_file import suspect
from gateway_node.storage.sqlite_errors import is_corrupt, is_passing

_log = logging.getLogger(__name__)

_Result = TypeVar('_Result')
_Calls = queue.SimpleQueue[Callable[[], None] | None]
"""What the thread is to do; None ends it."""


@dataclass(frozen=True, kw_only=True)
class Answer(Generic[_Result]):
    """What came of a call, for who waits for it on the event loop."""

    done: 'asyncio.Future[_Result]'
    """Of who waits; cancelled where he went away."""
    result: _Result | None = None
    error: BaseException | None = None


class Connection:
    """A connection that is opened, used and closed on one thread, by one call after the other.

    Calls are done in the order in which they were made, each submitted when its coroutine is
    first stepped. A call once submitted is done, also where its caller is cancelled meanwhile.
    Errors of SQLite come as StoreUnavailable where they can pass, as StoreUnusable where the
    file is corrupt; any other is a defect of what was asked for.
    """

    def __init__(self, path: Path, name: str) -> None:
        """`name` is the thread's."""
        self._path = path
        self._name = name
        # Not one of concurrent.futures: its locks cost each call more than the way to the thread.
        self._calls: _Calls = queue.SimpleQueue()
        self._takes_calls = False
        self._connection: sqlite3.Connection | None = None

    async def open(self, make: Callable[[], sqlite3.Connection]) -> None:
        """Take the connection that `make` returns; raises what it does."""
        thread = threading.Thread(target=_work, args=(self._calls,), name=self._name, daemon=True)
        thread.start()
        self._takes_calls = True
        try:
            await self._call(lambda: self._open(make))
        except BaseException:
            self._end()
            raise

    async def use(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Let `work` use the connection."""
        return await self._call(lambda: work(self.opened()))

    async def close(self) -> None:
        """Close it after all that was submitted; closing again is harmless."""
        with contextlib.suppress(StoreUnavailable):
            await self._call(self._close)
        self._end()

    def submit(self, work: Callable[[], None]) -> None:
        """Have the thread do `work` in its turn, which tells what came of it and never raises.

        StoreUnavailable where it is closed.
        """
        if not self._takes_calls:
            raise StoreUnavailable(f'{self._path} is closed')
        self._calls.put(work)

    def tell(self, answers: Sequence[Answer[Any]]) -> None:
        """Answer those who wait on the event loop, with one wake-up for all. On the thread."""
        # RuntimeError: the loop is closed, and nobody waits any more.
        with contextlib.suppress(RuntimeError):
            answers[0].done.get_loop().call_soon_threadsafe(self._settle, answers)

    def opened(self) -> sqlite3.Connection:
        """Return what SQLite knows of it; StoreUnavailable where it is closed. On the thread."""
        if self._connection is None:
            raise StoreUnavailable(f'{self._path} is closed')
        return self._connection

    def translated(self, error: BaseException) -> BaseException:
        """Return an error as the caller is to see it. On the thread."""
        if not isinstance(error, sqlite3.Error):
            return error
        seen: BaseException = error
        if is_corrupt(error):
            suspect(self._path)
            seen = StoreUnusable(f'{self._path}: {error}; start the gateway again')
        elif is_passing(error):
            seen = StoreUnavailable(f'{self._path}: {error}')
        if seen is not error:
            seen.__cause__ = error
        return seen

    async def _call(self, work: Callable[[], _Result]) -> _Result:
        done: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()

        def call() -> None:
            try:
                answer = Answer(done=done, result=work())
            except BaseException as error:
                answer = Answer(done=done, error=self.translated(error))
            self.tell([answer])

        self.submit(call)
        return await done

    def _settle(self, answers: Sequence[Answer[Any]]) -> None:
        for each in answers:
            if each.done.cancelled():
                self._note_unheard(each.error)
            elif each.error is not None:
                each.done.set_exception(each.error)
            else:
                each.done.set_result(each.result)

    def _note_unheard(self, error: BaseException | None) -> None:
        """Say the error of a call whose caller went away where it is a defect."""
        if error is not None and not isinstance(error, StoreUnavailable):
            _log.error('failed, and nobody waits for it: %s: %r', self._path, error)

    def _end(self) -> None:
        """Take no more calls; the thread ends with the last one."""
        self._takes_calls = False
        self._calls.put(None)

    def _open(self, make: Callable[[], sqlite3.Connection]) -> None:
        self._connection = make()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _work(calls: _Calls) -> None:
    while (call := calls.get()) is not None:
        call()
        # Nothing of it is held while the next one is waited for.
        del call
