# SPDX-License-Identifier: Apache-2.0
"""The Python client where connections end, nobody answers, or somebody else does."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
import contextlib
from dataclasses import replace
import itertools
from pathlib import Path
import random
import socket
import subprocess
import sys
import threading

from gateway_in_a_thread import ENTITY, gateway_in_a_thread
import pytest
from relay import Relay, relay_to
from waiting import DEADLINE_SEC

from gateway_node.client import (
    AnswerLate,
    AnswerLost,
    AnswerNotUnderstood,
    Artifact,
    Conflict,
    Dropped,
    Execution,
    Gateway,
    GatewayUnreachable,
    LimitReached,
    Line,
    Status,
    TooLarge,
)

COUNTS = b"""
number=0
while [ "$number" -lt 150 ]; do
    number=$((number + 1))
    echo "line $number"
    sleep 0.002
done
"""
COUNTS_FOR_EVER = COUNTS.replace(b'"$number" -lt 150', b'"$number" -lt 100000')


@pytest.fixture(scope='module')
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a gateway for all tests of this file."""
    parameters = {'python.warm': False, 'scripts.max_file_size_mb': 1}
    with gateway_in_a_thread(tmp_path_factory.mktemp('state'), parameters) as address:
        yield address


@pytest.fixture
def relay(address: str) -> Iterator[Relay]:
    """Give a network between a client and that gateway."""
    with relay_to(address) as relay:
        yield relay


@pytest.fixture
def gateway(relay: Relay) -> Iterator[Gateway]:
    """Give a client behind that network."""
    with Gateway(f'http://{relay.address}') as gateway:
        yield gateway
        relay.budgets = iter(())
        gateway.stop_all()


