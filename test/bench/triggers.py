# SPDX-License-Identifier: Apache-2.0
"""What triggers on a topic cost that is published at a kilohertz, and how long others wait."""

from collections.abc import Iterator, Sequence
import contextlib
from pathlib import Path
import subprocess
import sys
import time

from waiting import wait_for

from bench.figures import at_most, elapsed_ms, Line, ratio, Series, surplus, turns
from bench.gateways import Client, client, NOT_WARM
from bench.processes import processor_ms

ROUNDS = 3
SETTLE_SEC, SHARE_SEC, ASK_SEC = 2.0, 5.0, 2.0
TRIGGERS = 16
PAUSE_SEC = 0.005
MANY = 100
RATIO_GOAL = 1.2
WAIT_GOAL_MS = 10.0
ALL_OF_IT = f'{MANY}, each message'
"""A hundred thousand looks a second: what that costs is shown, and promised nothing."""
TOPIC = '/temperature'
_HERE = Path(__file__).parent


def trigger_cost(folder: Path) -> Iterator[Line]:
    """Processor time of a gateway with one trigger, with a hundred, and with those that take each
    message; and how long it takes to answer meanwhile."""
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
        for number, position in enumerate(turns(ROUNDS, len(looks))):
            share, waited = _looked(folder / str(number), [*looks.values()][position])
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


def _looked(folder: Path, conditions: Sequence[object]) -> tuple[float, list[float]]:
    """Return what share of a core a gateway takes, in percent, and how long each answer took."""
    with client(folder, NOT_WARM) as api:
        script_id = api.gateway.upload(api.entity, 'true\n')
        for number, some in enumerate(_instances(conditions)):
            path = f'/{api.entity}/scripts/{script_id}/instances'
            api.send('POST', path, {'name': f'watch_{number}', 'start_triggers': some})
            api.receive(201)
            _wait_known(api, f'{path}/watch_{number}')
        pid = api.gateway.process.pid
        time.sleep(SETTLE_SEC)
        before, begun = processor_ms(pid), time.monotonic()
        time.sleep(SHARE_SEC)
        used = processor_ms(pid) - before
        share = used / (time.monotonic() - begun) / 10
        waits, begun = [], time.monotonic()
        while time.monotonic() < begun + ASK_SEC:
            waits.append(elapsed_ms(lambda: api.get('/health/live')))
            time.sleep(PAUSE_SEC)
        return share, waits


def _instances(conditions: Sequence[object]) -> Iterator[list[object]]:
    """Return what each of the instances has as triggers; one has 16 at most."""
    for first in range(0, len(conditions), TRIGGERS):
        yield [{'condition': each} for each in conditions[first : first + TRIGGERS]]


def _wait_known(api: Client, path: str) -> None:
    wait_for(
        lambda: [each['state']['truth'] for each in api.get(path)['start_triggers']],
        lambda truths: all(truth is False for truth in truths),
        what=f'what {path} looks at is known',
    )


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
