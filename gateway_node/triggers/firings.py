# SPDX-License-Identifier: Apache-2.0
"""What a trigger fires for: on record first, then an execution, a stop, or a reason for neither.

From the commit of its event on a firing is pending, to that of what it led to: whatever happens
in between, this gateway or the next one leads it to exactly one of these.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
import contextlib
import json
import logging
from typing import Any, TYPE_CHECKING, TypeVar

from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.errors import (
    ExecutionNotStoppable,
    GatewayShuttingDown,
    StoreUnavailable,
    StoreUnusable,
)
from gateway_node.executions.events import Event, EventKind, Happening
from gateway_node.executions.instance_refs import InstanceRef, PendingFiring, TriggerRef
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.service import ExecutionService
from gateway_node.executions.values import Execution, StopAction, Trigger, TriggerType
from gateway_node.scripts.instances import OnLimit
from gateway_node.side_tasks import log_failure
from gateway_node.triggers.drops import (
    DEFECT,
    DISABLED,
    Drop,
    GONE,
    NOTHING_RUNS,
    REPLACED,
    STOPPED_BY_OTHERS,
)
from gateway_node.triggers.instance_service import Instances
from gateway_node.triggers.values import Firing, Side

if TYPE_CHECKING:
    from gateway_node.triggers.live_trigger import LiveTrigger

_log = logging.getLogger(__name__)
_Answer = TypeVar('_Answer')

TASK = 'lead a firing to its end'
"""The name of the tasks that do."""
RETRY_SEC = 1.0
"""Between attempts to record what the store does not take."""
CLOSE_PATIENCE_SEC = 5.0
STARTS_AT_A_TIME = 16
MAX_VALUES_BYTES = 4096
"""Of the values that fired, as JSON, in an event."""


class _Dropped(Exception):
    """The firing leads to nothing."""

    def __init__(self, drop: Drop) -> None:
        super().__init__(drop.reason)
        self.drop = drop


class Firings:
    """Those that are under way: of each trigger one at most."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        executions: ExecutionService,
        instances: Instances,
        live: 'Callable[[TriggerRef], LiveTrigger | None]',
        open_executions: Callable[[InstanceRef], Sequence[str]],
        on_recorded: Callable[[PendingFiring], None],
    ) -> None:
        """`live` finds a trigger of an instance as it is now; `on_recorded` is told of each
        firing that is on record."""
        self._ledger = ledger
        self._executions = executions
        self._instances = instances
        self._live = live
        self._open_executions = open_executions
        self._on_recorded = on_recorded
        self._starting = asyncio.Semaphore(STARTS_AT_A_TIME)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._store_fails = False

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._tasks)

    def fire(self, trigger: 'LiveTrigger', firing: Firing) -> None:
        """Record that a trigger fired, and do what it is for."""
        self._begin(self._fire(trigger, firing, self._open_executions(trigger.ref.instance)))

    def resume(self, sequence: int, pending: PendingFiring) -> None:
        """Do what an earlier gateway recorded a firing for, and had not done."""
        targets = self._open_executions(pending.trigger.instance)
        self._begin(self._lead(sequence, pending, targets))

    def tell_storm(self, trigger: 'LiveTrigger', count: int) -> None:
        """Record that a trigger is held back, or, with a count, was."""
        self._begin(self._tell_storm(trigger, count))

    def close(self) -> None:
        """Begin nothing more, and wait for the store no longer."""
        self._closing.set()

    async def wait_closed(self) -> None:
        """Wait until nothing is under way, but not for long: what is pending is left to the next
        gateway."""
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=CLOSE_PATIENCE_SEC)
            for task in left:
                task.cancel()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name=TASK)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(log_failure)

    async def _fire(self, trigger: 'LiveTrigger', firing: Firing, targets: Sequence[str]) -> None:
        pending = PendingFiring(
            trigger=trigger.ref,
            pointer=trigger.pointer,
            setting=trigger.trigger.condition.text,
            stops=trigger.side is Side.STOP,
            truth=firing.truth,
        )
        try:
            event = await self._record(_fired(pending, firing), wanted=lambda: trigger.is_armed)
            if event is not None:
                self._on_recorded(pending)
                trigger.note_fired(event)
                await self._lead(event.sequence, pending, targets)
        finally:
            trigger.settled()

    async def _tell_storm(self, trigger: 'LiveTrigger', count: int) -> None:
        changes = {'trigger': trigger.pointer, 'setting': trigger.trigger.condition.text}
        damped = Happening(
            kind=EventKind.TRIGGER_DAMPED,
            subject=trigger.ref.instance.subject,
            actor=GATEWAY,
            cause='over' if count else 'began',
            changes={**changes, 'count': count} if count else changes,
        )
        try:
            await self._ledger.record(damped)
        except StoreUnavailable as error:
            # Nothing hangs on it, and what waited for the store would pile up.
            _log.warning('%s: that it is damped is not recorded: %s', damped.subject, error)

    async def _lead(self, sequence: int, pending: PendingFiring, targets: Sequence[str]) -> None:
        """Start what a firing is for, or stop `targets`; where that is not to be, record why."""
        led = await self._insist(lambda: self._led(sequence, pending, targets))
        if isinstance(led, Drop):
            dropped = await self._record(_dropped(sequence, pending, led))
            if dropped is not None and (trigger := self._live(pending.trigger)) is not None:
                trigger.note_dropped(led.reason)
        elif led is not None and (trigger := self._live(pending.trigger)) is not None:
            trigger.note_led_to(led.id)

    async def _led(
        self, sequence: int, pending: PendingFiring, targets: Sequence[str]
    ) -> Execution | Drop | None:
        """Return the execution, or why there is none; None where the next gateway is to do it.

        StoreUnavailable.
        """
        setting = Trigger(type=TriggerType.CONDITION, setting=pending.setting, firing=sequence)
        try:
            if pending.stops:
                return await self._stop(pending.trigger.instance, setting, targets)
            async with self._starting:
                return await self._start(pending, setting)
        except _Dropped as dropped:
            return dropped.drop
        except (GatewayShuttingDown, StoreUnavailable) as error:
            if isinstance(error, StoreUnavailable):
                raise
            return None
        except Exception as error:
            drop = Drop.of(error)
            if drop is None:
                _log.exception('a defect of the gateway kept a trigger from what it is for')
            return drop or DEFECT

    async def _start(self, pending: PendingFiring, setting: Trigger) -> Execution:
        ref = pending.trigger.instance
        trigger = self._wanted(pending.trigger)
        queue = trigger.trigger.on_limit is OnLimit.WAIT
        return await self._instances.runs.start(ref, actor=GATEWAY, trigger=setting, queue=queue)

    def _wanted(self, ref: TriggerRef) -> 'LiveTrigger':
        """Return a trigger as it is now; _Dropped where it may not start anything."""
        instance = self._instances.book.find(ref.instance)
        if instance is None:
            raise _Dropped(GONE)
        if not instance.enabled:
            raise _Dropped(DISABLED)
        trigger = self._live(ref)
        if trigger is None:
            raise _Dropped(REPLACED)
        return trigger

    async def _stop(self, ref: InstanceRef, setting: Trigger, targets: Sequence[str]) -> Execution:
        """Stop what was open when it fired, and nothing that was started since."""
        for execution_id in targets:
            try:
                execution = await self._executions.stop(
                    ref.entity,
                    ref.script_id,
                    execution_id,
                    StopAction.STOP,
                    actor=GATEWAY,
                    trigger=setting,
                )
            except ExecutionNotStoppable:
                execution = await self._executions.questions.get_by_id(execution_id)
            asked = execution.stop_trigger
            if asked is not None and asked.firing == setting.firing:
                return execution
            if asked is not None:
                raise _Dropped(STOPPED_BY_OTHERS)
        raise _Dropped(NOTHING_RUNS)

    async def _record(
        self, happening: Happening, *, wanted: Callable[[], bool] = lambda: True
    ) -> Event | None:
        """Record what happened; None where it never will be, or is not `wanted` any more."""

        async def record() -> Event | None:
            if not wanted():
                return None
            (event,) = await self._ledger.record(happening)
            return event

        return await self._insist(record)

    async def _insist(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer | None:
        """Return what is answered, once the store is there; None where the gateway ends before,
        or only another start can help."""
        while True:
            try:
                answer = await ask()
            except StoreUnavailable as error:
                if not self._store_fails:
                    self._store_fails = True
                    _log.error('what triggers fire for waits for the store: %s', error)
                if isinstance(error, StoreUnusable) or self._closing.is_set():
                    return None
            else:
                self._store_fails = False
                return answer
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SEC):
                    await self._closing.wait()


def _fired(pending: PendingFiring, firing: Firing) -> Happening:
    return Happening(
        kind=EventKind.TRIGGER_FIRED,
        subject=pending.trigger.instance.subject,
        actor=GATEWAY,
        cause='stop' if pending.stops else 'start',
        changes={
            'trigger': pending.pointer,
            'setting': pending.setting,
            'values': _bounded(firing.values),
        },
        fires=pending,
    )


def _dropped(sequence: int, pending: PendingFiring, drop: Drop) -> Happening:
    return Happening(
        kind=EventKind.TRIGGER_DROPPED,
        subject=pending.trigger.instance.subject,
        actor=GATEWAY,
        cause=drop.cause,
        changes={'trigger': pending.pointer, 'firing': sequence, 'reason': drop.reason},
        settles=sequence,
    )


def _bounded(values: Any) -> Any:
    """Return values, or, where they are long, the beginning of their text."""
    text = json.dumps(values, ensure_ascii=False, default=str)
    if len(text.encode()) <= MAX_VALUES_BYTES:
        return values
    return {'cut': text.encode()[:MAX_VALUES_BYTES].decode(errors='ignore')}