@contextlib.contextmanager
def somebody(answer: bytes | None) -> Iterator[str]:
    """Give the URL of somebody who answers each connection with this; None: never."""
    with socket.create_server(('127.0.0.1', 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    held.append(connection)
                    if answer is not None:
                        connection.recv(65536)
                        connection.sendall(answer)
                        connection.shutdown(socket.SHUT_WR)

        held: list[socket.socket] = []
        thread = threading.Thread(target=serve)
        thread.start()
        host, port = listening.getsockname()
        yield f'http://{host}:{port}'
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(DEADLINE_SEC)
        for each in held:
            each.close()


def told(gateway: Gateway, execution: Execution | str) -> tuple[list[int], Execution]:
    """Follow an execution; return the numbers of its lines, as often as they came, and its end."""
    numbers: list[int] = []
    ended = None
    for event in gateway.follow(execution):
        assert ended is None, 'the end is the last event'
        if isinstance(event, Line):
            assert event.text == f'line {event.number}'
            numbers.append(event.number)
        elif isinstance(event, Dropped):
            numbers += range(event.first, event.last + 1)
        elif isinstance(event, Execution) and event.has_ended:
            ended = event
    assert ended is not None
    return numbers, ended


def test_one_connection_serves_request_after_request(gateway: Gateway, relay: Relay) -> None:
    """As long as it lives."""
    for _ in range(5):
        gateway.entities()
    assert relay.connections == 1


def test_a_kept_connection_that_ended_is_opened_anew(gateway: Gateway, relay: Relay) -> None:
    """As where the gateway had no place for it any more."""
    script = gateway.upload(ENTITY, COUNTS, file_name='counts.sh')
    relay.cut()
    execution = gateway.start(ENTITY, script)
    relay.cut()
    assert gateway.stop(execution).id == execution.id
    assert len(list(gateway.executions(script=script.id))) == 1


def test_threads_share_a_client(gateway: Gateway, relay: Relay) -> None:
    """Each answer comes to who asked."""
    scripts = [
        gateway.upload(ENTITY, b'true\n', file_name=f'{number}.sh', name=f'thread {number}')
        for number in range(4)
    ]

    def asked(number: int) -> bool:
        script = scripts[number % 4]
        return [each.id for each in gateway.scripts(name=script.name)] == [script.id]

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(asked, range(120)))
    assert relay.connections <= 13


def test_forked_processes_share_a_client(address: str) -> None:
    """None reads an answer that is another's: a fork has its parent's connections."""
    program = f"""
import os
from gateway_node.client import Gateway
gateway = Gateway('http://{address}')
entities = gateway.entities()
child = os.fork()
for _ in range(50):
    assert gateway.entities() == entities
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, '-c', program], check=True, timeout=DEADLINE_SEC)


def test_a_question_whose_answer_is_cut_off_is_asked_again(gateway: Gateway, relay: Relay) -> None:
    """Wherever the answer ends; deleting what is gone by then has deleted it."""
    script = gateway.upload(ENTITY, b'true\n', file_name='check.sh')
    ended = gateway.wait(gateway.start(ENTITY, script))
    for budget in (1, 40, 300, 700):
        relay.budgets = iter([budget])
        gateway.close()
        assert gateway.execution(ended).fields == ended.fields
    relay.budgets = iter([1, 1])
    gateway.close()
    gateway.delete(ended)
    relay.budgets = iter([1])
    gateway.close()
    gateway.delete_script(script)


def test_a_stop_whose_answer_is_lost_has_stopped(gateway: Gateway, relay: Relay) -> None:
    """Though the second one meets an execution that has ended."""
    execution = gateway.start(
        ENTITY, gateway.upload(ENTITY, COUNTS_FOR_EVER, file_name='counts.sh')
    )
    relay.lose_answer_to = b'forced_termination'
    assert gateway.stop(execution, forced=True).status is Status.TERMINATED


def test_what_is_made_is_made_once_though_its_answer_is_lost(
    gateway: Gateway, relay: Relay
) -> None:
    """It is asked for again under the same key."""
    relay.lose_answer_to = b'once.sh'
    script = gateway.upload(ENTITY, b'true\n', file_name='once.sh')
    assert [each.id for each in gateway.scripts(name='once.sh')] == [script.id]
    relay.lose_answer_to = b'"depth"'
    execution = gateway.start(ENTITY, script, {'depth': 3})
    assert [each.id for each in gateway.executions(script=script.id)] == [execution.id]
    assert relay.lose_answer_to is None


def test_a_start_reaches_a_gateway_that_comes_back(tmp_path: Path) -> None:
    """Where the one before died without an answer."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.ExitStack())
        parameters = {'python.warm': False}
        address = first.enter_context(gateway_in_a_thread(tmp_path, parameters))
        relay = stack.enter_context(relay_to(address))
        gateway = stack.enter_context(Gateway(f'http://{relay.address}'))
        script = gateway.upload(ENTITY, b'true\n', file_name='check.sh')
        relay.gateway = None
        gateway.close()
        with ThreadPoolExecutor(1) as pool:
            starting = pool.submit(gateway.start, ENTITY, script)
            first.close()
            relay.gateway = stack.enter_context(gateway_in_a_thread(tmp_path, parameters))
            execution = starting.result(DEADLINE_SEC)
        assert gateway.wait(execution).status is Status.COMPLETED
        assert len(list(gateway.executions(script=script.id))) == 1


def test_a_key_of_ones_own_starts_once(gateway: Gateway) -> None:
    """Also where the client is another process by then; with other fields it is refused."""
    script = gateway.upload(ENTITY, b'true\n', file_name='check.sh')
    key = 'night-of-2026-01-31'
    first = gateway.start(ENTITY, script, idempotency_key=key)
    gateway.wait(first)
    assert gateway.start(ENTITY, script, idempotency_key=key).id == first.id
    with pytest.raises(Conflict) as refused:
        gateway.start(ENTITY, script, {'depth': 3}, idempotency_key=key)
    assert refused.value.vendor_code == 'x-gateway-idempotency-key-reused'


def test_where_nobody_listens_is_told_at_once(tmp_path: Path) -> None:
    """Patience is for gateways that were there."""
    with socket.create_server(('127.0.0.1', 0)) as closed:
        host, port = closed.getsockname()
    gateway = Gateway(f'http://{host}:{port}', patience_sec=3600)
    with pytest.raises(GatewayUnreachable, match=f'{host}:{port}/api/v1: .*refused'):
        gateway.entities()
    listed = {'path': 'a.txt', 'size': 1, 'media_type': 'text/plain', 'sha256': '0' * 64}
    with pytest.raises(GatewayUnreachable):
        gateway.download('exec_1', Artifact.of(listed), tmp_path / 'a.txt')


def test_patience_with_a_gateway_that_was_there_ends() -> None:
    """Then the last failure is raised."""
    with relay_to(None) as relay:
        gateway = Gateway(f'http://{relay.address}', patience_sec=0.2)
        with pytest.raises(AnswerLost):
            gateway.entities()
        assert relay.connections >= 2


def test_a_gateway_that_says_nothing_is_not_waited_for_without_end() -> None:
    """Asking again would only make it worse."""
    with somebody(None) as url, pytest.raises(AnswerLate, match=r'GET /apps within 0\.1 s'):
        Gateway(url, timeout_sec=0.1).entities()


@pytest.mark.parametrize(
    'answer',
    [
        b'SSH-2.0-OpenSSH_9.6\r\n',
        b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<p/>',
        b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}',
        b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]',
        b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"items": [{}]}',
        b'HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\n<p/>',
        b'HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n',
    ],
)
def test_what_is_no_gateway_is_told_apart(answer: bytes) -> None:
    """Whatever it speaks."""
    with somebody(answer) as url, pytest.raises(AnswerNotUnderstood, match='GET /apps'):
        Gateway(url).entities()


def test_a_stream_that_is_refused_says_why_though_the_connection_ends() -> None:
    """As a gateway refuses that has no place for another connection."""
    refusal = b'{"error_code": "vendor-error", "message": "there is no place"}'
    headers = b'Connection: close\r\nContent-Length: %d' % len(refusal)
    answer = b'HTTP/1.1 429 Too Many Requests\r\n%s\r\n\r\n%s' % (headers, refusal)
    with somebody(answer) as url, pytest.raises(LimitReached, match='there is no place'):
        next(Gateway(url).follow('exec_1'))


