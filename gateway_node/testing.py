# SPDX-License-Identifier: Apache-2.0
"""In-memory fakes of the ports, for tests of what uses them; no file, process or thread.

The stores keep to the same contract as the SQLite ones: one suite of tests is put to both.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
import datetime
from typing import Any

from gateway_node.entities.clock import BootTime, Clock
from gateway_node.entities.identities import Identity
from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.errors import (
    ExecutionNotDeletable,
    ExecutionNotFound,
    StoreUnavailable,
)
from gateway_node.executions.ports import (
    Change,
    EndCause,
    ExecutionPage,
    ExecutionStore,
    Outcome,
    RetentionPolicy,
    StartOrder,
)
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Output,
    Progress,
    StopAction,
    Transition,
    Trigger,
    TriggerType,
    UnkillableProcess,
)

AN_APP = EntityRef(entity_type=EntityType.APP, entity_id='temp_sensor')


def new_execution(number: int, **fields: Any) -> Execution:
    """Return a prepared execution; ids grow with `number`, `fields` take the defaults' place."""
    defaults: dict[str, Any] = {
        'id': f'exec_{number:026d}',
        'entity': AN_APP,
        'script_id': 'self_test',
        'script_version': 'f' * 64,
        'execution_type': ExecutionType.NOW,
        'status': ExecutionStatus.PREPARED,
        'trigger': Trigger(type=TriggerType.MANUAL),
        'created_at': datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC),
    }
    return Execution(**(defaults | fields))


async def add(store: ExecutionStore, execution: Execution) -> Transition:
    """Put one new execution into a store."""
    (transition,) = await store.record([Change(execution=execution, cause='accepted', new=True)])
    return transition


async def update(
    store: ExecutionStore, execution: Execution, cause: str | None
) -> Transition | None:
    """Put the new state of one execution into a store."""
    transitions = await store.record([Change(execution=execution, cause=cause)])
    return transitions[0] if transitions else None


