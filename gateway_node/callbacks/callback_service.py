# SPDX-License-Identifier: Apache-2.0
"""The callbacks of this gateway: each is sent when its execution has ended, until it is taken.

It lives on the event loop. What is on record survives: whatever was not delivered when a gateway
ended is sent by the next one, so that a receiver hears of an end at least once, if it can be
reached within a day of time up.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
import contextlib
from dataclasses import replace
import logging
import random
from typing import TypeVar

from gateway_node.callbacks.errors import CallbackNotDue, CallbackNotFound
from gateway_node.callbacks.ports import CallbackStore, EndDocuments
from gateway_node.callbacks.sending import Sender
from gateway_node.callbacks.values import Attempt, Callback, CallbackStatus
from gateway_node.callbacks.waiting_callbacks import WaitingCallbacks
from gateway_node.clock import Clock
from gateway_node.executions.actors import Actor
from gateway_node.executions.errors import ExecutionNotFound, StoreUnavailable, StoreUnusable
from gateway_node.executions.events import Event, EventKind
from gateway_node.executions.values import Execution
from gateway_node.scripts.errors import LibraryUnavailable
from gateway_node.side_tasks import log_failure

_log = logging.getLogger(__name__)

_Answer = TypeVar('_Answer')

_ENDS = frozenset({EventKind.EXECUTION_ENDED, EventKind.SCHEDULE_REMOVED})
RETRY_SEC = 5.0
"""Seconds between attempts to reach a store that is not available."""
_JITTER = 0.2


class Callbacks:
    """Sends callbacks, and tells how they stand; an EventListener, which hears of ends."""

    def __init__(
        self, *, store: CallbackStore, sender: Sender, documents: EndDocuments, clock: Clock
    ) -> None:
        self._store = store
        self._sender = sender
        self._documents = documents
        self._clock = clock
        self._waiting = WaitingCallbacks()
        self._news = asyncio.Event()
        self._settled: Counter[CallbackStatus] = Counter()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with callbacks, in sentences."""
        return self._sender.warnings

    @property
    def figures(self) -> dict[str, int]:
        """How many wait and are being sent now, and how many were delivered and given up since
        the start of the gateway."""
        return {
            CallbackStatus.WAITING.value: len(self._waiting),
            CallbackStatus.DELIVERING.value: self._waiting.taken,
            CallbackStatus.DELIVERED.value: self._settled[CallbackStatus.DELIVERED],
            CallbackStatus.FAILED.value: self._settled[CallbackStatus.FAILED],
        }

    def on_event(self, event: Event, execution: Execution | None) -> None:
        """Send the callback of what has ended; let go of what is deleted."""
        if event.kind is EventKind.EXECUTION_DELETED:
            self._waiting.drop(event.subject_id)
        elif execution is not None and execution.callback is not None and event.kind in _ENDS:
            callback = Callback(execution_id=execution.id, url=execution.callback)
            self._send_soon(callback.due(self._store.up_sec()))

    async def state(self, execution: Execution) -> Callback:
        """Return how the callback of an execution stands; CallbackNotFound, StoreUnavailable."""
        callback = await self._recorded(execution)
        if self._waiting.is_taken(execution.id):
            return replace(callback, status=CallbackStatus.DELIVERING, next_sec=None)
        return callback

    def next_attempt_in_sec(self, callback: Callback) -> float | None:
        """Return the seconds to the next attempt; None where there is none to come."""
        if callback.next_sec is None:
            return None
        return max(0.0, callback.next_sec - self._store.up_sec())

    async def send_again(self, execution: Execution, *, actor: Actor) -> Callback:
        """Send the callback of an ended execution now, with another day before it; return how it
        stands.

        Raises:
            CallbackNotFound, StoreUnavailable: as their names say.
            CallbackNotDue: the execution is open.
        """
        callback = await self._recorded(execution)
        if execution.is_open:
            raise CallbackNotDue(execution.id)
        if not self._waiting.is_taken(execution.id):
            callback = callback.due(self._store.up_sec())
            await self._store.keep(callback)
            _log.info('the callback of %s is sent again, for %s', execution.id, actor.name)
            self._send_soon(callback)
        return await self.state(execution)

    async def keep_sending(self) -> None:
        """Send what is due until cancelled; what is not delivered then is left to the next
        gateway."""
        under_way: set[asyncio.Task[None]] = set()
        try:
            await self._sender.check()
            await self._read_undelivered()
            while True:
                self._news.clear()
                while (callback := self._waiting.take(self._store.up_sec())) is not None:
                    task = asyncio.create_task(
                        self._send(callback), name=f'send the callback of {callback.execution_id}'
                    )
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                    task.add_done_callback(log_failure)
                await self._wait()
        finally:
            for task in under_way:
                task.cancel()
            if under_way:
                await asyncio.wait(under_way)
            await self._sender.close()

    def _send_soon(self, callback: Callback) -> None:
        # One that is being sent comes back by itself.
        if not self._waiting.is_taken(callback.execution_id):
            self._waiting.add(callback)
            self._news.set()

    async def _wait(self) -> None:
        """Wait for news, or until something is due."""
        due_sec = self._waiting.next_due_sec()
        pause_sec = None if due_sec is None else max(0.0, due_sec - self._store.up_sec())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_sec):
                await self._news.wait()

    async def _read_undelivered(self) -> None:
        """Take what earlier gateways did not deliver; what ended since is known already."""
        undelivered = await self._insist(
            self._store.undelivered, 'callbacks of earlier ends are not sent yet'
        )
        for callback in undelivered or ():
            is_new = callback.next_sec is None
            self._send_soon(callback.due(self._store.up_sec()) if is_new else callback)

    async def _send(self, callback: Callback) -> None:
        try:
            attempt = await self._attempt(callback)
            if attempt is not None:
                after = await self._keep(callback, attempt)
                self._settled[after.status] += after.next_sec is None
                callback = after
        finally:
            self._waiting.give_back(callback.execution_id)
            self._news.set()
        if attempt is not None and callback.next_sec is not None:
            self._send_soon(callback)

    async def _attempt(self, callback: Callback) -> Attempt | None:
        """Make an attempt; return what came of it, None where there is nothing to tell of any
        more."""
        at = self._clock.now()
        try:
            body = await self._documents.document(callback.execution_id)
            return await self._sender.send(callback.url, callback.execution_id, body)
        except ExecutionNotFound:
            return None
        except (LibraryUnavailable, StoreUnavailable) as error:
            return Attempt(at=at, error=f'the execution cannot be read: {error}')
        except Exception:
            _log.exception('a defect of the gateway kept a callback from being sent')
            return Attempt(
                at=at, error='an internal error; the log of the gateway has the traceback'
            )

    async def _keep(self, callback: Callback, attempt: Attempt) -> Callback:
        """Record what came of an attempt; return the callback as it stands then."""
        jitter = random.uniform(1 - _JITTER, 1 + _JITTER)
        after = callback.after(attempt, self._store.up_sec(), jitter=jitter)
        if after.status is CallbackStatus.FAILED:
            _log.warning(
                'the callback of %s is given up: %s', callback.execution_id, attempt.error
            )
        await self._insist(
            lambda: self._store.keep(after),
            f'cannot record a callback of {callback.execution_id}',
        )
        return after

    async def _insist(self, ask: Callable[[], Awaitable[_Answer]], missed: str) -> _Answer | None:
        """Return what the store answers, once it does; None where only another start can help.

        `missed` is what the log says until then.
        """
        while True:
            try:
                return await ask()
            except StoreUnavailable as error:
                _log.warning('%s: %s', missed, error)
                if isinstance(error, StoreUnusable):
                    return None
            await asyncio.sleep(RETRY_SEC)

    async def _recorded(self, execution: Execution) -> Callback:
        callback = await self._store.get(execution.id)
        if callback is None:
            raise CallbackNotFound(execution.id)
        return callback
