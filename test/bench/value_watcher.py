# SPDX-License-Identifier: Apache-2.0
"""A program that has conditions look at a topic as the gateway does: its node, its event loop.

Usage: value_watcher.py CONDITIONS, a JSON array. It writes its port once all have been told a
value. Each byte that it is sent there it sends back; what it is asked last is its end.
"""

import asyncio
import json
import sys
import time

from gateway_node.conditions.condition_reading import parse_condition
from gateway_node.conditions.evaluation import Evaluation
from gateway_node.ros.node import GatewayNode
from gateway_node.triggers.turns import Turns
from gateway_node.triggers.watches import Readings, Watches


class Look:
    """One condition, looked at as a trigger does."""

    def __init__(self, document: object) -> None:
        condition = parse_condition(document, '', [], moments=True)
        assert condition is not None, document
        self.evaluation = Evaluation(condition, time.monotonic())
        self.known = asyncio.Event()

    def take(self, readings: Readings) -> None:
        """Take what was read."""
        self.evaluation.take(readings, time.monotonic())
        if self.evaluation.truth is not None:
            self.known.set()


async def main() -> None:
    """Watch, and answer."""
    node = GatewayNode.create([])
    node.start(asyncio.get_running_loop(), lambda _: None)
    watches = Watches(node.create_robot_values(), Turns())
    looks = [Look(document) for document in json.loads(sys.argv[1])]
    for look in looks:
        watches.watch(look.evaluation.sources, look.take)
    for look in looks:
        await look.known.wait()
    over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(1):
            writer.write(asked)
        writer.close()
        over.set()

    server = await asyncio.start_server(answer, '127.0.0.1', 0)
    sys.stdout.write(f'{server.sockets[0].getsockname()[1]}\n')
    sys.stdout.flush()
    await over.wait()
    server.close()
    node.stop()


if __name__ == '__main__':
    asyncio.run(main())
