# SPDX-License-Identifier: Apache-2.0
"""The assembled gateway in the test's own process: all rooms are real, the graph is told it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
import contextlib
from pathlib import Path
import ssl
import time

from aiohttp import ClientSession, TCPConnector
from fakes import FakeRobot

from gateway_node.assembly import assemble, NodeSide
from gateway_node.clock import Clock, SystemClock
from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.ros.configuration_reading import configuration_from
from gateway_node.ros.namesakes import Namesakes
from gateway_node.ros.unseen_nodes import UnseenNodes
from gateway_node.running import Gateway
from gateway_node.side_tasks import SideTasks

OWN_NODE = NodeName(namespace='/', name='gateway_node')


@contextlib.asynccontextmanager
async def assembled_gateway(
    state_dir: Path,
    graph: GraphSnapshot,
    *,
    unseen_nodes: UnseenNodes | None = None,
    namesakes: Namesakes | None = None,
    parameters: Mapping[str, object] | None = None,
    trust: ssl.SSLContext | None = None,
    robot: FakeRobot | None = None,
) -> AsyncIterator[ClientSession]:
    """Assemble a gateway that sees `graph`, serve it, and yield a client of it."""
    async with bound_gateway(
        state_dir,
        unseen_nodes=unseen_nodes,
        namesakes=namesakes,
        parameters=parameters,
        trust=trust,
        robot=robot,
    ) as (gateway, client):
        await gateway.open()
        gateway.on_graph(graph)
        gateway.start_schedules()
        yield client


@contextlib.asynccontextmanager
async def bound_gateway(
    state_dir: Path,
    *,
    unseen_nodes: UnseenNodes | None = None,
    namesakes: Namesakes | None = None,
    parameters: Mapping[str, object] | None = None,
    trust: ssl.SSLContext | None = None,
    clock: Clock | None = None,
    robot: FakeRobot | None = None,
) -> AsyncIterator[tuple[Gateway, ClientSession]]:
    """Assemble a gateway that is not opened yet, and yield it with a client of it.

    `trust` is what that client has where TLS is spoken.
    """
    given = {'state_dir': str(state_dir), **(parameters or {})}
    configuration = configuration_from(given, environ={})
    async with assemble(
        configuration,
        NodeSide(
            name=OWN_NODE,
            versions={},
            unseen_nodes=unseen_nodes
            or UnseenNodes(rmw='none', domain_id=0, user_id=0, monotonic=time.monotonic),
            namesakes=namesakes or Namesakes(OWN_NODE),
            robot_values=robot or FakeRobot(),
        ),
        instance='robot-1',
        clock=clock or SystemClock(),
        side_tasks=SideTasks(),
        strict=True,
    ) as gateway:
        (url,) = await gateway.bind(configuration.server.host, 0)
        try:
            async with ClientSession(url, connector=TCPConnector(ssl=trust or True)) as client:
                yield gateway, client
        finally:
            await gateway.close(asyncio.Event())
