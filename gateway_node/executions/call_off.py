# SPDX-License-Identifier: Apache-2.0
"""Calling off what has not begun yet."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

_Result = TypeVar('_Result')


class CallOff:
    """Tells whether what is to begin was called off; gives up what leads to it then.

    No task of its own: what leads to it is cancelled as by a timeout that comes due.
    """

    def __init__(self) -> None:
        self._called = False
        self._under_way: asyncio.Timeout | None = None

    @property
    def called(self) -> bool:
        """Whether nothing is to begin any more."""
        return self._called

    def call(self) -> None:
        """Let nothing begin any more; repeating it is harmless."""
        if not self._called and self._under_way is not None:
            self._under_way.reschedule(asyncio.get_running_loop().time())
        self._called = True

    async def unless(self, work: Callable[[], Awaitable[_Result]]) -> _Result | None:
        """Return or raise what `work` does; None where it is called off, and then `work` is
        cancelled. One at a time."""
        if self._called:
            return None
        self._under_way = asyncio.timeout(None)
        try:
            async with self._under_way:
                return await work()
        except TimeoutError:
            if not self._under_way.expired():
                raise
            return None
        finally:
            self._under_way = None
