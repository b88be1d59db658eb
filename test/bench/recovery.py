# SPDX-License-Identifier: Apache-2.0
"""How long a gateway needs after a crash until it answers."""

from collections.abc import Iterator
import contextlib
import functools
import itertools
from pathlib import Path
import signal
import time

from gateway_process import entry_point, GatewayProcess, nothing_left, started
from killing import shared_memory_removed
from waiting import wait_for

from bench.figures import at_most, interleaved, Line, ratio, surplus
from bench.gateways import Client, NO_LIMITS, PATIENCE_SEC, serving, write_manifest

OPEN = 100
STARTS = 3
GOAL_MS = 1000.0
"""Of the issue: well under a second for 100 open executions."""
NAP = 'exec sleep 600\n'


def recovery_time(folder: Path) -> Iterator[Line]:
    """Start to the first answer, right after a SIGKILL with 100 executions open, and with none."""
    script = folder / 'nap.sh'
    script.write_text(NAP)
    parameters = {**NO_LIMITS, 'scripts.manifest': write_manifest(folder, {'nap': str(script)})}
    numbers = itertools.count(1)
    many, none = interleaved(
        STARTS,
        functools.partial(_after_crash, folder, parameters, numbers, OPEN),
        functools.partial(_after_crash, folder, parameters, numbers, 0),
    )
    yield Line(
        figure=f'start to /health, {OPEN} executions open',
        series=many,
        ratio=ratio(many, none),
        goal=at_most(GOAL_MS, surplus(many, none), 'more than with none', 'ms'),
    )
    yield Line(figure='start to /health, none open', series=none)


def _after_crash(
    folder: Path, parameters: dict[str, object], numbers: Iterator[int], count: int
) -> float:
    """Kill a gateway with `count` executions open; return how long the next one's start takes."""
    state = folder / f'state_{next(numbers)}'
    command = entry_point(state, parameters)
    with nothing_left(), contextlib.ExitStack() as afterwards:
        with started(command, folder) as (process, log):
            _open_executions(serving(process, log), count)
            afterwards.enter_context(shared_memory_removed(process.pid))
            process.kill()
            process.wait()
        begun = time.perf_counter()
        with started(command, folder) as (process, log):
            again = serving(process, log)
            health = again.body('/health')
            total = (time.perf_counter() - begun) * 1000
            if health['executions']['failed'] != count or health['executions']['running']:
                raise RuntimeError(f'not all have recovered: {health["executions"]}')
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_SEC)
    return total


def _open_executions(api: GatewayProcess, count: int) -> None:
    with contextlib.closing(Client(api)) as connected:
        for _ in range(count):
            connected.send_start('nap')
            connected.receive(202)
    wait_for(
        lambda: api.body('/health')['executions'],
        lambda executions: executions['running'] == count,
        what=f'{count} executions run',
    )
