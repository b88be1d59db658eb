# SPDX-License-Identifier: Apache-2.0
"""What befalls the gateway while scripts run: stopped, ended, out of descriptors or of disk."""

from collections.abc import Iterator
import contextlib
import http.client
import json
from pathlib import Path
import resource
import signal
import socket
import time
from typing import Any

import pytest
from waiting import DEADLINE_SEC, wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import Answer, gateway
from hostile_support import answering, assert_holds, FINAL, GRACE_SEC, Ground, ground_on, SLACK
from open_descriptors import descriptors
from small_disks import filled, mounted

CLIENTS = 10
ROUNDS = 8
LARGE_ANSWER = 'head -c 200000 /dev/urandom; head -c 200000 /dev/urandom >&2\n'
"""Makes an execution of over a megabyte: bytes that are no text show as three each."""


@pytest.fixture(scope='module')
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Serve one gateway to the tests that let it live."""
    with ground_on(tmp_path_factory.mktemp('gateway')) as ground:
        yield ground


@pytest.fixture
def ground(shared: Ground) -> Iterator[Ground]:
    """Give the shared gateway; afterwards no script is left, no descriptor more is open."""
    yield shared
    shared.wait_settled()


def test_a_stopped_gateway_does_not_stop_the_clock(ground: Ground) -> None:
    """A timeout is kept while the gateway is stopped; continued, it tells the right status."""
    href = ground.up('echo up\nexec sleep 600\n', timeout_sec=1)
    ground.api.signal(signal.SIGSTOP)
    try:
        wait_for(ground.scripts_left, lambda left: left == [], what='the script is ended')
        time.sleep(0.5)  # no wait for anything: what is told must not be the time of the telling
    finally:
        ground.api.signal(signal.SIGCONT)
    ended = ground.ended(href)
    assert_holds(
        ended,
        {
            'status': 'failed',
            'signal': signal.SIGTERM,
            'error': {'vendor_code': 'x-gateway-timeout', 'parameters': {'timeout_sec': 1}},
            'stop_trigger': {'type': 'system', 'setting': 'timeout'},
        },
    )
    assert 1000 <= ended['duration_ms'] < 1000 * SLACK


def test_clients_that_never_read_hold_nobody_up(ground: Ground) -> None:
    """Answers of a megabyte that nobody takes: others are served, and nothing piles up."""
    href = ground.started(LARGE_ANSWER)
    ground.ended(href)
    answer_mb = len(ground.api.request('GET', href).content) / 1024 / 1024
    assert answer_mb > 1
    resident = []
    for _ in range(ROUNDS):
        with never_reading(ground, href), answering(ground.api):
            assert ground.ended(ground.started('echo served\n'))['status'] == 'completed'
        ground.wait_settled()
        resident.append(ground.resident_mb())
    # Had each client left one answer behind, it would be twice as much.
    left_mb = (ROUNDS - 1) * CLIENTS * answer_mb / 2
    assert resident[-1] < resident[0] + left_mb, resident


@contextlib.contextmanager
def never_reading(ground: Ground, href: str) -> Iterator[None]:
    """Have clients that ask fifty times each and read nothing."""
    request = f'GET {href} HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode()
    with contextlib.ExitStack() as clients:
        for _ in range(CLIENTS):
            client = clients.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(DEADLINE_SEC)
            client.connect((ground.api.host, ground.api.port))
            client.sendall(request * 50)
        yield


class KeptConnection:
    """A client that keeps its connection, and needs no new descriptor of the gateway."""

    def __init__(self, ground: Ground) -> None:
        self._connection = http.client.HTTPConnection(
            ground.api.host, ground.api.port, timeout=DEADLINE_SEC
        )

    def request(self, method: str, path: str, json_body: Any = None) -> Answer:
        """Send a request to an href; return the answer."""
        content = None if json_body is None else json.dumps(json_body)
        self._connection.request(method, path, content, {'Content-Type': 'application/json'})
        response = self._connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(status=response.status, headers=headers, content=response.read())

    def ended(self, href: str) -> Any:
        """Wait for the end of an execution; return it."""
        return wait_for(
            lambda: self.request('GET', href).body,
            lambda body: body['status'] in FINAL,
            what=f'the end of {href}',
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def test_without_free_descriptors_starts_are_refused(ground: Ground) -> None:
    """EMFILE, however many are left: 503 or a clear failure, no leak, and it works later."""
    script = f'/api/v1/{ground.entity}/scripts/{ground.upload("exit 0" + chr(10))}'
    seen = set()
    with contextlib.closing(KeptConnection(ground)) as client:
        assert client.request('GET', '/api/v1/health').status == 200
        for free in range(14):
            with free_descriptors(ground.api.process.pid, free):
                answer = client.request('POST', f'{script}/executions', {'execution_type': 'now'})
                seen.add(answer.status)
                if answer.status == 503:
                    assert answer.body['error_code'] == 'vendor-error'
                    assert int(answer.headers['retry-after']) > 0
                    continue
                assert answer.status == 202, (free, answer)
                ended = client.ended(answer.body['href'])
                if ended['status'] == 'failed':
                    assert_holds(ended, {'error': {'vendor_code': 'x-gateway-spawn-failed'}})
    assert seen == {202, 503}
    assert 'Traceback' not in ground.api.log
    assert ground.ended(ground.started('exit 0\n'))['status'] == 'completed'


def test_without_any_descriptor_the_gateway_waits(ground: Ground, tmp_path: Path) -> None:
    """Connections that it cannot take are taken once it can, what runs is not affected."""
    go_on = tmp_path / 'go_on'
    href = ground.up(f'echo up\nuntil [ -e {go_on} ]; do sleep 0.02; done\nexit 4\n')
    # Standard streams stay open, so that nothing is free however many others are closed meanwhile.
    with descriptors_below(ground.api.process.pid, 3), socket.socket() as client:
        client.settimeout(DEADLINE_SEC)
        client.connect((ground.api.host, ground.api.port))
        client.sendall(
            b'GET /api/v1/version-info HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
        )
        told = 'no connection can be accepted: Too many open files'
        wait_for(lambda: ground.api.log, lambda log: told in log, what=told)
        go_on.touch()
        wait_for(ground.scripts_left, lambda left: left == [], what='the script has ended')
        raised = resource.prlimit(ground.api.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(ground.api.process.pid, resource.RLIMIT_NOFILE, (raised[1], raised[1]))
        assert client.recv(1 << 16).startswith(b'HTTP/1.1 200')
    assert_holds(ground.ended(href), {'status': 'failed', 'exit_code': 4})


@contextlib.contextmanager
def free_descriptors(pid: int, count: int) -> Iterator[None]:
    """Lower a process's limit so that it can open `count` more (man 2 setrlimit, NOFILE)."""
    used = set(descriptors(pid))
    bound = free = 0
    while free < count or bound in used:
        free += bound not in used
        bound += 1
    with descriptors_below(pid, bound):
        yield


