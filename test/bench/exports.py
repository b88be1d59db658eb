# SPDX-License-Identifier: Apache-2.0
"""What an export of a long history takes, and what it costs those who work beside it."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
import contextlib
import http.client
import json
from pathlib import Path
import threading
import time

from fakes import new_execution
from gateway_process import BASE

from bench.figures import at_most, Line, ratio, Series, surplus, turns
from bench.gateways import Client, client, KEEP_ALL, write_manifest
from bench.histories import FEW, MANY, state_with
from gateway_node.clock import SystemClock
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.events import Change
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.pages import KeysetPage
from gateway_node.http_server.execution_columns import ExecutionRows
from gateway_node.http_server.export import PAGE_ROWS
from gateway_node.http_server.export_lines import CsvLines
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore

STARTS = 100
COMMITS = 50
ROUNDS = 6
GROWTH_GOAL_MB = 16.0
HELD_UP_GOAL_MS = 5.0
"""Of the issue: how much later a commit may be while an export runs."""


class Reader(threading.Thread):
    """Reads an answer to its end, or until it is enough."""

    def __init__(self, api: Client, path: str, accept: str) -> None:
        super().__init__(name='reader')
        self._connection = http.client.HTTPConnection(api.gateway.host, api.gateway.port)
        self._connection.request('GET', f'{BASE}{path}', headers={'Accept': accept})
        self._enough = threading.Event()
        self.lines = 0
        self.seconds = 0.0

    def run(self) -> None:
        """Read it."""
        begun = time.perf_counter()
        response = self._connection.getresponse()
        while not self._enough.is_set() and (piece := response.read1()):
            self.lines += piece.count(b'\n')
        self.seconds = time.perf_counter() - begun
        self._connection.close()

    def finish(self) -> None:
        """Stop reading."""
        self._enough.set()
        self.join()


def export_cost(folder: Path) -> Iterator[Line]:
    """All of a list as a file: rows a second, memory, and starts beside it."""
    script = folder / 'nothing.sh'
    script.write_text('exec true\n')
    manifest = {'scripts.manifest': write_manifest(folder, {'nothing': str(script)})}
    speeds = {}
    for length in (FEW, MANY):
        state = {'state_dir': str(state_with(folder.parent, length)), **KEEP_ALL}
        with client(folder / str(length), {**manifest, **state}) as api:
            for kind in ('text/csv', 'application/x-ndjson'):
                speed, growth = _exported(api, kind, length)
                speeds[kind, length] = speed
                yield Line(
                    figure=f'{length:,} as {kind}, rows a second',
                    series=speed,
                    ratio=ratio(speed, speeds[kind, FEW]),
                    goal=at_most(GROWTH_GOAL_MB, growth, 'memory grew by', 'MiB'),
                )
            if length == MANY:
                yield from _starts_beside(api)
    yield from asyncio.run(_commits_beside(state_with(folder.parent, MANY)))


def _exported(api: Client, kind: str, length: int) -> tuple[Series, float]:
    """Return the rows a second of an export, and by how many MiB the gateway grew."""
    before = peak = _resident_mb(api)
    reader = Reader(api, '/executions', kind)
    reader.start()
    while reader.is_alive():
        reader.join(0.1)
        peak = max(peak, _resident_mb(api))
    if reader.lines < length:
        raise RuntimeError(f'an export has {reader.lines} lines')
    return Series(values=[reader.lines / reader.seconds], unit='/s'), peak - before


def _starts_beside(api: Client) -> Iterator[Line]:
    alone: list[float] = []
    beside: list[float] = []
    _starts(api)
    for _ in range(2):
        alone += _starts(api)
        reader = Reader(api, '/executions', 'text/csv')
        with contextlib.ExitStack() as afterwards:
            reader.start()
            afterwards.callback(reader.finish)
            beside += _starts(api)
            if not reader.is_alive():
                raise RuntimeError('the export has ended before')
    ours, peer = Series(values=beside), Series(values=alone)
    yield Line(
        figure='POST to 202 while an export runs',
        series=ours,
        ratio=ratio(ours, peer),
    )
    yield Line(figure='POST to 202 alone', series=peer)


def _starts(api: Client) -> list[float]:
    took = []
    for _ in range(STARTS):
        api.send_start('nothing')
        begun = time.perf_counter()
        api.receive(202)
        took.append((time.perf_counter() - begun) * 1000)
        time.sleep(0.02)  # so that its end is no part of the next one's start
    return took


def _resident_mb(api: Client) -> float:
    status = Path(f'/proc/{api.gateway.process.pid}/status').read_text(encoding='ascii')
    (line,) = (line for line in status.splitlines() if line.startswith('VmRSS:'))
    return int(line.split()[1]) / 1024


async def _commits_beside(state_dir: Path) -> list[Line]:
    """Time commits beside what an export does, in one process: reading pages, making rows."""
    clock, ids, enough = SystemClock(), ExecutionIds(), asyncio.Event()
    store = await SqliteExecutionStore.open(await Database.open(state_dir), clock)
    series: dict[bool, list[float]] = {False: [], True: []}
    for number in turns(ROUNDS, 2):
        exporting = None
        if number:
            enough.clear()
            exporting = asyncio.create_task(_export(store, enough))
            await asyncio.sleep(0)
        for _ in range(COMMITS):
            execution = new_execution(0, id=ids.next(clock.now()), created_at=clock.now())
            begun = time.perf_counter()
            await store.record([Change.first(execution, GATEWAY)])
            series[bool(number)].append((time.perf_counter() - begun) * 1000)
        enough.set()
        if exporting is not None:
            await exporting
    await store.close()
    alone, beside = Series(values=series[False]), Series(values=series[True])
    return [
        Line(
            figure='store.record while an export runs',
            series=beside,
            ratio=ratio(beside, alone),
            goal=at_most(HELD_UP_GOAL_MS, surplus(beside, alone), 'more than alone', 'ms'),
        ),
        Line(figure='store.record alone', series=alone),
    ]


async def _export(store: SqliteExecutionStore, enough: asyncio.Event) -> None:
    rows = ExecutionRows('/api/v1', defaultdict(lambda: None), None)
    lines = CsvLines(None, (), defused=True)
    reference = None
    while not enough.is_set():
        page = KeysetPage(limit=-PAGE_ROWS, reference=reference)
        found = await store.find_texts(ExecutionFilter(), page)
        summaries = [json.loads(each) for each in found.executions]
        lines.body((rows.row(each), each) for each in summaries)
        reference = found.more
        await asyncio.sleep(0)
