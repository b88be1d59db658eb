# SPDX-License-Identifier: Apache-2.0
"""What conditions on a topic cost that is published at a kilohertz, and how long others wait."""

from collections.abc import Iterator, Sequence
import contextlib
import json
from pathlib import Path
import socket
import subprocess
import sys
import time

from bench.figures import at_most, elapsed_ms, Line, ratio, Series, surplus, turns
from bench.processes import processor_ms

ROUNDS = 4
SHARE_SEC, ASK_SEC = 4.0, 2.0
PAUSE_SEC = 0.005
MANY = 100
RATIO_GOAL = 1.2
WAIT_GOAL_MS = 10.0
ALL_OF_IT = f'{MANY}, each message'
"""A hundred thousand looks a second: what that costs is shown, and promised nothing."""
TOPIC = '/temperature'
_HERE = Path(__file__).parent


def trigger_cost(folder: Path) -> Iterator[Line]:
    """Processor time with one condition, with a hundred, and with one that takes each message;
    and how long the event loop takes to answer meanwhile."""
    one = {'topic': TOPIC, 'field': 'data', 'above': 60.5, 'hysteresis': 2}
    many = [{**one, 'above': 60 + number} for number in range(MANY)]
    looks: dict[str, Sequence[object]] = {
        'none': [],
        'one, sampled': [one],
        f'{MANY}, sampled': many,
        'one, each message': [{**one, 'every': True}],
        ALL_OF_IT: [{**each, 'every': True} for each in many],
    }
    shares: list[list[float]] = [[] for _ in looks]
    waits: list[list[float]] = [[] for _ in looks]
    with _program('flood.py', TOPIC):
        for position in turns(ROUNDS, len(looks)):
            share, waited = _looked([*looks.values()][position])
            shares[position].append(share)
            waits[position] += waited
    costs = [Series(values=each, unit='%') for each in shares]
    for name, cost in zip(looks, costs, strict=True):
        yield Line(figure=f'processor, {name}', series=cost)
    nothing, single, hundred, *_ = costs
    yield Line(
        figure=f'{MANY} to one, sampled',
        ratio=ratio(hundred, single),
        goal=at_most(RATIO_GOAL, ratio(hundred, single), 'the ratio'),
    )
    yield Line(
        figure=f'of a core, one sampled, above none: {surplus(single, nothing):.1f} %',
    )
    for name, values in zip(looks, waits, strict=True):
        series = Series(values=values)
        goal = at_most(WAIT_GOAL_MS, series.percentile(99), '99th percentile', 'ms')
        yield Line(
            figure=f'an answer, {name}', series=series, goal=None if name == ALL_OF_IT else goal
        )


def _looked(conditions: Sequence[object]) -> tuple[float, list[float]]:
    """Return what share of a core it takes, in percent, and how long each answer took, in ms."""
    with _program('value_watcher.py', json.dumps(conditions)) as (process, line):
        with socket.create_connection(('127.0.0.1', int(line))) as asking:
            asking.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            before, begun = processor_ms(process.pid), time.monotonic()
            time.sleep(SHARE_SEC)
            used = processor_ms(process.pid) - before
            share = used / (time.monotonic() - begun) / 10
            waits, begun = [], time.monotonic()
            while time.monotonic() < begun + ASK_SEC:
                waits.append(elapsed_ms(lambda: asking.send(b'?') and asking.recv(1)))
                time.sleep(PAUSE_SEC)
        return share, waits


@contextlib.contextmanager
def _program(name: str, argument: str) -> 'Iterator[tuple[subprocess.Popen[str], str]]':
    """Run a program of this folder; yield it with its first line."""
    with subprocess.Popen(
        [sys.executable, str(_HERE / name), argument], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline()
        finally:
            process.terminate()