@contextlib.contextmanager
def descriptors_below(pid: int, bound: int) -> Iterator[None]:
    """Lower a process's limit for a while."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (bound, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_idle_connections_keep_nobody_out(tmp_path: Path) -> None:
    """With 1024 descriptors, as most services have: it answers, and starts scripts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        try:
            ground = stack.enter_context(ground_on(tmp_path))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for begun in (b'', b'GET /api/v1/health HTTP/1.1\r\nHost: ') * 500:
            client = stack.enter_context(socket.socket())
            client.settimeout(DEADLINE_SEC)
            client.connect((ground.api.host, ground.api.port))
            client.sendall(begun)
        with answering(ground.api):
            for _ in range(5):
                assert ground.ended(ground.started('exit 0\n'))['status'] == 'completed'
        connections = ground.api.body('/health')['connections']
        assert connections['open'] <= connections['limit'] == 256
        assert connections['refused'] == 0
        assert 'no connection can be accepted' not in ground.api.log


def test_a_signal_ends_twenty_scripts_in_time(tmp_path: Path) -> None:
    """Grace period and 2 s, clients that do not read aside; every final status is recorded."""
    with ground_on(tmp_path) as ground:
        href = ground.started(LARGE_ANSWER)
        ground.ended(href)
        ends: dict[str, int] = {}
        for script, number in (
            ('echo up\nexec sleep 600\n', signal.SIGTERM),
            ('ignores_sigterm.sh', signal.SIGKILL),
        ):
            script_id = ground.upload(script)
            for _ in range(10):
                ends[ground.api.start(ground.entity, script_id)] = int(number)
        for each in ends:
            ground.api.wait_for(
                each, lambda body: body['output']['stdout'] == 'up\n', what='a script is up'
            )
        with never_reading(ground, href):
            ground.api.signal(signal.SIGTERM)
            begun = time.monotonic()
            assert ground.api.wait_ended() == 0, ground.api.log
            assert time.monotonic() - begun < SLACK * (GRACE_SEC + 2)
        assert 'Traceback' not in ground.api.log
        assert ground.scripts_left() == []
    with gateway(tmp_path) as again:
        for each, signal_number in ends.items():
            assert_holds(
                again.body(each),
                {
                    'status': 'failed',
                    'signal': signal_number,
                    'error': {'vendor_code': 'x-gateway-shutdown'},
                    'output': {'stdout': 'up\n'},
                },
            )


