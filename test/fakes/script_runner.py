# SPDX-License-Identifier: Apache-2.0
"""A script runner without processes: its scripts end when a test says so."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fakes.artifacts import FakeArtifacts
from fakes.outputs import FakeOutputs
from gateway_node.executions.runner_ports import EndCause, Outcome, StartOrder
from gateway_node.executions.values import Progress, StopAction, Trigger, UnkillableProcess
from gateway_node.scripts.values import Script


class FakeScript:
    """A started script that ends when the test says so."""

    def __init__(
        self, order: StartOrder, on_progress: Callable[[Progress], None], *, obedient: bool
    ) -> None:
        self.order = order
        self.report = on_progress
        """Report progress, as the script would."""
        self.warm = False
        self.stops: list[StopAction] = []
        """What was asked of it so far."""
        self.obedient = obedient
        """Whether it ends when a stop is asked for."""
        self._stop_asked = asyncio.Event()
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def stop(self, action: StopAction, asked_by: Trigger | None = None) -> None:
        """Note that the end was asked for; an obedient script ends by SIGTERM or SIGKILL."""
        self.stops.append(action)
        self._stop_asked.set()
        if self.obedient and not self._outcome.done():
            self.end(
                Outcome(
                    cause=EndCause.EXITED,
                    signal=_SIGNALS[action],
                    end_asked=True,
                    end_asked_by=asked_by,
                )
            )

    @property
    def has_ended(self) -> bool:
        """Whether the test has ended it."""
        return self._outcome.done()

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
        self.outputs = FakeOutputs(self._runs)
        self.recovered: dict[str, Outcome] = {}
        """What `recover` returns."""
        self.living: set[UnkillableProcess] = set()
        """Processes that nobody could end, as long as they live."""
        self.noted: dict[str, tuple[UnkillableProcess, ...]] = {}
        self.acknowledged: list[str] = []
        self.discarded: list[str] = []
        self.artifacts = FakeArtifacts()
        self.kept_bytes_of: dict[str, int] = {}
        """What `kept_bytes` returns, 0 for others."""
        self.environment = {'ROS_DISTRO': 'kilted'}
        """What `variables` returns."""
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

    async def next_script(self) -> FakeScript:
        """Wait until a further script is started; return it."""
        known = len(self._scripts)
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._scripts) > known)
        return list(self._scripts.values())[known]

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

    async def look_over(self, order: StartOrder) -> None:
        """Raise what the test set."""
        if self.refusal is not None:
            raise self.refusal

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

    def acknowledge(self, execution_ids: Iterable[str]) -> None:
        """Note the ids."""
        self.acknowledged.extend(execution_ids)

    async def discard(self, execution_id: str) -> None:
        """Note the id and forget its output."""
        self.discarded.append(execution_id)
        self.outputs.forget(execution_id)

    async def variables(self, script: Script) -> Mapping[str, str]:
        """Return what the test said, and what the script's declaration does."""
        return {**self.environment, **script.environment}

    async def kept_bytes(self, execution_ids: Sequence[str]) -> Sequence[int]:
        """Return what the test said."""
        return [self.kept_bytes_of.get(each, 0) for each in execution_ids]

    async def kept(self) -> tuple[str, ...]:
        """Return the ids of what the test has had written."""
        return tuple(self.outputs.written)

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

    def _runs(self, execution_id: str) -> bool:
        script = self._scripts.get(execution_id)
        return script is not None and not script.has_ended

    async def close(self) -> None:
        """Note it."""
        self.closed = True
