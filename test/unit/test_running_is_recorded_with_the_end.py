# SPDX-License-Identifier: Apache-2.0
"""That a script runs is recorded with what comes next, where that comes at once."""

import asyncio
from collections.abc import Iterable, Sequence

from clients import CLIENT
from execution_stage import APP, COMPLETED, NOW, PREPARED, RUNNING, Stage, STOP
from fakes import FakeScript
import pytest
from waiting import wait_until

from gateway_node.executions import active_execution
from gateway_node.executions.errors import StoreUnavailable
from gateway_node.executions.events import Change, Event, EventKind, Happening
from gateway_node.executions.runner_ports import EndCause, Outcome
from gateway_node.executions.values import Execution, Output, Progress, StopAction, Trigger

ACCEPTED, RAN, ENDED = (
    EventKind.EXECUTION_ACCEPTED,
    EventKind.EXECUTION_RUNNING,
    EventKind.EXECUTION_ENDED,
)
STOP_ACCEPTED = EventKind.EXECUTION_STOP_ACCEPTED


class Records:
    """Notes what is recorded together."""

    def __init__(self, stage: Stage, patch: pytest.MonkeyPatch) -> None:
        self.kinds: list[list[EventKind]] = []
        self.refused: list[EventKind] = []
        """Kinds that cannot be recorded."""
        self._record = stage.store.record
        patch.setattr(stage.store, 'record', self._note)

    async def _note(self, news: Sequence[Change | Happening]) -> tuple[Event, ...]:
        kinds = [each.kind for each in news]
        self.kinds.append(kinds)
        if set(kinds) & set(self.refused):
            raise StoreUnavailable('disk full')
        return await self._record(news)