def test_a_full_disk_under_the_output_ends_no_script(tmp_path: Path) -> None:
    """ENOSPC under the log: the script ends as it would have, what fits is kept."""
    folder = tmp_path / 'state' / 'executions'
    with mounted(folder, 'size=512k'), ground_on(tmp_path) as ground, answering(ground.api):
        flood = ground.started('head -c 30000000 /dev/zero; echo end >&2; exit 4\n')
        ended = ground.ended(flood)
        assert_holds(ended, {'status': 'failed', 'exit_code': 4})
        assert_holds(ended, {'error': {'vendor_code': 'x-gateway-script-failed'}})
        assert ended['output']['stdout'].startswith('\0')
        # Removed once the end is recorded; later, it would make room again.
        wait_for(
            lambda: [*folder.glob('*/end.json')], lambda found: found == [], what='it is put away'
        )
        with filled(folder):
            lost = {'status': 'failed', 'exit_code': 3, 'output': {'stdout': ''}}
            assert_holds(ground.ended(ground.started('says_lost.py')), lost)
            # A script runs from where it was uploaded; nothing is written before.
            assert ground.ended(ground.started('exit 0\n'))['status'] == 'completed'
        assert ground.api.request('DELETE', flood).status == 204
        ended = ground.ended(ground.started('echo kept\n'))
        assert_holds(ended, {'status': 'completed', 'output': {'stdout': 'kept\n'}})


def test_a_full_disk_under_everything_loses_no_end(tmp_path: Path) -> None:
    """Starts and uploads are refused clearly; what ended meanwhile is told once there is room."""
    folder = tmp_path / 'state'
    bound_off: dict[str, object] = {'state_min_free_mb': 0}
    with (
        mounted(folder, 'size=8m'),
        ground_on(tmp_path, bound_off) as ground,
        answering(ground.api),
    ):
        running = ground.up('echo up\nsleep 1\nexit 4\n')
        script_id = ground.upload('exit 0\n')
        taken = []
        with filled(folder):
            answer = ground.api.send_form(
                'POST', f'/{ground.entity}/scripts', 'exit 0\n' + '#' * 100_000
            )
            assert_storage_unavailable(answer)
            while True:
                # Room that the database has already is used up first.
                answer = ground.api.request(
                    'POST',
                    f'/{ground.entity}/scripts/{script_id}/executions',
                    json_body={'execution_type': 'now'},
                )
                if answer.status != 202:
                    break
                taken.append(answer.body['href'])
                assert len(taken) < 1000
            assert_storage_unavailable(answer)
            wait_for(ground.scripts_left, lambda left: left == [], what='all scripts have ended')
        assert_holds(ground.ended(running), {'status': 'failed', 'exit_code': 4})
        for href in taken:
            ended = ground.ended(href)
            told = ended.get('error', {}).get('vendor_code')
            assert (ended['status'], told) in {
                ('completed', None),
                ('failed', 'x-gateway-spawn-failed'),
            }, ended
        assert ground.ended(ground.started('exit 0\n'))['status'] == 'completed'
        recorded = ground.api.body(f'/{ground.entity}/scripts/{script_id}/executions?limit=1000')
        assert len(recorded['items']) == len(taken)


def assert_storage_unavailable(answer: Answer) -> None:
    """Check that the answer is a 503 that names the storage."""
    assert answer.status == 503, answer
    assert answer.body['vendor_code'] == 'x-gateway-storage-unavailable'
    assert int(answer.headers['retry-after']) > 0
