# SPDX-License-Identifier: Apache-2.0
"""Changes that, once begun, are finished even where who waits for them is cancelled.

Knows no room; every room may have such changes.
"""

import asyncio
from collections.abc import Coroutine
import logging
from typing import Any, TypeVar

_log = logging.getLogger(__name__)

_Result = TypeVar('_Result')


class ToTheEnd:
    """Owns the changes of one kind that are under way."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[Any]] = set()

    async def run(self, name: str, change: Coroutine[Any, Any, _Result]) -> _Result:
        """Make a change; return or raise what it does. Cancelled, it goes on."""
        task = asyncio.get_running_loop().create_task(change, name=name)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_failure)
            raise

    async def wait(self, patience_sec: float) -> None:
        """Wait for what is under way, and say in the log what does not end in time."""
        if not self._under_way:
            return
        _, left = await asyncio.wait(self._under_way, timeout=patience_sec)
        for task in left:
            _log.warning('not ended within %g s: %s', patience_sec, task.get_name())


def _log_failure(task: asyncio.Task[Any]) -> None:
    """Say that a change has failed whose caller cannot hear of it any more."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error('failed, and nobody waits for it: %s: %r', task.get_name(), error)
