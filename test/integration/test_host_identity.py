# SPDX-License-Identifier: Apache-2.0
"""The host over lives of the assembled gateway, each under another hostname."""

from collections.abc import AsyncIterator, Callable
import contextlib
from dataclasses import dataclass
from pathlib import Path
import socket
import sqlite3
from typing import Any

from aiohttp import ClientSession
from api_support import BASE, form
import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from assembled_gateway import assembled_gateway, OWN_NODE

from gateway_node.entities.values import GraphSnapshot, NodeName

NODES = frozenset({NodeName(namespace='/arm', name='gripper'), OWN_NODE})


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A state directory, and a hostname that changes."""

    state_dir: Path
    call: Callable[[str], None]

    @contextlib.asynccontextmanager
    async def gateway(self, host_name: str) -> AsyncIterator[ClientSession]:
        """Assemble the gateway under this hostname and serve it."""
        self.call(host_name)
        async with assembled_gateway(self.state_dir, GraphSnapshot(nodes=NODES)) as client:
            yield client

    def forget_the_host(self) -> None:
        """Make the database one of a gateway that did not remember the host."""
        with contextlib.closing(sqlite3.connect(self.state_dir / 'gateway.sqlite3')) as database:
            removed = database.execute("DELETE FROM identities WHERE holder = 'host'")
            assert removed.rowcount == 1
            database.commit()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a machine whose hostname a test sets."""

    def call(host_name: str) -> None:
        monkeypatch.setattr(socket, 'gethostname', lambda: host_name)
        monkeypatch.setattr(socket, 'getfqdn', lambda: host_name)

    return Machine(state_dir=tmp_path / 'state', call=call)


async def host(client: ClientSession) -> tuple[str, str]:
    """Return id and name of the host, which is the first component."""
    async with client.get(f'{BASE}/components') as answer:
        first = (await answer.json())['items'][0]
    assert first['kind'] == 'host'
    return first['id'], first['name']


async def upload(client: ClientSession, component: str) -> str:
    """Upload a script; return its href."""
    path = f'{BASE}/components/{component}/scripts'
    async with client.post(path, data=form(b'true\n', 'check.sh')) as answer:
        return str((await answer.json())['href'])


async def schedule(client: ClientSession, script: str) -> str:
    """Let a script be executed at each start; return the schedule's href."""
    wish = {'execution_type': 'on_restart'}
    async with client.post(f'{script}/executions', json=wish) as answer:
        return str((await answer.json())['href'])


async def detail(client: ClientSession, href: str) -> Any:
    """GET what must be there."""
    async with client.get(href) as answer:
        assert answer.status == 200, href
        return await answer.json()


@pytest.mark.parametrize('noted', [True, False], ids=['noted', 'of an earlier gateway'])
async def test_what_hangs_on_the_host_is_there_under_another_hostname(
    machine: Machine, noted: bool
) -> None:
    """Scripts, executions and schedules; the id stays, the name is today's."""
    async with machine.gateway('a1b2c3') as client:
        assert await host(client) == ('a1b2c3', 'a1b2c3')
        script = await upload(client, 'a1b2c3')
        plan = await schedule(client, script)
        await upload(client, 'arm')
    if not noted:
        machine.forget_the_host()
    for host_name in ('d4e5f6', 'arm'):
        async with machine.gateway(host_name) as client:
            assert await host(client) == ('a1b2c3', host_name)
            assert (await detail(client, script))['name'] == 'check.sh'
            assert (await detail(client, plan))['scheduled'] is True
            started = (await detail(client, f'{script}/executions'))['items']
            assert plan.rpartition('/')[2] in {each.get('parent') for each in started}
            assert (await detail(client, f'{BASE}/components/arm'))['kind'] == 'namespace'


async def test_uploads_alone_tell_the_host_of_an_earlier_gateway(machine: Machine) -> None:
    """Where nothing was executed yet; what a namespace holds is the namespace's."""
    async with machine.gateway('a1b2c3') as client:
        script = await upload(client, 'a1b2c3')
        await upload(client, 'arm')
    machine.forget_the_host()
    async with machine.gateway('d4e5f6') as client:
        assert await host(client) == ('a1b2c3', 'd4e5f6')
        await detail(client, script)


async def test_uploads_beside_an_empty_database_do_not_make_the_host(machine: Machine) -> None:
    """Whose they are is not known: a namespace that appears later gets them."""
    async with machine.gateway('a1b2c3') as client:
        script = await upload(client, 'arm')
    for file in machine.state_dir.glob('gateway.sqlite3*'):
        file.unlink()
    async with machine.gateway('d4e5f6') as client:
        assert await host(client) == ('d4e5f6', 'd4e5f6')
        await detail(client, script)
