# SPDX-License-Identifier: Apache-2.0
"""Nodes in processes of their own that do what a test says, and what is read of them."""

from collections.abc import Callable, Iterator
import contextlib
import json
import os
import subprocess
import sys
from typing import Any

from ros_support import ended_at_exit, PROGRAMS
from waiting import DEADLINE_SEC, wait_until

from gateway_node.conditions.sources import Reading, RobotSource
from gateway_node.triggers.ports import RobotValues

FLOAT = 'std_msgs/msg/Float64'


class RobotPart:
    """A node, `/<name>`."""

    def __init__(self, process: 'subprocess.Popen[str]') -> None:
        self.process = process

    def do(self, **order: Any) -> None:
        """Have it do something; it is done then. See `ros_programs/robot_part.py`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + '\n')
        self.process.stdin.flush()
        assert self.process.stdout.readline() == 'done\n', order

    def publish(
        self, topic: str, *values: Any, type_name: str = FLOAT, field: str = 'data', **how: Any
    ) -> None:
        """Publish messages with these values in one field."""
        messages = [{field: value} for value in values]
        self.do(publish=topic, type=type_name, messages=messages, **how)

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def robot_part(name: str, *traits: str) -> Iterator[RobotPart]:
    """Run a node for a while, which is `lifecycle`, or `silent` where it answers nothing."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAMS / 'robot_part.py'), name, *traits],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    with ended_at_exit(process):
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == 'ready\n'
        try:
            yield RobotPart(process)
        finally:
            # So it leaves the graph, where the signal would leave it there for 20 s.
            process.stdin.close()
            process.wait(DEADLINE_SEC)


class Watched:
    """A source of the robot that is watched, and what was told of it."""

    def __init__(self, values: RobotValues, source: RobotSource) -> None:
        self.readings: list[Reading] = []
        self.end = values.watch(source, self.readings.append)

    @property
    def values(self) -> list[Any]:
        """All values that were told, in order."""
        return [each.value for each in self.readings if not each.fault]

    @property
    def fault(self) -> str:
        """What was told last, where it is a fault."""
        return self.readings[-1].fault if self.readings else ''

    async def until(self, condition: Callable[[Reading], object], what: str) -> Reading:
        """Return the newest reading once it meets a condition."""
        await wait_until(
            lambda: self.readings and condition(self.readings[-1]),
            what=f'{what}; told was {self.readings[-3:]}',
        )
        return self.readings[-1]

    async def value(self, value: Any) -> Reading:
        """Return the newest reading once it has a value."""
        return await self.until(
            lambda each: not each.fault and each.value == value, f'the value {value!r}'
        )

    async def faulty(self, text: str) -> Reading:
        """Return the newest reading once it is a fault with a text in it."""
        return await self.until(lambda each: text in each.fault, f'the fault {text!r}')
