# SPDX-License-Identifier: Apache-2.0
"""One connection to the SQLite file, on a thread of its own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
import contextlib
import logging
from pathlib import Path
import sqlite3
from typing import Any, TypeVar

from gateway_node.executions.errors import StoreUnavailable, StoreUnusable
from gateway_node.storage.database_file import suspect
from gateway_node.storage.sqlite_errors import is_corrupt, is_passing

_log = logging.getLogger(__name__)

_Result = TypeVar('_Result')


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
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._connection: sqlite3.Connection | None = None

    async def open(self, make: Callable[[], sqlite3.Connection]) -> None:
        """Take the connection that `make` returns; raises what it does."""
        try:
            await self._submit(lambda: self._open(make))
        except BaseException:
            self._thread.shutdown(wait=False)
            raise

    async def use(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Let `work` use the connection."""
        return await self._submit(lambda: work(self._opened()))

    async def close(self) -> None:
        """Close it after all that was submitted; closing again is harmless."""
        with contextlib.suppress(StoreUnavailable):
            await self._submit(self._close)
        self._thread.shutdown(wait=False)

    async def _submit(self, work: Callable[[], _Result]) -> _Result:
        try:
            submitted = self._thread.submit(self._translate_errors, work)
        except RuntimeError as error:
            raise StoreUnavailable(f'{self._path} is closed') from error
        done = asyncio.wrap_future(submitted)
        try:
            # Shielded: asyncio would cancel what the thread has not begun yet.
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            done.add_done_callback(self._note_unheard)
            raise

    def _note_unheard(self, done: 'asyncio.Future[Any]') -> None:
        """Take the error of a call whose caller went away; say it where it is a defect."""
        error = None if done.cancelled() else done.exception()
        if error is not None and not isinstance(error, StoreUnavailable):
            _log.error('failed, and nobody waits for it: %s: %r', self._path, error)

    def _translate_errors(self, work: Callable[[], _Result]) -> _Result:
        try:
            return work()
        except sqlite3.Error as error:
            if is_corrupt(error):
                suspect(self._path)
                raise StoreUnusable(f'{self._path}: {error}; start the gateway again') from error
            if is_passing(error):
                raise StoreUnavailable(f'{self._path}: {error}') from error
            raise

    def _open(self, make: Callable[[], sqlite3.Connection]) -> None:
        self._connection = make()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreUnavailable(f'{self._path} is closed')
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
