# SPDX-License-Identifier: Apache-2.0
"""What a thousand streams cost that are told of one change a second."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
import contextlib
from pathlib import Path
import subprocess
import sys
import threading
import time

from gateway_process import BASE
from waiting import wait_for

from bench.figures import at_most, elapsed_ms, Line, Series, turns
from bench.gateways import Client, client, NOT_WARM
from bench.processes import processor_ms

READERS = 1000
CHANGES = 10
ROUNDS = 3
CHANGE_SEC = 1.0
ASK_SEC = 0.005
"""How often it is asked how the gateway is."""
CHANGE_GOAL_US = 30.0
WAIT_GOAL_MS = 10.0
ROOM = {
    'server.max_connections': 4 * READERS,
    'streams.max': 2 * READERS,
    'streams.max_per_client': 2 * READERS,
    'streams.heartbeat_sec': 3600,
}
_PROGRAM = Path(__file__).with_name('stream_readers.py')


def stream_cost(folder: Path) -> Iterator[Line]:
    """Processor time of the gateway for a stream and a change, and how long others wait."""
    with client(folder, {**NOT_WARM, **ROOM}) as api:
        script_id = api.gateway.upload(api.entity, 'true\n')
        costs: list[list[float]] = [[], []]
        waits: list[list[float]] = [[], []]
        for position in turns(ROUNDS, 2):
            with _readers(api, READERS if position else 0):
                before = processor_ms(api.gateway.process.pid)
                waits[position] += _changed(api, script_id)
                costs[position].append(processor_ms(api.gateway.process.pid) - before)
    each_us = [
        (with_streams - without) * 1000 / (READERS * CHANGES)
        for without, with_streams in zip(*costs, strict=True)
    ]
    yield Line(
        figure=f'processor, each of {READERS} streams and change',
        series=Series(values=each_us, unit='us'),
        goal=at_most(CHANGE_GOAL_US, min(each_us), 'it', 'us'),
    )
    for name, values in zip(('without streams', f'with {READERS}'), waits, strict=True):
        series = Series(values=values)
        goal = at_most(WAIT_GOAL_MS, series.percentile(99), '99th percentile', 'ms')
        yield Line(figure=f'GET /health/live, {name}', series=series, goal=goal)


def _changed(api: Client, script_id: str) -> list[float]:
    """Change something once a second; return how long it took to hear meanwhile how the gateway
    is."""
    over = threading.Event()

    def ask() -> list[float]:
        asking, waits = Client(api.gateway), list[float]()
        try:
            while not over.wait(ASK_SEC):
                waits.append(elapsed_ms(lambda: asking.get('/health/live')))
        finally:
            asking.close()
        return waits

    with ThreadPoolExecutor(max_workers=1) as pool:
        asked = pool.submit(ask)
        try:
            for number in range(CHANGES):
                time.sleep(CHANGE_SEC)
                path = f'/{api.entity}/scripts/{script_id}'
                answer = api.gateway.send_form('PUT', path, f'true {number}\n')
                assert answer.status == 200, answer
            time.sleep(CHANGE_SEC)
        finally:
            over.set()
        return asked.result()


@contextlib.contextmanager
def _readers(api: Client, count: int) -> Iterator[None]:
    """Have so many streams of the log read; each has to have told each change.

    Afterwards the gateway has noticed that they are gone, which takes a second: else those of two
    rounds are open at once, more than one address may have.
    """
    command = [sys.executable, str(_PROGRAM), str(api.gateway.port), f'{BASE}/events', str(count)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        if process.stdout.readline() != 'connected\n':
            raise RuntimeError('the readers cannot connect')
        yield
        process.stdin.close()
        told = int(process.stdout.readline())
    if told != count * CHANGES:
        raise RuntimeError(f'{told} events came; expected: {count * CHANGES}')
    wait_for(
        lambda: api.get('/health')['streams']['open'],
        lambda still_open: still_open == 0,
        what='the gateway has noticed that the readers are gone',
    )
