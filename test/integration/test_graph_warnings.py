# SPDX-License-Identifier: Apache-2.0
"""What the assembled gateway tells of the graph, and the tasks that it has for that."""

import asyncio
from pathlib import Path
import time

from aiohttp import ClientSession
from api_support import BASE
import pytest
from waiting import wait_until

pytest.importorskip('rclpy', reason='ROS is not installed')

from assembled_gateway import assembled_gateway, OWN_NODE

from gateway_node.entities.values import GraphSnapshot
from gateway_node.executions.service import ExecutionService
from gateway_node.ros.namesakes import Namesakes
from gateway_node.ros.unseen_nodes import Queue, UnseenNodes

ALONE = GraphSnapshot(nodes=frozenset({OWN_NODE}))


async def warnings(client: ClientSession) -> list[str]:
    """Return what /health warns of."""
    async with client.get(f'{BASE}/health') as answer:
        return list((await answer.json())['warnings'])


async def test_a_namesake_that_stays_is_a_warning_in_health(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And in the log; a gateway that is alone has neither."""
    async with assembled_gateway(tmp_path / 'alone', ALONE) as client:
        assert await warnings(client) == []
    with_namesake = GraphSnapshot(nodes=ALONE.nodes, namesakes=1)
    namesakes = Namesakes(OWN_NODE, patience_sec=0)
    async with assembled_gateway(tmp_path, with_namesake, namesakes=namesakes) as client:
        await wait_until(lambda: namesakes.warnings != (), what='patience is at its end')
        (warning,) = await warnings(client)
        assert 'is called /gateway_node too' in warning
        assert warning in caplog.messages


async def test_hidden_nodes_that_come_late_are_a_warning_in_the_log_and_in_health(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether /health is asked for or not."""
    in_shared_memory: list[Queue] = []
    unseen_nodes = UnseenNodes(
        rmw='rmw_fastrtps_cpp',
        domain_id=0,
        user_id=0,
        monotonic=time.monotonic,
        look=lambda: in_shared_memory,
        moment_sec=0.01,
    )
    async with assembled_gateway(tmp_path, ALONE, unseen_nodes=unseen_nodes) as client:
        assert await warnings(client) == []
        in_shared_memory += [Queue('fastdds_port7411', 0), Queue('fastdds_port7413', 1000)]
        await wait_until(lambda: 'user 1000' in caplog.text, what='it is logged')
        (warning,) = await warnings(client)
        assert warning.startswith('no node is seen, though user 1000 has some in this domain')


async def test_a_gateway_that_has_ended_leaves_no_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who starts a task beside the requests cancels it."""

    async def never_ends(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(ExecutionService, 'start_schedules', never_ends)
    own = {'look after entities', 'look for hidden nodes', 'start schedules'}
    async with assembled_gateway(tmp_path, ALONE):
        assert own <= {task.get_name() for task in asyncio.all_tasks()}
    assert own & {task.get_name() for task in asyncio.all_tasks()} == set()
