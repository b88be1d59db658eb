"""The process's signals, as events of the loop; knows no room."""

import asyncio
from collections.abc import Callable, Coroutine
import signal
from typing import Any


class EndSignals:
    """SIGINT and SIGTERM: the first asks for the end, the second for a quick one.

    The first one interrupts the task that made this object, until `started`.
    """

    def __init__(self) -> None:
        self.end = asyncio.Event()
        self.kill = asyncio.Event()
        self._starting = asyncio.current_task()
        self._hanging_up: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._on_end)

    def started(self, on_hangup: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Interrupt nothing any more; do `on_hangup` at each SIGHUP until the end is asked for."""
        self._starting = None
        self._loop.add_signal_handler(signal.SIGHUP, self._on_hangup, on_hangup)

    def _on_end(self) -> None:
        if self.end.is_set():
            self.kill.set()
            return
        self.end.set()
        for task in (self._starting, self._hanging_up):
            if task is not None:
                task.cancel()

    def _on_hangup(self, on_hangup: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if not self.end.is_set():
            self._hanging_up = asyncio.create_task(on_hangup())
