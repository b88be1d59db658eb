# SPDX-License-Identifier: Apache-2.0
"""What a script that floods its output does to the gateway."""

from collections.abc import Iterator
import os
from pathlib import Path
import subprocess
import time

from bench.figures import at_most, elapsed_ms, Line, ratio, Series
from bench.gateways import Client, client, ENDED, PATIENCE_SEC, write_manifest
from gateway_node.child.contract import SUPERVISOR_NAME
from gateway_node.child.process_tree import descendants, read_entry

FLOOD = 'yes | head -c 2G\n'
IDLE_REQUESTS = 300
GROWTH_GOAL_MIB = 8.0
"""For the gateway and the supervisor each: 1/256 of what flows through."""
ANSWER_GOAL_MS = 200.0
"""Within which the API answers, whatever a script does (supervision.md)."""
LOOK_EVERY = 10
"""Requests between two looks at the memory."""
MIB = 1024 * 1024


def flood(folder: Path) -> Iterator[Line]:
    """2 GiB of output: memory, the API's answers meanwhile, and how long it takes."""
    script = folder / 'flood.sh'
    script.write_text(FLOOD)
    manifest = write_manifest(folder, {'flood': str(script)})
    with client(folder, {'scripts.manifest': manifest}) as api:
        idle = _answers(api, IDLE_REQUESTS)
        observed = _Flood(api)
        observed.see_through()
        idle += _answers(api, IDLE_REQUESTS)
    bare = Series(values=[elapsed_ms(_bare_flood)])
    yield from _answer_lines(Series(values=observed.answers), Series(values=idle))
    yield _memory_line('gateway', observed.gateway)
    yield _memory_line('supervisor', observed.supervisor)
    through = Series(values=[observed.duration_ms])
    yield Line(figure='start to end of 2 GiB', series=through, ratio=ratio(through, bare))
    yield Line(figure='the same into a pipe that cat reads', series=bare)


class _Flood:
    """The flooding script, watched from its start to its end."""

    def __init__(self, api: Client) -> None:
        self._api = api
        self.answers: list[float] = []
        self.gateway: list[float] = []
        self.supervisor: list[float] = []
        self.duration_ms = 0.0

    def see_through(self) -> None:
        """Start it and watch until it has ended."""
        pid = self._api.gateway.process.pid
        self.gateway.append(_resident_mib(pid))
        begun = time.monotonic()
        self._api.send_start('flood')
        href = self._api.receive(202)['href']
        while self._is_open(href):
            self.answers += _answers(self._api, LOOK_EVERY)
            self.gateway.append(_resident_mib(pid))
            self.supervisor += [
                entry.resident_pages * os.sysconf('SC_PAGESIZE') / MIB
                for entry in descendants(pid)
                if entry.name == SUPERVISOR_NAME
            ]
            if time.monotonic() - begun > PATIENCE_SEC * 3:
                raise TimeoutError(f'{href} floods for too long')
        dropped = self._api.gateway.body(href)['output']['dropped_bytes']
        if dropped < 2 * 1024 * MIB - MIB:
            raise RuntimeError(f'only {dropped} bytes were dropped')

    def _is_open(self, href: str) -> bool:
        execution = self._api.gateway.body(href)
        if execution['status'] == 'completed':
            self.duration_ms = execution['duration_ms']
        elif execution['status'] in ENDED:
            raise RuntimeError(f'{execution}')
        return not self.duration_ms


def _answers(api: Client, count: int) -> list[float]:
    """Return how long each of `count` requests one after the other takes."""
    return [elapsed_ms(lambda: api.get('/health')) for _ in range(count)]


def _resident_mib(pid: int) -> float:
    entry = read_entry(pid)
    return 0.0 if entry is None else entry.resident_pages * os.sysconf('SC_PAGESIZE') / MIB


def _bare_flood() -> None:
    subprocess.run(f'{FLOOD.strip()} | cat > /dev/null', shell=True, check=True)


def _answer_lines(meanwhile: Series, idle: Series) -> Iterator[Line]:
    p99 = meanwhile.percentile(99)
    yield Line(
        figure='GET /health meanwhile',
        series=meanwhile,
        ratio=meanwhile.median / idle.median,
    )
    yield Line(figure='GET /health idle, before and after', series=idle)
    yield Line(
        figure='99th percentile meanwhile',
        series=Series(values=[p99]),
        ratio=p99 / idle.percentile(99),
        goal=at_most(ANSWER_GOAL_MS, p99, 'it', 'ms'),
    )
    yield Line(figure='99th percentile idle', series=Series(values=[idle.percentile(99)]))


def _memory_line(name: str, resident: list[float]) -> Line:
    growth = max(resident) - resident[0]
    return Line(
        figure=f'resident memory of the {name}',
        series=Series(values=resident, unit='MiB'),
        ratio=max(resident) / resident[0],
        goal=at_most(GROWTH_GOAL_MIB, growth, 'growth', 'MiB'),
    )
