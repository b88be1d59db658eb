# SPDX-License-Identifier: Apache-2.0
"""Nodes of another user on the same machine, which Fast DDS hides from root."""

from collections.abc import Iterator, Sequence
import contextlib
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from foreign_processes import skip_where_users_cannot_change, UID
from gateway_process import gateway
from ros_support import bare_node, PROFILES

# Python may lie where only root may read; what others may write is what matters.
AS_OTHER = (
    *('setpriv', f'--reuid={UID}', '--clear-groups'),
    *('--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'),
)
UNIT = Path(__file__).parents[2] / 'config' / 'gateway_node.service'
GETS = 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=20).read().decode())'
LOOPBACK = 'ip link set lo up multicast on && ip route add 224.0.0.0/4 dev lo'
HINT = f'user {UID} has some in this domain'


@pytest.fixture(autouse=True)
def shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Fast DDS listen where it does without a profile."""
    monkeypatch.delenv(PROFILES)


@contextlib.contextmanager
def node_of_another_user(folder: Path, *, parent: Sequence[str] = ()) -> Iterator[None]:
    """Run a node as somebody who is not root, for a while."""
    log = folder / 'log_of_another_user'
    log.mkdir()
    os.chown(log, UID, -1)
    with bare_node('temp_sensor', parent=(*parent, 'env', f'ROS_LOG_DIR={log}', *AS_OTHER)):
        yield


def test_an_empty_list_of_apps_comes_with_a_hint_where_nodes_are_hidden(tmp_path: Path) -> None:
    """In `/health` while it is so, and once in the log."""
    skip_where_users_cannot_change()
    with gateway(tmp_path) as api:
        if not api.body('/health')['versions']['rmw'].startswith('rmw_fastrtps'):
            pytest.skip('this middleware hides nothing')
        with node_of_another_user(tmp_path):
            told = api.wait_for(
                '/health',
                lambda body: body['warnings'] or body['entities']['apps'],
                what='a warning',
            )
            if not told['warnings'] and api.body('/apps')['items'][0]['name'] == 'temp_sensor':
                pytest.skip('nothing is hidden here: Fast DDS had no shared memory for the node')
            assert api.body('/apps')['items'] == []
            (warning,) = told['warnings']
            assert HINT in warning
            assert told['status'] == 'degraded'
            wait_for(lambda: api.log, lambda log: HINT in log, what='the log tells it')
        with bare_node('seen'):
            api.wait_for_app('seen')
            assert api.body('/health')['status'] == 'ok'


def test_with_the_environment_of_the_unit_they_are_apps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the systemd unit sets for Fast DDS shows root the nodes of other users.

    With ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST it has no effect, so the network has a loopback
    only.
    """
    skip_where_users_cannot_change()
    found = re.findall(r'^Environment=(FASTDDS_\w+)=(.*)$', UNIT.read_text(), re.MULTILINE)
    for name, value in found:
        monkeypatch.setenv(name, value)
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET')
    with (
        loopback_alone() as there,
        node_of_another_user(tmp_path, parent=there),
        gateway(tmp_path, parent=there) as api,
    ):
        wait_for(
            lambda: (
                subprocess.run(
                    (*there, sys.executable, '-c', GETS, f'{api.url}/apps'),
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            ),
            lambda apps: '"temp_sensor"' in apps,
            what='the node is an app',
        )


@contextlib.contextmanager
def loopback_alone() -> Iterator[tuple[str, ...]]:
    """Make a network that has multicast on the loopback; yield what runs a command in it."""
    for program in ('ip', 'nsenter', 'unshare'):
        if shutil.which(program) is None:
            pytest.skip(f'{program} is not installed')
    with subprocess.Popen(
        ('unshare', '--net', 'sh', '-c', f'{LOOPBACK} && echo ready && read -r end'),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        if holder.stdout.readline() != 'ready\n':
            pytest.skip(f'no network can be made here: {holder.communicate()[1]}')
        yield ('nsenter', f'--net=/proc/{holder.pid}/ns/net')
