# SPDX-License-Identifier: Apache-2.0
"""Python scripts start warm as the gateway comes, and a kill of everything leaves none behind."""

import os
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import gateway, GatewayProcess
from killing import ENTITY, kill_with_helpers
from ros_support import bare_node

from gateway_node.child.process_tree import all_entries, read_proc

WARM = {'python.warm': True}
MAKES_A_NODE = (
    'import rclpy, sys\n'
    'rclpy.init()\n'
    'print("rclpy" in sys.modules, rclpy.create_node("of_a_script").get_name())\n'
    'rclpy.shutdown()\n'
)
WAITS_IN_A_SESSION_OF_ITS_OWN = """
import os, time
if os.fork() == 0:
    os.setsid()
    print('ready', flush=True)
    time.sleep(600)
time.sleep(600)
"""


def warm(api: GatewayProcess) -> None:
    """Wait until scripts start warm."""
    api.wait_for(
        '/health',
        lambda health: health['supervision']['warm_interpreter'] == 'ready',
        what='the warm interpreter',
    )


@pytest.mark.timeout(180)
def test_python_scripts_start_warm_and_nothing_of_them_outlives_a_kill(tmp_path: Path) -> None:
    """The execution says so; a later gateway finds what is left, whose environment it wrote
    itself into /proc, by its mark."""
    with bare_node('temp_sensor', '/powertrain/engine'), gateway(tmp_path, WARM) as api:
        api.wait_for_app('temp_sensor')
        warm(api)
        script = api.upload(ENTITY, MAKES_A_NODE, name='node.py')
        ended = api.wait_for_status(api.start(ENTITY, script), 'completed', 'failed')
        assert ended['parameters']['stdout'] == 'True of_a_script\n'
        assert ended['warm'] is True
        assert 'warm' not in api.body(f'/{ENTITY}/scripts/{script}')
        cold = api.upload(ENTITY, 'print(1)', name='cold.py', warm=False)
        assert api.body(f'/{ENTITY}/scripts/{cold}')['warm'] is False
        assert 'warm' not in api.wait_for_status(api.start(ENTITY, cold), 'completed')
        waits = api.upload(ENTITY, WAITS_IN_A_SESSION_OF_ITS_OWN, name='waits.py')
        href = api.start(ENTITY, waits)
        api.wait_for(
            href,
            lambda body: body.get('warm') and 'ready' in body['output']['stdout'],
            what='it is up',
        )
        mark = os.fsencode(f'GATEWAY_EXECUTION_ID={href.rpartition("/")[2]}')
        assert len(marked(mark)) == 2
        kill_with_helpers(api)
        assert marked(mark) != []
        with gateway(tmp_path) as again:
            assert marked(mark) == []
            assert again.body(href)['error']['vendor_code'] == 'x-gateway-restarted'


def marked(mark: bytes) -> list[int]:
    """Return the pids of what bears the mark of an execution."""
    return [
        entry.pid
        for entry in all_entries()
        if not entry.is_zombie and mark in read_proc(entry.pid, 'environ').split(b'\0')
    ]
