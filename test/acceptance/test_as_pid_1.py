# SPDX-License-Identifier: Apache-2.0
"""The gateway as the first process of a container, beside what `docker exec` does."""

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import re
import signal
import subprocess

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import entry_point, GatewayProcess, nothing_left, started
from helper_processes import SPAWNER, SUPERVISOR

from gateway_node.child.process_tree import descendants, ProcessEntry
from gateway_node.init import PROCESS_NAME

NAMESPACE = ('unshare', '--pid', '--fork', '--kill-child', '--mount-proc')
DAEMON = 'echo up; setsid env -i sleep 100012 >&- 2>&- 3>&- & sleep 600\n'


@contextlib.contextmanager
def container(folder: Path) -> Iterator[tuple[GatewayProcess, int]]:
    """Start the gateway as PID 1; yield it and the pid that PID 1 has outside."""
    probed = subprocess.run((*NAMESPACE, 'true'), check=False, capture_output=True, text=True)
    if probed.returncode != 0:
        pytest.skip(f'no pid namespace can be made here: {probed.stderr.strip()}')
    command = [*NAMESPACE, *entry_point(folder / 'state')]
    with nothing_left(), started(command, folder) as (process, log):
        serving = wait_for(
            lambda: re.search(r'serving (http://\S+)', log.read_text(encoding='utf-8')),
            lambda found: found is not None or process.poll() is not None,
            what='the gateway serves',
        )
        assert serving is not None, log.read_text()
        (first,) = (e.pid for e in descendants(process.pid) if e.parent == process.pid)
        yield GatewayProcess(process, log, serving.group(1)), first


def execute_in(first: int, line: str) -> None:
    """Run a line of shell in the container, as `docker exec` does."""
    enter = ('nsenter', '--target', str(first), '--pid', '--mount')
    subprocess.run((*enter, 'sh', '-c', line), check=True)


def below(first: int, word: str) -> list[ProcessEntry]:
    """Return what there is in the container with a word in its command line or as its name."""
    found = []
    for entry in descendants(first):
        with contextlib.suppress(OSError):
            words = Path(f'/proc/{entry.pid}/cmdline').read_bytes().split(b'\0')
            if entry.name == word or word.encode() in words:
                found.append(entry)
    return found


def test_what_is_executed_beside_the_gateway_outlives_its_spawner(tmp_path: Path) -> None:
    """It is PID 1's and not the gateway's; all of a script is ended, and a signal ends well."""
    with container(tmp_path) as (api, first):
        assert Path(f'/proc/{first}/comm').read_text().strip() == PROCESS_NAME
        execute_in(first, 'sleep 100011 >&- 2>&- & sleep 0.01 >&- 2>&- &')
        (stranger,) = wait_for(
            lambda: [e for e in below(first, '100011') if e.parent == first],
            bool,
            what='it is the child of PID 1',
        )
        host = f'components/{api.body("/components")["items"][0]["id"]}'
        href = api.start(host, api.upload(host, DAEMON))
        wait_for(lambda: below(first, '100012'), bool, what='the daemon is up')
        for name in (SPAWNER, SUPERVISOR):
            (entry,) = below(first, name)
            os.kill(entry.pid, signal.SIGKILL)
        ended = api.wait_for_status(href, 'failed')
        assert ended['error']['vendor_code'] == 'x-gateway-supervisor-lost'
        assert below(first, '100012') == []
        assert [e.identity for e in below(first, '100011')] == [stranger.identity]
        wait_for(
            lambda: [e for e in descendants(first) if e.is_zombie],
            lambda zombies: zombies == [],
            what='all that has ended is reaped',
        )
        os.kill(first, signal.SIGTERM)
        assert api.wait_ended() == 0, api.log
