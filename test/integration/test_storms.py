# SPDX-License-Identifier: Apache-2.0
"""A storm of starts, stops, schedules and replacements, over lives that end in every way.

Real SQLite and a real library; the scripts are fakes, which the storm ends.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
import contextlib
from pathlib import Path
import random

from clients import CLIENT
from fakes import FakeScript
from lives import APP, Life, Robot
import pytest

from gateway_node.entities.values import EntityRef, EntityType, GraphSnapshot, NodeName
from gateway_node.executions import stops as stops_module
from gateway_node.executions.errors import (
    ConcurrencyLimitReached,
    ExecutionNotDeletable,
    ExecutionNotFound,
    ExecutionNotStoppable,
    ExecutionNotWaiting,
    LineFull,
    LinePaused,
    ScheduleLimitReached,
    ScriptAlreadyRunning,
    ScriptHasOpenExecutions,
)
from gateway_node.executions.events import EventKind
from gateway_node.executions.line import Line
from gateway_node.executions.places import Place
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.executions.settings import LineSettings
from gateway_node.executions.starts import RUNS_NOW, StartRequest
from gateway_node.executions.values import (
    Execution,
    ExecutionType,
    Progress,
    StopAction,
)
from gateway_node.scripts.errors import ScriptNotFound
from gateway_node.scripts.metadata import Metadata

OTHER = EntityRef(entity_type=EntityType.APP, entity_id='other_sensor')
NODES = frozenset(NodeName(namespace='/', name=ref.entity_id) for ref in (APP, OTHER))
CLIENTS, MOVES, LIVES, SCRIPTS = 4, 25, 3, 5
MAX_EXECUTIONS, MAX_PER_ENTITY, MAX_SCHEDULES = 4, 3, 12
LINE = LineSettings(max_waiting=6, max_wait_sec=600)

REFUSALS = (
    ConcurrencyLimitReached,
    ExecutionNotDeletable,
    ExecutionNotFound,
    ExecutionNotStoppable,
    ExecutionNotWaiting,
    LineFull,
    LinePaused,
    ScheduleLimitReached,
    ScriptAlreadyRunning,
    ScriptHasOpenExecutions,
    ScriptNotFound,
)
"""What a client may meet in a storm; whatever else comes is a defect."""
ENDS = (EventKind.EXECUTION_ENDED, EventKind.SCHEDULE_REMOVED)


class Storm:
    """What the clients of a robot do, and what holds meanwhile."""

    def __init__(self, robot: Robot, seed: int) -> None:
        self.robot = robot
        self.dice = random.Random(seed)
        self.scripts: dict[str, EntityRef] = {}
        self.singles: set[str] = set()
        self.accepted: dict[str, Execution] = {}
        """What a client was told."""
        self.deleted: set[str] = set()
        self.running: dict[str, StartOrder] = {}
        """What runs in the present life."""
        self.started: set[str] = set()
        """What was started in it."""

    async def rage(self, life: Life) -> None:
        """Let clients do what comes to their minds while scripts end."""
        self.watch(life)
        life.directory.update(GraphSnapshot(nodes=NODES))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(life.executions.start_schedules())
            ending = tasks.create_task(self.end_scripts(life))
            clients = [tasks.create_task(self.be_a_client(life)) for _ in range(CLIENTS)]
            await asyncio.wait(clients)
            ending.cancel()

    def watch(self, life: Life) -> None:
        """See to it that nothing starts that may not."""
        start = life.runner.start
        self.running, self.started = {}, set()

        async def watched(
            order: StartOrder, on_progress: Callable[[Progress], None]
        ) -> FakeScript:
            self.check(order)
            self.running[order.execution_id] = order
            self.started.add(order.execution_id)
            try:
                return await start(order, on_progress)
            except asyncio.CancelledError:
                del self.running[order.execution_id]
                raise

        life.runner.start = watched  # type: ignore[method-assign]
        self.watch_order(life.executions._admission._line)

    def watch_order(self, line: Line) -> None:
        """See to it that nobody gets a place before another one that could have it as well."""
        give = line._places.give

        def watched(place: Place) -> None:
            waiting = [each.place for each in line._waiting.values()]
            before = [each for each in waiting if _rank(each) < _rank(place)]
            assert not [each for each in before if _needs(each) == _needs(place)]
            give(place)

        line._places.give = watched  # type: ignore[method-assign]

    def check(self, order: StartOrder) -> None:
        """The limits allow one more, the file is there, and it was not started before."""
        of_entity = [each for each in self.running.values() if each.entity == order.entity]
        assert len(self.running) < MAX_EXECUTIONS
        assert len(of_entity) < MAX_PER_ENTITY
        if order.script.id in self.singles:
            assert order.script.id not in {each.script.id for each in of_entity}
        assert order.script.runs_from.is_file()
        assert order.execution_id not in self.started

    async def end_scripts(self, life: Life) -> None:
        """Let now one script end and now another."""
        while True:
            await asyncio.sleep(0.001)
            if self.running and self.dice.random() < 0.5:
                await self.end_one(life, self.dice.choice(list(self.running)))

    async def end_one(self, life: Life, execution_id: str) -> None:
        """Let one script end, where it has begun."""
        if execution_id in life.runner.started:
            del self.running[execution_id]
            (await life.runner.script(execution_id)).exit(self.dice.choice([0, 0, 3]))

    async def be_a_client(self, life: Life) -> None:
        """Make some moves, whatever is said to them."""
        moves = [self.start, self.start, self.start, self.stop, self.replace, self.delete]
        moves += [self.prioritise, self.pause, self.resume, self.resume]
        for _ in range(MOVES):
            while len(self.scripts) < SCRIPTS:
                await self.upload(life)
            with contextlib.suppress(*REFUSALS):
                if self.accepted:
                    await self.dice.choice([*moves, self.delete_script])(life)
                else:
                    await self.start(life)

    async def start(self, life: Life) -> None:
        """Start or schedule a script."""
        script_id, entity = self.dice.choice(list(self.scripts.items()))
        execution_type = self.dice.choice(list(ExecutionType))
        request = StartRequest(
            execution_type=execution_type,
            priority=self.dice.choice([0, 50, 50, 100]),
            queue=self.dice.random() < 0.7,
            expires_in_sec=self._expiry(execution_type),
        )
        told = await life.executions.start(entity, script_id, request, actor=CLIENT)
        self.accepted[told.id] = told

    def _expiry(self, execution_type: ExecutionType) -> float | None:
        """Give some no more than a moment."""
        runs_now = execution_type in RUNS_NOW
        return self.dice.choice([0.01, 60]) if runs_now and self.dice.random() < 0.3 else None

    async def prioritise(self, life: Life) -> None:
        """Give something another priority, and most often something that waits."""
        told = self.dice.choice(list(self.accepted.values()))
        waiting = list(life.executions.line._line.positions())
        execution = self.accepted.get(self.dice.choice(waiting), told) if waiting else told
        priority = self.dice.choice([0, 50, 100])
        await life.executions.line.prioritise(execution, priority, actor=CLIENT)

    async def pause(self, life: Life) -> None:
        """Hold the line, or a part of it."""
        await self.set_paused(life, self.dice.choice([None, APP, OTHER]), paused=True)

    async def resume(self, life: Life) -> None:
        """Let the line go on, or a part of it."""
        await self.set_paused(life, self.dice.choice([None, APP, OTHER]), paused=False)

    async def set_paused(self, life: Life, entity: EntityRef | None, *, paused: bool) -> None:
        """Have the line as a client wants it; it is so over restarts."""
        await life.executions.line.set_paused(entity, paused=paused, actor=CLIENT)

    async def stop(self, life: Life) -> None:
        """Stop or kill anything."""
        told = self.dice.choice(list(self.accepted.values()))
        action = self.dice.choice(list(StopAction))
        await life.executions.stop(told.entity, told.script_id, told.id, action, actor=CLIENT)

    async def delete(self, life: Life) -> None:
        """Delete anything."""
        told = self.dice.choice(list(self.accepted.values()))
        await life.executions.delete(told.entity, told.script_id, told.id, actor=CLIENT)
        self.deleted.add(told.id)

    async def upload(self, life: Life) -> None:
        """Upload a script, some of which run once at a time."""
        entity, single = self.dice.choice([APP, OTHER]), self.dice.random() < 0.3
        metadata = Metadata(single_execution=single, named=frozenset({'single_execution'}))
        async with life.library.begin_upload() as upload:
            await upload.write(b'true\n')
            script = await life.library.create(entity, upload, 'check.sh', metadata)
        self.scripts[script.id] = entity
        if single:
            self.singles.add(script.id)

    async def replace(self, life: Life) -> None:
        """Replace a script."""
        script_id, entity = self.dice.choice(list(self.scripts.items()))
        async with life.library.begin_upload(replacing=True) as upload:
            await upload.write(f'echo {self.dice.random()}\n'.encode())
            await life.script_changes.replace(
                entity,
                script_id,
                upload,
                file_name='check.sh',
                metadata=None,
                actor=CLIENT,
            )

    async def delete_script(self, life: Life) -> None:
        """Delete a script, now and then."""
        script_id, entity = self.dice.choice(list(self.scripts.items()))
        await life.script_changes.delete(entity, script_id, actor=CLIENT)
        del self.scripts[script_id]

    async def calm_down(self, life: Life) -> None:
        """Let all that runs or waits end: nothing is wedged."""
        for entity in (None, APP, OTHER):
            await self.set_paused(life, entity, paused=False)
        async with asyncio.timeout(60):
            while not all(each.is_schedule for each in await life.store.open_executions()):
                for execution_id in tuple(self.running):
                    await self.end_one(life, execution_id)
                await asyncio.sleep(0.001)

    async def shut_down(self, life: Life) -> None:
        """End the gateway; what has not started may be left to the next one."""
        life.executions.close()
        closing = asyncio.create_task(life.executions.wait_closed())
        async with asyncio.timeout(60):
            while not closing.done():
                for execution_id in tuple(self.running):
                    await self.end_one(life, execution_id)
                await asyncio.sleep(0.001)
        await closing

    async def check_all(self, life: Life) -> None:
        """Nothing is lost, nothing ended twice, and all places and versions are free again."""
        for told in self.accepted.values():
            kept = await life.store.get(told.id)
            if told.id in self.deleted:
                assert kept is None
            else:
                assert kept is not None
                assert kept.is_schedule or not kept.is_open
        kinds = defaultdict(list)
        for event in await life.store.log.events(
            (await life.store.log.bounds()).begins, limit=9999
        ):
            kinds[event.subject_id].append(event.kind)
        for of_one in kinds.values():
            assert of_one.count(EventKind.EXECUTION_RUNNING) <= 1
            ends = [place for place, kind in enumerate(of_one) if kind in ENDS]
            assert len(ends) <= 1
            after = of_one[ends[0] + 1 :] if ends else []
            assert after in ([], [EventKind.EXECUTION_DELETED])
        for script_id in self.scripts:
            assert life.executions.versions_in_use(script_id) == frozenset()
        await self.check_places(life)

    async def check_places(self, life: Life) -> None:
        """As many as the limits allow can start, and not one more."""
        fresh = {}
        for entity in (APP, OTHER):
            async with life.library.begin_upload() as upload:
                await upload.write(b'true\n')
                fresh[entity] = await life.library.create(entity, upload, 'a.sh', Metadata())
        now = StartRequest(execution_type=ExecutionType.NOW, queue=False)
        entities = [APP] * MAX_PER_ENTITY + [OTHER] * (MAX_EXECUTIONS - MAX_PER_ENTITY)
        for entity in entities:
            await life.executions.start(entity, fresh[entity].id, now, actor=CLIENT)
        with pytest.raises(ConcurrencyLimitReached):
            await life.executions.start(OTHER, fresh[OTHER].id, now, actor=CLIENT)
        await self.calm_down(life)


def _rank(place: Place) -> tuple[int, str]:
    return -place.priority, place.execution_id


def _needs(place: Place) -> tuple[EntityRef, str]:
    return place.entity, place.script.id


async def storm(
    folder: Path, patch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture, seed: int
) -> None:
    """Let one storm go over a robot; what `check` finds is a defect that the log tells."""
    patch.setattr(stops_module, 'STOP_WAIT_SEC', 0.005)
    robot = Robot(folder)
    robot.max_executions, robot.max_schedules = MAX_EXECUTIONS, MAX_SCHEDULES
    robot.max_executions_per_entity, robot.line = MAX_PER_ENTITY, LINE
    storm = Storm(robot, seed)
    for number in range(LIVES):
        last, killed = number == LIVES - 1, storm.dice.random() < 0.5
        robot.start_prepared = storm.dice.random() < 0.5
        robot.clock.advance(storm.dice.choice([5, 3600]))
        async with robot.gateway(online=False) as life:
            await storm.rage(life)
            if last:
                await storm.calm_down(life)
            elif not killed:
                await storm.shut_down(life)
            if last:
                await storm.check_all(life)
    assert 'a defect of the gateway' not in log.text, log.text


@pytest.mark.parametrize('seed', range(2))
async def test_whatever_comes_the_limits_hold_and_nothing_is_lost_or_wedged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    """Each order is started at most once, within the limits, in its turn, from a file that is
    there; what was accepted ends, once; and in the end there is room again."""
    await storm(tmp_path, monkeypatch, caplog, seed)


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(100, 140))
async def test_a_season_of_storms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    """The same, many times."""
    await storm(tmp_path, monkeypatch, caplog, seed)
