# SPDX-License-Identifier: Apache-2.0
"""Tasks that go on beside the requests: each has a name and an owner, and none dies unheard.

Knows no room; every room may start such tasks.
"""

import asyncio
from collections.abc import Coroutine
import logging
from typing import Any

_log = logging.getLogger(__name__)


class SideTaskFailed(Exception):
    """A task failed without which the gateway does not do what it promises."""

    def __init__(self, name: str, error: BaseException) -> None:
        super().__init__(f'a side task failed, which is a defect: {name}: {error!r}')
        self.name = name


class SideTasks:
    """Vital tasks: the first failure of any of them ends the gateway.

    Who starts a task cancels it. Made on the event loop.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[SideTaskFailed] = asyncio.get_running_loop().create_future()

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin to do `work`, which ends by cancellation or by a return."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)
        return task

    async def failure(self) -> SideTaskFailed:
        """Wait for the first failure; return it."""
        return await asyncio.shield(self._failure)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = log_failure(task)
        if error is not None and not self._failure.done():
            failure = SideTaskFailed(task.get_name(), error)
            failure.__cause__ = error
            self._failure.set_result(failure)


def log_failure(task: asyncio.Task[Any]) -> BaseException | None:
    """Log and return the error by which a task that is done has failed; a `done` callback."""
    if task.cancelled():
        return None
    error = task.exception()
    if error is not None:
        _log.error('a side task failed: %s', task.get_name(), exc_info=error)
    return error