def test_a_long_upload_that_is_refused_at_its_begin_says_why(gateway: Gateway) -> None:
    """The gateway answers, and closes, before it has read all of it."""
    with pytest.raises(TooLarge, match='413'):
        gateway.upload(ENTITY, bytes(16 * 1024 * 1024), file_name='large.sh')


def test_a_download_goes_on_where_it_broke_off(
    gateway: Gateway, relay: Relay, tmp_path: Path
) -> None:
    """And is there once it is whole, and what was listed."""
    content = b'mkdir "$GATEWAY_ARTIFACTS/a b"; seq 1 100000 > "$GATEWAY_ARTIFACTS/a b/#1.txt"\n'
    content += b'> "$GATEWAY_ARTIFACTS/empty"\n'
    execution = gateway.wait(
        gateway.start(ENTITY, gateway.upload(ENTITY, content, file_name='leaves.sh'))
    )
    numbers, empty = gateway.artifacts(execution)
    assert (numbers.path, numbers.media_type, empty.size) == ('a b/#1.txt', 'text/plain', 0)
    relay.budgets = iter([50, 70_000, 1, 300_000])
    relay.connections = 0
    gateway.download(execution, numbers, tmp_path / 'numbers')
    assert (tmp_path / 'numbers').read_text() == ''.join(f'{n}\n' for n in range(1, 100001))
    assert relay.connections == 5
    gateway.download(execution.id, empty, tmp_path / 'empty')
    assert (tmp_path / 'empty').read_bytes() == b''
    with pytest.raises(AnswerNotUnderstood, match='SHA-256'):
        gateway.download(execution, replace(numbers, sha256='0' * 64), tmp_path / 'numbers')
    with pytest.raises(AnswerNotUnderstood, match='more than 7 bytes'):
        gateway.download(execution, replace(numbers, size=7), tmp_path / 'other')
    assert sorted(each.name for each in tmp_path.iterdir()) == ['empty', 'numbers']


@pytest.mark.parametrize('seed', range(3))
def test_each_line_comes_once_over_connections_that_are_cut_at_random(
    gateway: Gateway, relay: Relay, seed: int
) -> None:
    """In order, and the end after them."""
    script = gateway.upload(ENTITY, COUNTS, file_name='counts.sh')
    execution = gateway.start(ENTITY, script)
    cuts = random.Random(seed)
    relay.budgets = (cuts.randrange(1, 6_000) for _ in itertools.count())
    relay.cut()
    numbers, ended = told(gateway, execution)
    assert numbers == list(range(1, 151))
    assert ended.status is Status.COMPLETED
    assert relay.connections > 5


def test_what_says_nothing_for_long_is_followed_over_streams_that_are_ended(
    relay: Relay, tmp_path: Path
) -> None:
    """As by a proxy, each time after a while: the gateway was there whenever it was asked."""
    script = f'while [ ! -e "{tmp_path}/over" ]; do sleep 0.05; done; echo "line 1"\n'.encode()
    with Gateway(f'http://{relay.address}', patience_sec=0.2) as gateway:
        execution = gateway.start(ENTITY, gateway.upload(ENTITY, script, file_name='waits.sh'))
        with ThreadPoolExecutor() as pool:
            following = pool.submit(told, gateway, execution)
            for _ in range(2):
                assert not wait([following], timeout=1.2).done
                relay.cut()
            (tmp_path / 'over').touch()
            numbers, ended = following.result(DEADLINE_SEC)
    assert numbers == [1]
    assert ended.status is Status.COMPLETED


def test_each_line_comes_once_over_a_restart_of_the_gateway(tmp_path: Path) -> None:
    """Those that it kept; the end is what the gateway that came after says."""
    numbers: list[int] = []
    ends: list[Execution] = []
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.ExitStack())
        parameters = {'python.warm': False}
        address = first.enter_context(gateway_in_a_thread(tmp_path, parameters))
        relay = stack.enter_context(relay_to(address))
        gateway = stack.enter_context(Gateway(f'http://{relay.address}'))
        script = gateway.upload(ENTITY, COUNTS_FOR_EVER, file_name='counts.sh')
        for event in gateway.follow(gateway.start(ENTITY, script)):
            if isinstance(event, Line):
                numbers.append(event.number)
                if event.number == 50:
                    first.close()
                    relay.cut()
                    relay.gateway = stack.enter_context(gateway_in_a_thread(tmp_path, parameters))
            elif isinstance(event, Execution) and event.has_ended:
                ends.append(event)
        kept = [each.number for each in gateway.lines(ends[0])]
    assert numbers == kept == list(range(1, len(kept) + 1))
    assert len(kept) >= 50
    (ended,) = ends
    assert ended.error is not None
    assert ended.error.vendor_code == 'x-gateway-shutdown'
