# SPDX-License-Identifier: Apache-2.0
"""A script runner without processes: its scripts end when a test says so."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from fakes.artifacts import FakeArtifacts
from gateway_node.executions.output_lines import OutputLine, OutputLines, OutputStream
from gateway_node.executions.runner_ports import EndCause, Outcome, StartOrder
from gateway_node.executions.values import (
    Output,
    Progress,
    StopAction,
    Trigger,
    UnkillableProcess,
)
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
        self.outputs: dict[str, Output] = {}
        """What `output` returns, by execution id."""
        self.lines: dict[str, list[OutputLine]] = {}
        """What `output_lines` returns, by execution id."""
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
        self._watchers: list[tuple[str, Callable[[], None]]] = []
        self._changed = asyncio.Condition()

    def say(self, execution_id: str, text: str) -> None:
        """Write one line to stdout, as a script would."""
        said = self.lines.setdefault(execution_id, [])
        said.append(
            OutputLine(
                number=len(said) + 1,
                stream=OutputStream.STDOUT,
                elapsed_ms=0,
                text=text,
                whole=True,
            )
        )
        for told, on_output in tuple(self._watchers):
            if told == execution_id:
                on_output()

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

    async def output(self, execution_id: str) -> Output:
        """Return what the test put into `outputs`; else nothing was written."""
        return self.outputs.get(execution_id, Output())

    async def output_lines(
        self,
        execution_id: str,
        *,
        after: int = 0,
        limit: int,
        stream: OutputStream | None = None,
    ) -> OutputLines:
        """Return what was said; all of it is complete where no script runs."""
        said = self.lines.get(execution_id, [])
        asked = [line for line in said[after:] if stream in (None, line.stream)][:limit]
        last = asked[-1].number if len(asked) == limit else max(after, len(said))
        script = self._scripts.get(execution_id)
        ended = script is None or script.has_ended
        return OutputLines(
            lines=tuple(asked),
            dropped=(),
            unfinished=(),
            last=last,
            complete=ended and last >= len(said),
        )

    async def newest_output_lines(
        self,
        execution_id: str,
        *,
        before: int | None = None,
        limit: int,
        stream: OutputStream | None = None,
    ) -> OutputLines:
        """Return the last of what was said, as `output_lines` does."""
        read = await self.output_lines(execution_id, limit=2**63, stream=stream)
        asked = [line for line in read.lines if before is None or line.number < before]
        return replace(read, lines=tuple(asked[-limit:]), earlier=len(asked) > limit)

    async def output_text(self, execution_id: str, *, stream: OutputStream | None = None) -> bytes:
        """Return what was said, a line each."""
        read = await self.output_lines(execution_id, limit=2**63, stream=stream)
        return ''.join(f'{line.text}\n' for line in read.lines).encode()

    def watch_output(self, execution_id: str, on_output: Callable[[], None]) -> Callable[[], None]:
        """Call `on_output` with each line that is said."""
        watcher = (execution_id, on_output)
        self._watchers.append(watcher)
        return partial(self._watchers.remove, watcher)

    def acknowledge(self, execution_ids: Iterable[str]) -> None:
        """Note the ids."""
        self.acknowledged.extend(execution_ids)

    async def discard(self, execution_id: str) -> None:
        """Note the id and forget its output."""
        self.discarded.append(execution_id)
        self.outputs.pop(execution_id, None)
        self.lines.pop(execution_id, None)

    async def variables(self, script: Script) -> Mapping[str, str]:
        """Return what the test said, and what the script's declaration does."""
        return {**self.environment, **script.environment}

    async def kept_bytes(self, execution_ids: Sequence[str]) -> Sequence[int]:
        """Return what the test said."""
        return [self.kept_bytes_of.get(each, 0) for each in execution_ids]

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
