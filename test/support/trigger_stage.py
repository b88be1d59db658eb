# SPDX-License-Identifier: Apache-2.0
"""Triggers on a stage of fakes: a robot whose values a test sets, scripts that it ends."""

import asyncio
from collections.abc import AsyncIterator, Mapping
import contextlib
from typing import Any

from clients import CLIENT
from execution_stage import APP, Stage
from fakes import FakeRobot
from loop_clock import LoopClock
import pytest
from waiting import wait_until

from gateway_node.conditions.sources import TopicValue
from gateway_node.executions.actors import Actor
from gateway_node.executions.events import Event, EventKind
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.values import Execution
from gateway_node.triggers import firings as firings_module
from gateway_node.triggers.firing import Triggers
from gateway_node.triggers.instance_book import InstanceBook
from gateway_node.triggers.instance_service import Instances, InstanceSettings
from gateway_node.triggers.timers import Timers
from gateway_node.triggers.turns import Turns
from gateway_node.triggers.watches import Watches

TEMPERATURE = TopicValue(topic='/battery', field='temperature')
HOT: Mapping[str, Any] = {'topic': '/battery', 'field': 'temperature', 'above': 60}
COLD: Mapping[str, Any] = {'topic': '/battery', 'field': 'temperature', 'below': 50}


class TriggerStage:
    """A stage with instances and triggers on it; time is the loop's, in the test's hand."""

    def __init__(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self.time = LoopClock(monkeypatch)
        monkeypatch.setattr(stage.clock, 'monotonic', loop.time)
        self.stage = stage
        self.robot = FakeRobot(loop.time)
        self.make_room()

    def make_room(self) -> None:
        """Make the instances and triggers, as a start of the gateway does."""
        stage = self.stage
        self.instances = Instances(
            book=InstanceBook(),
            library=stage.library,
            executions=stage.service,
            ledger=stage.ledger,
            store=stage.store.instance_store,
            guard=_Open(),
            clock=stage.clock,
            settings=InstanceSettings(max_instances=10_000, max_rate_hz=20),
        )
        turns = Turns()
        self.triggers = Triggers(
            instances=self.instances,
            executions=stage.service,
            ledger=stage.ledger,
            store=stage.store.instance_store,
            turns=turns,
            watches=Watches(self.robot, turns),
            timers=Timers(stage.clock.monotonic, turns),
            clock=stage.clock,
            records=stage.store,
        )

    async def open(self) -> None:
        """Open them."""
        await self.instances.open([APP])
        await self.triggers.open()
        self._keeping = asyncio.create_task(self.triggers.keep_truths())

    async def close(self) -> None:
        """Close the triggers, as the end of the gateway does."""
        self.triggers.close()
        self._keeping.cancel()
        self.stage.ledger.remove_listener(self.triggers)
        async with asyncio.timeout(300):
            await self.triggers.wait_closed()

    async def restart(self, *, meanwhile: float | None = None) -> None:
        """Close the triggers and open them anew, `meanwhile` the temperature is another one."""
        await self.close()
        if meanwhile is not None:
            self.robot.set(TEMPERATURE, meanwhile)
        self.make_room()
        await self.open()
        await self.settle()

    async def make(
        self,
        *start_triggers: Mapping[str, Any],
        stop_triggers: tuple[Mapping[str, Any], ...] = (),
        script_id: str | None = None,
        name: str = 'hot',
        actor: Actor = CLIENT,
        **members: Any,
    ) -> InstanceRef:
        """Make an instance, of a script of its own where none is named; each trigger is a
        condition, or a trigger that has one."""
        document = {
            'name': name,
            'start_triggers': [_trigger(each) for each in start_triggers],
            'stop_triggers': [_trigger(each) for each in stop_triggers],
            **members,
        }
        if script_id is None:
            script_id = await self.stage.upload()
        instance = await self.instances.create(APP, script_id, document, actor=actor)
        await self.settle()
        return instance.ref

    async def heat(self, *temperatures: float) -> None:
        """Let the battery have these temperatures, one after the other, and all who look take
        each of them."""
        for temperature in temperatures:
            self.robot.set(TEMPERATURE, temperature)
            await self.settle()

    async def settle(self) -> None:
        """Let the loop do what is to be done now."""
        for _ in range(50):
            await asyncio.sleep(0)

    def events(self, *kinds: EventKind) -> list[Event]:
        """Return the events of these kinds that were told, in order."""
        return [each for each in self.stage.listener.events if each.kind in kinds]

    @property
    def fired(self) -> list[Event]:
        """All that fired."""
        return self.events(EventKind.TRIGGER_FIRED)

    @property
    def dropped(self) -> list[Event]:
        """All that led to nothing."""
        return self.events(EventKind.TRIGGER_DROPPED)

    @property
    def executions(self) -> list[Execution]:
        """All executions that were told of, as they are now, oldest first."""
        known = self.stage.listener.executions
        return [known[each] for each in sorted(known)]

    async def wait_fired(self, count: int) -> list[Event]:
        """Wait until so many have fired; return them."""
        await wait_until(lambda: len(self.fired) >= count, what=f'{count} firings')
        assert len(self.fired) == count
        return self.fired

    async def wait_executions(self, count: int) -> list[Execution]:
        """Wait until so many executions were told of; return them."""
        await wait_until(lambda: len(self.executions) >= count, what=f'{count} executions')
        assert len(self.executions) == count
        return self.executions

    async def wait_dropped(self, count: int) -> list[Event]:
        """Wait until so many firings led to nothing; return what tells of it."""
        await wait_until(lambda: len(self.dropped) >= count, what=f'{count} drops')
        assert len(self.dropped) == count
        return self.dropped

    async def obeyed(self, execution: Execution) -> Execution:
        """Wait until an execution is asked to end, and end it; return it as it is then."""
        script = await self.stage.runner.script(execution.id)
        await script.wait_stop_asked()
        script.exit(143)
        return await self.stage.listener.wait_for(execution.id)

    async def end(self, execution: Execution, exit_code: int = 0) -> None:
        """Let the script of an execution exit, and wait until that is on record."""
        script = await self.stage.runner.script(execution.id)
        script.exit(exit_code)
        await self.stage.listener.wait_for(execution.id)
        await self.settle()

    def start_trigger(self, ref: InstanceRef) -> Any:
        """Return what is shown of the first start trigger of an instance."""
        return self.triggers.shown(ref)['start_triggers'][0]


class _Open:
    """An `EntityGuard` that keeps nobody out."""

    def check(self, entity: object, actor: Actor) -> None:
        """Return."""


def _trigger(given: Mapping[str, Any]) -> Mapping[str, Any]:
    return given if 'condition' in given else {'condition': given}


@contextlib.asynccontextmanager
async def trigger_stage(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[TriggerStage]:
    """Set the stage and open it; close the triggers at the end."""
    monkeypatch.setattr(firings_module, 'RETRY_SEC', 0.01)
    triggers = TriggerStage(stage, monkeypatch)
    await triggers.open()
    yield triggers
    stage.store.unavailable = None
    await triggers.close()
