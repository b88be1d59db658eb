# SPDX-License-Identifier: Apache-2.0
"""Work that goes on beside whoever began it, and that has to be over before the end."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from gateway_node.side_tasks import log_failure

_Result = TypeVar('_Result')


class Companions:
    """Coroutines that nobody has to wait for; `wait` before what they use is closed."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, name: str, work: Coroutine[Any, Any, _Result]) -> asyncio.Task[_Result]:
        """Begin to do `work`; where it fails the log says so."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(log_failure)
        return task

    async def wait(self) -> None:
        """Wait for all, those included that they begin."""
        while self._tasks:
            await asyncio.wait(self._tasks)
