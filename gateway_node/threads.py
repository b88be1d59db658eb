# SPDX-License-Identifier: Apache-2.0
"""Threads for calls that block; knows no room.

asyncio's own pool is one for everything: calls that hang, as on a mount that does not answer, use
it up, and its threads are waited for at the end. So what may hang gets a few threads of its own,
which hold up their own kind only and end with the process.
"""

import asyncio
from collections.abc import Callable
import concurrent.futures
import functools
import queue
import threading
from typing import Any, Generic, TypeVar
import weakref

_Result = TypeVar('_Result')
_Calls = queue.SimpleQueue[tuple[concurrent.futures.Future[Any], Callable[[], Any]] | None]
"""What is to be called; None ends the threads, each of which passes it on."""


class Threads:
    """Up to `number` threads, made when they are needed, for calls of one kind.

    Once nothing holds this any more they end, each with its last call.
    """

    def __init__(self, name: str, number: int) -> None:
        self._name = name
        self._number = number
        self._made = 0
        self._idle = threading.Semaphore(0)
        """As many as there are threads without a call."""
        self._calls: _Calls = queue.SimpleQueue()
        weakref.finalize(self, self._calls.put, None).atexit = False

    async def run(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call a function in a thread, in its turn; return or raise what it does.

        Cancelled before its turn it is not called; cancelled later it goes on unheard.
        RuntimeError where there is no thread, and none can be had.
        """
        return await asyncio.wrap_future(self.submit(function, *arguments))

    def submit(
        self, function: Callable[..., _Result], *arguments: Any
    ) -> concurrent.futures.Future[_Result]:
        """Have a function called in a thread, in its turn, whether anybody waits for it or not."""
        self._see_to_thread()
        called: concurrent.futures.Future[_Result] = concurrent.futures.Future()
        self._calls.put((called, functools.partial(function, *arguments)))
        return called

    def _see_to_thread(self) -> None:
        """Have a thread for one more call, or one that will come to it."""
        if self._idle.acquire(blocking=False) or self._made == self._number:
            return
        name = f'{self._name} {self._made + 1}'
        thread = threading.Thread(
            target=_work, args=(self._calls, self._idle), name=name, daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            if not self._made:
                raise
        else:
            self._made += 1


class Look(Generic[_Result]):
    """A call that may hang, made one at a time however many ask, who wait for a while only."""

    def __init__(self, threads: Threads, call: Callable[[], _Result], patience_sec: float) -> None:
        self._threads = threads
        self._call = call
        self._patience_sec = patience_sec
        self._present: asyncio.Future[_Result] | None = None
        self._overdue: asyncio.Future[_Result] | None = None

    @property
    def goes_on(self) -> bool:
        """True while a call is under way."""
        return self._present is not None and not self._present.done()

    @property
    def hangs(self) -> bool:
        """True while a call goes on for which somebody has waited in vain."""
        return self._overdue is not None and not self._overdue.done()

    async def answer(self) -> _Result:
        """Return or raise what a call does that began now or later.

        TimeoutError where it does not answer in time; at once while an earlier one hangs.
        """
        if self.hangs:
            raise TimeoutError
        earlier = self._present
        if earlier is not None and self.goes_on:
            # It may have looked before what is to be seen was there.
            await self._wait(earlier)
        present = self._present
        if present is None or present is earlier:
            present = self._present = asyncio.ensure_future(self._threads.run(self._call))
        await self._wait(present)
        return present.result()

    async def _wait(self, call: asyncio.Future[_Result]) -> None:
        await asyncio.wait({call}, timeout=self._patience_sec)
        if not call.done():
            self._overdue = call
            raise TimeoutError


def _work(calls: _Calls, idle: threading.Semaphore) -> None:
    while (due := calls.get()) is not None:
        called, call = due
        begun = called.set_running_or_notify_cancel()
        tell = _tell(called, call) if begun else None
        # Whoever hears the result finds this thread idle.
        idle.release()
        if tell is not None:
            tell()
        # Nothing of it is held while the next one is waited for.
        del due, called, call, tell
    calls.put(None)


def _tell(called: concurrent.futures.Future[Any], call: Callable[[], Any]) -> Callable[[], None]:
    """Make a call; return what tells how it went."""
    try:
        return functools.partial(called.set_result, call())
    except BaseException as error:
        return functools.partial(called.set_exception, error)