class FakeClock:
    """The clocks, standing still until a test moves them."""

    def __init__(
        self, now: datetime.datetime = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
    ) -> None:
        self.wall = now
        """What `now()` returns; set it to let the wall clock jump."""
        self.seconds = 1000.0
        """What `monotonic()` returns."""
        self.boot_id = 'first_boot'
        """Set it, and `boot_seconds` back, to let the machine boot again."""
        self.boot_seconds = 1000.0
        """What `boot_time()` counts."""

    def now(self) -> datetime.datetime:
        """Return the wall time."""
        return self.wall

    def monotonic(self) -> float:
        """Return the monotonic time in seconds."""
        return self.seconds

    def boot_time(self) -> BootTime:
        """Return the machine's uptime."""
        return BootTime(boot_id=self.boot_id, seconds=self.boot_seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass on all clocks."""
        self.wall += datetime.timedelta(seconds=seconds)
        self.seconds += seconds
        self.boot_seconds += seconds


class InMemoryExecutionStore:
    """An `ExecutionStore` that forgets everything with the process."""

    def __init__(self, clock: Clock) -> None:
        self.unavailable: str | None = None
        """While set, every call raises StoreUnavailable with this message."""
        self.may_have_forgotten = False
        self._clock = clock
        self._executions: dict[str, Execution] = {}
        self._ended_at: dict[str, float] = {}
        self._transitions: list[Transition] = []
        self._sequence = 0
        self._last_id: str | None = None

    async def record(self, changes: Sequence[Change]) -> tuple[Transition, ...]:
        """Keep all of `changes`, or none; return the transitions of those that have a cause.

        Raises:
            ExecutionNotFound: a change that is not new is of an execution that is not kept.
            ValueError: the id of a new execution is taken.
        """
        self._check_available()
        known = set(self._executions)
        for change in changes:
            execution_id = change.execution.id
            if change.new and execution_id in known:
                raise ValueError(f'{execution_id} is in the store already')
            if not change.new and execution_id not in known:
                raise ExecutionNotFound(execution_id)
            known.add(execution_id)
        return tuple(
            transition for change in changes if (transition := self._keep(change)) is not None
        )

    async def get(self, execution_id: str) -> Execution | None:
        """Return the execution, or None."""
        self._check_available()
        return self._executions.get(execution_id)

    async def page(
        self, entity: EntityRef, script_id: str, *, limit: int, before: str | None = None
    ) -> ExecutionPage:
        """Return up to `limit` executions of one script with ids below `before`, newest first.

        They come without their input and output parameters.
        """
        self._check_available()
        found = [
            execution.evolve(input_parameters={}, output_parameters=None)
            for execution in self._by_id(reverse=True)
            if execution.entity == entity
            and execution.script_id == script_id
            and (before is None or execution.id < before)
        ]
        return ExecutionPage(executions=tuple(found[:limit]), more=len(found) > limit)

    async def remove(self, execution_id: str) -> None:
        """Remove an ended execution and its transitions; ExecutionNotDeletable for an open one,
        nothing happens where it is unknown."""
        self._check_available()
        execution = self._executions.get(execution_id)
        if execution is None:
            return
        if execution.is_open:
            raise ExecutionNotDeletable(execution_id, execution.status)
        del self._executions[execution_id], self._ended_at[execution_id]
        self._transitions = [t for t in self._transitions if t.execution_id != execution_id]

    async def open_executions(self) -> tuple[Execution, ...]:
        """Return every execution without a final status, oldest first."""
        self._check_available()
        return tuple(execution for execution in self._by_id() if execution.is_open)

    async def transitions(self, *, after: int, limit: int) -> tuple[Transition, ...]:
        """Return up to `limit` transitions with a sequence above `after`, in sequence."""
        self._check_available()
        return tuple([t for t in self._transitions if t.sequence > after][:limit])

    async def expired(self, policy: RetentionPolicy, *, limit: int) -> tuple[str, ...]:
        """Return up to `limit` ids that `policy` does not keep, the longest ended first."""
        self._check_available()
        now = self._clock.monotonic()
        ended = sorted(self._ended_at, key=lambda each: (self._ended_at[each], each))
        surplus = len(ended) - policy.max_executions if policy.max_executions else 0
        expired = []
        for rank, execution_id in enumerate(ended):
            failed = self._executions[execution_id].status is ExecutionStatus.FAILED
            max_age = policy.max_failed_age_sec if failed else policy.max_age_sec
            too_old = max_age > 0 and now - self._ended_at[execution_id] > max_age
            if rank < surplus or too_old:
                expired.append(execution_id)
        return tuple(expired[:limit])

    async def counts(self) -> Mapping[ExecutionStatus, int]:
        """Return how many executions stand in each status."""
        self._check_available()
        counts = dict.fromkeys(ExecutionStatus, 0)
        for execution in self._executions.values():
            counts[execution.status] += 1
        return counts

    async def last_id(self) -> str | None:
        """Return the greatest id ever given, or None."""
        self._check_available()
        return self._last_id

    async def entities(self) -> frozenset[EntityRef]:
        """Return the entities of all executions."""
        self._check_available()
        return frozenset(execution.entity for execution in self._executions.values())

    async def shrink(self) -> None:
        """Do nothing: there is nothing to give back."""
        self._check_available()

    async def close(self) -> None:
        """Refuse everything from now on."""
        self.unavailable = 'the store is closed'

    def _check_available(self) -> None:
        if self.unavailable is not None:
            raise StoreUnavailable(self.unavailable)

    def _keep(self, change: Change) -> Transition | None:
        execution = change.execution
        self._executions[execution.id] = execution
        if change.new:
            self._last_id = max(self._last_id or '', execution.id)
        if not execution.is_open:
            self._ended_at.setdefault(execution.id, self._clock.monotonic())
        return None if change.cause is None else self._append(execution, change.cause)

    def _append(self, execution: Execution, cause: str) -> Transition:
        self._sequence += 1
        transition = Transition(
            sequence=self._sequence,
            execution_id=execution.id,
            status=execution.status,
            at=execution.completed_at or execution.started_at or execution.created_at,
            cause=cause,
        )
        self._transitions.append(transition)
        return transition

    def _by_id(self, *, reverse: bool = False) -> list[Execution]:
        return [self._executions[each] for each in sorted(self._executions, reverse=reverse)]


class InMemoryIdentityStore:
    """An `IdentityStore` that forgets everything with the process."""

    def __init__(self, identities: Iterable[Identity] = ()) -> None:
        self._identities = tuple(identities)
        self.saves = 0
        """How often they were written."""

    async def load_identities(self) -> tuple[Identity, ...]:
        """Return the pairs that were kept last."""
        return self._identities

    async def save_identities(self, identities: Iterable[Identity]) -> None:
        """Keep exactly these pairs."""
        self._identities = tuple(identities)
        self.saves += 1


class FakeScript:
    """A started script that ends when the test says so."""

    def __init__(
        self, order: StartOrder, on_progress: Callable[[Progress], None], *, obedient: bool
    ) -> None:
        self.order = order
        self.report = on_progress
        """Report progress, as the script would."""
        self.stops: list[StopAction] = []
        """What was asked of it so far."""
        self.obedient = obedient
        """Whether it ends when a stop is asked for."""
        self._stop_asked = asyncio.Event()
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def stop(self, action: StopAction) -> None:
        """Note that the end was asked for; an obedient script ends by SIGTERM or SIGKILL."""
        self.stops.append(action)
        self._stop_asked.set()
        if self.obedient and not self._outcome.done():
            self.end(Outcome(cause=EndCause.EXITED, signal=_SIGNALS[action], end_asked=True))

    async def ended(self) -> Outcome:
        """Wait for `end`."""
        return await asyncio.shield(self._outcome)

    async def wait_stop_asked(self) -> StopAction:
        """Wait until a stop is asked for; return the last one."""
        await self._stop_asked.wait()
        return self.stops[-1]

    def end(self, outcome: Outcome) -> None:
        """Let the whole tree be gone, with this outcome."""
        self._outcome.set_result(outcome)

    def exit(self, exit_code: int = 0, *, printed: Mapping[str, Any] | None = None) -> None:
        """Let the script exit after half a second, by itself or because that was asked for."""
        self.end(
            Outcome(
                cause=EndCause.EXITED,
                exit_code=exit_code,
                duration_sec=0.5,
                printed=printed,
                end_asked=bool(self.stops),
            )
        )


_SIGNALS = {StopAction.STOP: 15, StopAction.FORCED_TERMINATION: 9}


class FakeScriptRunner:
    """A `ScriptRunner` whose scripts are `FakeScript`s."""

    def __init__(self, *, obedient: bool = False) -> None:
        """`obedient`: scripts end at once when a stop is asked for."""
        self.refusal: Exception | None = None
        """What `vet` raises."""
        self.not_ready: Exception | None = None
        """What `ready` raises."""
        self.start_error: Exception | None = None
        """What `start` raises."""
        self.hold_starts = asyncio.Event()
        """Cleared by a test, it keeps every `start` waiting."""
        self.outputs: dict[str, Output] = {}
        """What `output` returns, by execution id."""
        self.recovered: dict[str, Outcome] = {}
        """What `recover` returns."""
        self.living: set[UnkillableProcess] = set()
        """Processes that nobody could end, as long as they live."""
        self.noted: dict[str, tuple[UnkillableProcess, ...]] = {}
        self.acknowledged: list[str] = []
        self.discarded: list[str] = []
        self.closed = False
        self.hold_starts.set()
        self._obedient = obedient
        self._scripts: dict[str, FakeScript] = {}
        self._changed = asyncio.Condition()

    async def script(self, execution_id: str) -> FakeScript:
        """Wait until this execution's script is started; return it."""
        async with self._changed:
            await self._changed.wait_for(lambda: execution_id in self._scripts)
        return self._scripts[execution_id]

    def release(self) -> None:
        """Let waiting starts go on, and every script end at the next stop."""
        self.hold_starts.set()
        self._obedient = True
        for script in self._scripts.values():
            script.obedient = True

    @property
    def started(self) -> tuple[str, ...]:
        """The ids of the executions whose scripts were started, in order."""
        return tuple(self._scripts)

    async def ready(self) -> None:
        """Raise `not_ready` where a test set one."""
        if self.not_ready is not None:
            raise self.not_ready

    async def vet(self, order: StartOrder) -> None:
        """Raise `refusal` where a test set one."""
        if self.refusal is not None:
            raise self.refusal

    async def start(
        self, order: StartOrder, on_progress: Callable[[Progress], None]
    ) -> FakeScript:
        """Return a script that runs until the test ends it."""
        await self.hold_starts.wait()
        if self.start_error is not None:
            raise self.start_error
        script = FakeScript(order, on_progress, obedient=self._obedient)
        async with self._changed:
            self._scripts[order.execution_id] = script
            self._changed.notify_all()
        return script

    async def output(self, execution_id: str) -> Output:
        """Return what the test put into `outputs`; else nothing was written."""
        return self.outputs.get(execution_id, Output())

    def acknowledge(self, execution_ids: Iterable[str]) -> None:
        """Note the ids."""
        self.acknowledged.extend(execution_ids)

    async def discard(self, execution_id: str) -> None:
        """Note the id and forget its output."""
        self.discarded.append(execution_id)
        self.outputs.pop(execution_id, None)

    async def kept(self) -> tuple[str, ...]:
        """Return the ids of `outputs`."""
        return tuple(self.outputs)

    async def recover(self) -> Mapping[str, Outcome]:
        """Return `recovered`."""
        return self.recovered

    def lives(self, process: UnkillableProcess) -> bool:
        """Tell whether the test has put the process into `living`."""
        return process in self.living

    def remember(self, execution_id: str, left: Sequence[UnkillableProcess]) -> None:
        """Note it."""
        self.noted[execution_id] = tuple(left)

    async def remembered(self) -> Mapping[str, tuple[UnkillableProcess, ...]]:
        """Return what was noted."""
        return self.noted

    async def close(self) -> None:
        """Note it."""
        self.closed = True


class RecordingListener:
    """A `TransitionListener` that keeps what it was told."""

    def __init__(self) -> None:
        self.transitions: list[Transition] = []
        self.progress: list[Execution] = []
        self.executions: dict[str, Execution] = {}
        """Each execution as last told."""
        self._told = asyncio.Event()

    def on_transition(self, execution: Execution, transition: Transition) -> None:
        """Keep a change of status."""
        self.transitions.append(transition)
        self._take(execution)

    def on_progress(self, execution: Execution) -> None:
        """Keep a change of progress."""
        self.progress.append(execution)
        self._take(execution)

    def statuses(self, execution_id: str) -> list[ExecutionStatus]:
        """Return the statuses that an execution went through, in order."""
        return [t.status for t in self.transitions if t.execution_id == execution_id]

    async def wait_for(self, execution_id: str, *statuses: ExecutionStatus) -> Execution:
        """Wait until an execution was told to stand in one of `statuses`, or, without any, to
        have ended; return it as last told."""
        while True:
            execution = self.executions.get(execution_id)
            if execution is not None and (
                execution.status in statuses if statuses else not execution.is_open
            ):
                return execution
            self._told.clear()
            await self._told.wait()

    def _take(self, execution: Execution) -> None:
        self.executions[execution.id] = execution
        self._told.set()


class FakeSchemaChecker:
    """A `SchemaChecker` that accepts everything until a test says otherwise."""

    def __init__(self) -> None:
        self.schema_error: Exception | None = None
        """What `check_schema` raises."""
        self.parameters_error: Exception | None = None
        """What `check_parameters` raises."""
        self.checked: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
        """Every pair of schema and parameters that was checked."""

    async def check_schema(self, schema: Mapping[str, Any]) -> None:
        """Raise `schema_error` where a test set one."""
        if self.schema_error is not None:
            raise self.schema_error

    async def check_parameters(
        self, schema: Mapping[str, Any], parameters: Mapping[str, Any]
    ) -> None:
        """Raise `parameters_error` where a test set one."""
        self.checked.append((schema, parameters))
        if self.parameters_error is not None:
            raise self.parameters_error
