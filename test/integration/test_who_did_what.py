# SPDX-License-Identifier: Apache-2.0
"""The assembled gateway knows who changes something, and tells of it."""

import logging
from pathlib import Path

from api_support import form
from assembled_gateway import assembled_gateway
from clients import CLIENT
from fakes import FakeClock, whole_log
import pytest

from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.events import EventKind
from gateway_node.ros.queued_logging import FieldsFormatter
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore

GRAPH = GraphSnapshot(nodes=frozenset({NodeName(namespace='/', name='temp_sensor')}))


async def test_what_a_client_behind_a_proxy_does_is_told_as_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The event log and the lines of the gateway's log name it by its address; the paths lead
    back through the proxy."""
    caplog.set_level(logging.INFO, logger='gateway_node')
    trusted: dict[str, object] = {
        'server.trusted_proxies': ['127.0.0.1'],
        'auth.allow_anonymous_access': True,
    }
    proxied = {'X-Forwarded-For': CLIENT.origin, 'X-Forwarded-Prefix': '/robots/r1'}
    async with assembled_gateway(tmp_path, GRAPH, parameters=trusted) as client:
        new = form(b'true\n', 'check.sh')
        scripts = '/api/v1/apps/temp_sensor/scripts'
        async with client.post(scripts, data=new, headers=proxied) as response:
            script = response.headers['Location']
        assert script.startswith(f'/robots/r1{scripts}/')
        wish = {'execution_type': 'now'}
        path = f'{script.removeprefix("/robots/r1")}/executions'
        async with client.post(path, json=wish, headers=proxied) as response:
            execution = (await response.json())['id']
    database = await Database.open(tmp_path)
    store = await SqliteExecutionStore.open(database, FakeClock())
    log = [(event.kind, event.actor) for event in await whole_log(store)]
    await store.close()
    assert log[:2] == [
        (EventKind.SCRIPT_UPLOADED, CLIENT),
        (EventKind.EXECUTION_ACCEPTED, CLIENT),
    ]
    assert log[-1] == (EventKind.EXECUTION_ENDED, GATEWAY)
    lines = [FieldsFormatter().format(record) for record in caplog.records]
    assert [line.partition(':')[0] for line in lines if f'execution={execution} ' in line] == [
        'start accepted',
        'execution ended',
    ]
    assert any(line.endswith(f'actor={CLIENT.origin}') for line in lines)
