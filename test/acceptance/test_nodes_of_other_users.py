# SPDX-License-Identifier: Apache-2.0
"""Nodes of another user on the same machine, which Fast DDS hides from root."""

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from foreign_processes import skip_where_users_cannot_change, UID
from gateway_process import gateway, wait_for
from ros_support import bare_node

# Python may lie where only root may read; what others may write is what matters.
AS_OTHER = (
    *('setpriv', f'--reuid={UID}', '--clear-groups'),
    *('--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'),
)
HINT = f'user {UID} has some in this domain'


@contextlib.contextmanager
def node_of_another_user(folder: Path) -> Iterator[None]:
    """Run a node as somebody who is not root, for a while."""
    log = folder / 'log_of_another_user'
    log.mkdir()
    os.chown(log, UID, -1)
    with bare_node('temp_sensor', parent=('env', f'ROS_LOG_DIR={log}', *AS_OTHER)):
        yield


def test_an_empty_list_of_apps_comes_with_a_hint_where_nodes_are_hidden(tmp_path: Path) -> None:
    """In `/health` while it is so, and once in the log."""
    skip_where_users_cannot_change()
    with gateway(tmp_path) as api:
        if not api.body('/health')['versions']['rmw'].startswith('rmw_fastrtps'):
            pytest.skip('this middleware hides nothing')
        with node_of_another_user(tmp_path):
            told = api.wait_for('/health', lambda body: body['warnings'], what='a warning')
            assert api.body('/apps')['items'] == []
            (warning,) = told['warnings']
            assert HINT in warning
            assert told['status'] == 'degraded'
            wait_for(lambda: api.log, lambda log: HINT in log, what='the log tells it')
        with bare_node('seen'):
            api.wait_for_app('seen')
            assert api.body('/health')['status'] == 'ok'
