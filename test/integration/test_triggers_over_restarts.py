# SPDX-License-Identifier: Apache-2.0
"""Instances and their triggers on a real database, over lives of the gateway."""

import asyncio
from pathlib import Path

from clients import CLIENT
from fakes import FakeRobot
from firing_robot import life_with_triggers
from lives import APP, Robot

from gateway_node.triggers.values import Instance


class Turns:
    """Counts what a listener is told of instances until others on the loop have a turn."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self._count = 0

    def on_instance(self, before: Instance | None, after: Instance | None) -> None:
        """Count it."""
        if not self._count:
            asyncio.get_running_loop().call_soon(self._end)
        self._count += 1

    def _end(self) -> None:
        self.counts.append(self._count)
        self._count = 0


async def test_instances_go_with_their_script_in_turns(tmp_path: Path) -> None:
    """Nobody else on the loop waits for all of them."""
    async with life_with_triggers(Robot(tmp_path), FakeRobot()) as live:
        script_id = await live.life.upload()
        for number in range(120):
            await live.make(APP, script_id, {'name': f'n{number}'})
        turns = Turns()
        live.instances.book.add_listener(turns)
        await asyncio.sleep(0)
        turns.counts.clear()
        await live.instances.script_deleted(APP, script_id, CLIENT)
        assert live.instances.book.all() == ()
        assert turns.counts == [50, 50, 20]
