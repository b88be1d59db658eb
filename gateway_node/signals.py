# SPDX-License-Identifier: Apache-2.0
"""The process's signals, as events of the loop."""

import asyncio
from collections.abc import Callable, Coroutine
import signal
from typing import Any

from gateway_node.side_tasks import log_failure
from gateway_node.surroundings import has_terminal

ONE_REQUEST_SEC = 1.0
"""Seconds in which further signals repeat the first one.

A terminal signals its whole process group, and `ros2 run` in it passes on what it gets (since
Kilted, ros2/ros2cli#899).
"""
_ASKING = (signal.SIGINT, signal.SIGTERM)


class EndSignals:
    """SIGINT and SIGTERM: the first asks for the end, a later one for a quick one.

    The first one interrupts the task that made this object, until `started`. SIGHUP asks for the
    end where it `ends_with_terminal`, which the process had when it began, and that is gone.
    """

    def __init__(self, *, ends_with_terminal: bool) -> None:
        self._ends_with_terminal = ends_with_terminal
        self.end = asyncio.Event()
        self.kill = asyncio.Event()
        self._starting = asyncio.current_task()
        self._hanging_up: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._asked_at = 0.0
        for number in _ASKING:
            self._loop.add_signal_handler(number, self._on_end)

    def started(self, *on_hangup: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Interrupt nothing any more; at each SIGHUP do all of `on_hangup`, side by side.

        That includes one that came before, and was blocked until now, and none that comes after
        the end was asked for.
        """
        self._starting = None
        self._loop.add_signal_handler(signal.SIGHUP, self._on_hangup, *on_hangup)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})

    def close(self) -> None:
        """Ignore both from now on: what is left to do ends by itself."""
        for number in _ASKING:
            # Else the end of the loop would bring back what Python does at a signal.
            self._loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)

    def _on_end(self) -> None:
        if self.end.is_set():
            if self._loop.time() - self._asked_at > ONE_REQUEST_SEC:
                self.kill.set()
            return
        self._asked_at = self._loop.time()
        self.end.set()
        for task in (self._starting, *self._hanging_up):
            if task is not None:
                task.cancel()

    def _on_hangup(self, *on_hangup: Callable[[], Coroutine[Any, Any, None]]) -> None:
        # It comes twice: from the kernel, and from a shell that ends with its terminal.
        if self.end.is_set():
            return
        if self._ends_with_terminal and not has_terminal():
            self._on_end()
            return
        for each in on_hangup:
            task = asyncio.create_task(each(), name='what SIGHUP asks for')
            self._hanging_up.add(task)
            task.add_done_callback(self._hanging_up.discard)
            task.add_done_callback(log_failure)
