# SPDX-License-Identifier: Apache-2.0
"""The process's signals, as events of the loop."""

import asyncio
from collections.abc import Callable, Coroutine
import functools
import signal
import socket
from types import FrameType
from typing import Any

from gateway_node.side_tasks import log_failure
from gateway_node.surroundings import has_terminal

ONE_REQUEST_SEC = 1.0
"""Seconds in which further signals repeat the first one.

A terminal signals its whole process group, and `ros2 run` in it passes on what it gets (since
Kilted, ros2/ros2cli#899).
"""
_ASKING = (signal.SIGINT, signal.SIGTERM)
_NUMBERS_BYTES = 4096


def _only_wake(number: int, frame: FrameType | None) -> None:
    """Do nothing: the number has gone to the wake-up descriptor, and from there to the loop."""


class EndSignals:
    """SIGINT and SIGTERM: the first asks for the end, a later one for a quick one.

    The first one interrupts the task that made this object, until `started`. SIGHUP asks for the
    end where it `ends_with_terminal`, which the process had when it began, and that is gone.

    They come by `signal.set_wakeup_fd`, not by the loop's own handlers: the loop gives a signal
    its default action when it lets go of it, so one in that moment would end the process.
    """

    def __init__(self, *, ends_with_terminal: bool) -> None:
        self._ends_with_terminal = ends_with_terminal
        self.end = asyncio.Event()
        self.kill = asyncio.Event()
        self._starting = asyncio.current_task()
        self._hanging_up: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._asked_at = 0.0
        self._on_signal: dict[signal.Signals, Callable[[], None]]
        self._on_signal = dict.fromkeys(_ASKING, self._on_end)
        self._numbers, self._wakeup = socket.socketpair()
        for end in (self._numbers, self._wakeup):
            end.setblocking(False)
        self._loop.add_reader(self._numbers, self._read)
        signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        for number in _ASKING:
            signal.signal(number, _only_wake)

    def started(self, *on_hangup: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Interrupt nothing any more; at each SIGHUP do all of `on_hangup`, side by side.

        That includes one that came before, and was blocked until now, and none that comes after
        the end was asked for.
        """
        self._starting = None
        self._on_signal[signal.SIGHUP] = functools.partial(self._on_hangup, *on_hangup)
        signal.signal(signal.SIGHUP, _only_wake)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})

    def close(self) -> None:
        """Ignore them all from now on: what is left to do ends by itself."""
        for number in self._on_signal:
            # Python's end leaves this as it is, unlike a handler's.
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        self._loop.remove_reader(self._numbers)
        self._numbers.close()
        self._wakeup.close()

    def _read(self) -> None:
        for number in self._numbers.recv(_NUMBERS_BYTES):
            # A library's own handler has its number told here, too.
            if on_signal := self._on_signal.get(signal.Signals(number)):
                on_signal()

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