@pytest.fixture
def records(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Records:
    """Note what is recorded from now on; nothing is too slow to end at once."""
    monkeypatch.setattr(active_execution, 'RUNNING_PATIENCE_SEC', 60)
    return Records(stage, monkeypatch)


async def begun(stage: Stage) -> tuple[Execution, FakeScript]:
    """Start an execution; return it once its script runs."""
    execution = await stage.service.start(APP, await stage.upload(), NOW, actor=CLIENT)
    script = await stage.runner.script(execution.id)
    active = stage.service._active.get(execution.id)
    assert active is not None
    await wait_until(lambda: active.stop_holds, what='a script that is known to run')
    return execution, script


async def test_what_ends_at_once_is_recorded_with_one_commit(
    stage: Stage, records: Records
) -> None:
    """The log has both events, in order, and listeners hear of both, with what it was then."""
    told: list[tuple[EventKind, object]] = []

    class Listener:
        def on_event(self, event: Event, execution: Execution | None) -> None:
            told.append((event.kind, execution and execution.status))

    stage.ledger.add_listener(Listener())
    execution, script = await begun(stage)
    assert told == [(ACCEPTED, PREPARED)]
    script.exit(0)
    ended = await stage.listener.wait_for(execution.id)
    assert records.kinds == [[ACCEPTED], [RAN, ENDED]]
    assert told[1:] == [(RAN, RUNNING), (ENDED, COMPLETED)]
    assert ended.started_at is not None
    assert await stage.store.get(execution.id) == ended


async def test_what_goes_on_is_recorded_before_it_ends(
    stage: Stage, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a moment, whatever comes."""
    monkeypatch.setattr(active_execution, 'RUNNING_PATIENCE_SEC', 0.001)
    execution, script = await begun(stage)
    await stage.listener.wait_for(execution.id, RUNNING)
    script.exit(0)
    await stage.listener.wait_for(execution.id)
    assert records.kinds == [[ACCEPTED], [RAN], [ENDED]]


async def test_a_stop_takes_along_that_the_script_runs(
    stage: Stage, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are on record before the script hears of it."""
    execution, script = await begun(stage)
    on_record_at_stop: list[list[EventKind]] = []
    stop = script.stop

    def note_and_stop(action: StopAction, asked_by: Trigger | None = None) -> None:
        on_record_at_stop.extend(records.kinds)
        stop(action, asked_by)

    monkeypatch.setattr(script, 'stop', note_and_stop)
    script.obedient = True
    await stage.service.stop(APP, execution.script_id, execution.id, STOP, actor=CLIENT)
    await stage.listener.wait_for(execution.id)
    assert on_record_at_stop == [[ACCEPTED], [RAN, STOP_ACCEPTED]]
    assert records.kinds[2:] == [[ENDED]]


async def test_what_could_not_be_recorded_comes_with_the_next_record(
    stage: Stage, records: Records
) -> None:
    """A stop that the store does not take is told all the same; the end brings all of it."""
    execution, script = await begun(stage)
    records.refused = [STOP_ACCEPTED]
    script.obedient = True
    await stage.service.stop(APP, execution.script_id, execution.id, STOP, actor=CLIENT)
    ended = await stage.listener.wait_for(execution.id)
    assert records.kinds[1:] == [[RAN, STOP_ACCEPTED], [RAN, ENDED]]
    assert ended.stop_accepted


async def test_what_a_slow_disk_records_after_all_is_told_once(
    stage: Stage, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stops a script waits for the record no longer; it is made, and not made again."""
    monkeypatch.setattr(active_execution, 'RECORD_PATIENCE_SEC', 0.01)
    told: list[EventKind] = []

    class Listener:
        def on_event(self, event: Event, execution: Execution | None) -> None:
            told.append(event.kind)

    stage.ledger.add_listener(Listener())
    execution, script = await begun(stage)
    record, gate = stage.store.record, asyncio.Event()

    async def record_late(news: Sequence[Change | Happening]) -> tuple[Event, ...]:
        await gate.wait()
        return await record(news)

    async def record_whoever_waits(news: Sequence[Change | Happening]) -> tuple[Event, ...]:
        return await asyncio.shield(asyncio.create_task(record_late(news)))

    monkeypatch.setattr(stage.store, 'record', record_whoever_waits)
    script.obedient = True
    stopping = asyncio.create_task(
        stage.service.stop(APP, execution.script_id, execution.id, STOP, actor=CLIENT)
    )
    await script.wait_stop_asked()
    gate.set()
    await stopping
    await stage.listener.wait_for(execution.id)
    assert records.kinds == [[ACCEPTED], [RAN, STOP_ACCEPTED], [ENDED]]
    assert told == [ACCEPTED, RAN, STOP_ACCEPTED, ENDED]


async def test_progress_is_told_of_what_is_known_to_run(
    stage: Stage, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither listeners nor who asks for the execution see it before `running`."""
    monkeypatch.setattr(active_execution, 'RUNNING_PATIENCE_SEC', 0.05)
    execution, script = await begun(stage)
    script.report(Progress(percent=10))
    shown = await stage.get(execution)
    assert (shown.status, shown.progress, shown.started_at) == (PREPARED, None, None)
    assert stage.listener.progress == []
    await stage.listener.wait_for(execution.id, RUNNING)
    assert (await stage.get(execution)).progress == Progress(percent=10)
    script.report(Progress(percent=20))
    told = [each.progress for each in stage.listener.progress]
    assert told == [Progress(percent=10), Progress(percent=20)]
    script.exit(0)
    ended = await stage.listener.wait_for(execution.id)
    assert ended.progress == Progress(percent=20)


async def test_nothing_stands_between_the_commit_and_who_waits_for_the_end(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are told first; the runner hears of it, and the place is free, before any goes on."""
    told: list[object] = []
    execution, script = await begun(stage)
    single = await stage.upload(single_execution=True)

    def acknowledge(execution_ids: Iterable[str]) -> None:
        told.append(('acknowledged', stage.listener.statuses(execution.id)[-1]))

    monkeypatch.setattr(stage.runner, 'acknowledge', acknowledge)
    script.exit(0)
    await stage.questions.ended_within(execution, 60)
    assert told == [('acknowledged', COMPLETED)]
    for _ in range(3):
        other = await stage.service.start(APP, single, NOW, actor=CLIENT)
        (await stage.runner.script(other.id)).exit(0)
        await stage.questions.ended_within(other, 60)


async def test_output_that_came_with_the_end_is_not_asked_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what the script wrote."""

    async def output(execution_id: str) -> Output:
        raise AssertionError(execution_id)

    monkeypatch.setattr(stage.runner.outputs, 'of', output)
    execution, script = await begun(stage)
    script.end(Outcome(cause=EndCause.EXITED, exit_code=3, output=Output(stderr='last words')))
    ended = await stage.listener.wait_for(execution.id)
    assert ended.failure is not None
    assert ended.failure.parameters['stderr'] == 'last words'
