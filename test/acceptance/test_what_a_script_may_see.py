# SPDX-License-Identifier: Apache-2.0
"""What a script may see of the gateway that runs it, where both are of one plain user."""

from collections.abc import Mapping, Sequence
import inspect
import os
from pathlib import Path
import shutil
import socket
import subprocess
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import gateway
import looks_around

from gateway_node.child.process_tree import descendants

HOST = f'components/{socket.gethostname().replace(".", "_")}'
SEED = 'hunter2-8b1f'
PLAIN_USER = 65534
READS_ALL = 'dac_read_search'
"""The Python of these tests may lie where only root gets: that it can be read says nothing of who
may look into a process, nor of who may write its files."""


def as_plain_user() -> Sequence[str]:
    """Return the beginning of a command that goes on as a plain user; empty where this is one."""
    if os.getuid() != 0:
        return ()
    setpriv = shutil.which('setpriv')
    if setpriv is None:
        pytest.skip('there is no setpriv (util-linux), and root may look into everything')
    user = [f'--reuid={PLAIN_USER}', f'--regid={PLAIN_USER}', '--clear-groups']
    command = [setpriv, *user, f'--inh-caps=+{READS_ALL}', f'--ambient-caps=+{READS_ALL}']
    if subprocess.run([*command, 'true'], check=False, capture_output=True).returncode:
        pytest.skip('this container does not let processes go on as another user')
    return command


def given_to_plain_user(folder: Path) -> Mapping[str, str]:
    """Give a folder to the plain user; return where it has what else it needs."""
    ros = folder / 'ros'
    ros.mkdir()
    if os.getuid() == 0:
        for each in (folder, ros):
            os.chown(each, PLAIN_USER, PLAIN_USER)
    return {'HOME': str(folder), 'ROS_HOME': str(ros), 'ROS_LOG_DIR': str(ros)}


def test_a_script_sees_nothing_of_the_gateway_and_its_helpers(tmp_path: Path) -> None:
    """Neither their environment nor memory nor descriptors, executed or warm; it goes first when
    memory runs out all the same, and may itself be looked into."""
    parent = as_plain_user()
    folder = tmp_path / 'of_user'
    folder.mkdir()
    environment = {**given_to_plain_user(folder), 'FLEET_TOKEN': SEED}
    parameters = {'python.warm': True}
    with gateway(folder, parameters, parent=parent, environment=environment) as api:
        api.wait_for(
            '/health',
            lambda health: health['supervision']['warm_interpreter'] == 'ready',
            what='warm scripts',
        )
        content = inspect.getsource(looks_around)
        helpers = {'gw-spawner', 'gw-supervisor', 'gw-spare'}
        # Spawned, forked for its limits and then executed, forked and never executed.
        for warm, limits in ((False, {}), (False, {'open_files': 100}), (True, {})):
            metadata = {'warm': warm, 'limits': limits, 'parameters_schema': {'type': 'object'}}
            script = api.upload(HOST, content, name='looks.py', **metadata)
            ended = api.wait_for_status(api.start(HOST, script), 'completed', 'failed')
            assert (ended['status'], ended.get('warm', False)) == ('completed', warm), ended
            found = ended['parameters']
            check(found, {f'{api.process.pid}', *map(str, below(api.process.pid))})
            names = {name.partition(' ')[2] for name in found['of_others']}
            assert helpers <= names


def below(gateway: int) -> list[int]:
    """Return what lives below a gateway."""
    return [entry.pid for entry in descendants(gateway)]


def check(found: dict[str, Any], ours: set[str]) -> None:
    """Fail where a script had more than it may."""
    assert found['user'] != 0
    looked_at = {
        name: ways for name, ways in found['of_others'].items() if name.split()[0] in ours
    }
    assert len(looked_at) >= 5, 'gateway, two spawners, supervisor, schema child'
    assert {name: ways for name, ways in looked_at.items() if ways} == {}
    assert found['own_ways'] == ['environ', 'mem']
    assert found['oom_score_adj'] == 800
    assert 'memfd:stdin' in found['descriptors']['0']
    assert found['others'] == []
    assert SEED not in str(found['environment'])
