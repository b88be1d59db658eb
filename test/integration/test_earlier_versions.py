# SPDX-License-Identifier: Apache-2.0
"""State directories that earlier versions wrote open in this one, and nothing of them is lost."""

import asyncio
import contextlib
import json
from pathlib import Path
import sqlite3
import tarfile
import time
from typing import Any

from aiohttp import ClientSession
from assembled_gateway import assembled_gateway
from fakes import add, as_listed, FakeClock, new_execution, whole_log
from make_state import shortened
import pytest

from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.document_reading import execution_of
from gateway_node.executions.documents import evolved
from gateway_node.executions.events import EventKind
from gateway_node.executions.output_lines import OutputStream
from gateway_node.process.line_reading import LineReader
from gateway_node.storage.database import Database, FILE_NAME
from gateway_node.storage.execution_store import SqliteExecutionStore

FIXTURES = Path(__file__).parents[1] / 'fixtures'
VERSIONS = sorted(path.name.removesuffix('.json') for path in FIXTURES.glob('state_*.json'))
GRAPH = GraphSnapshot(
    nodes=frozenset({NodeName(namespace='/powertrain/engine', name='temp_sensor')})
)
DEADLINE_SEC = 45.0
STARTED_ANEW = {'last_start_at', 'skipped_starts'}
"""What a start of the gateway changes in a schedule."""
TOLD_SINCE = {'input_parameters', 'script_content', 'updated_at'}
"""What version 0.1.0 kept of an execution, or implied, and did not answer."""


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Unpack the state directory of a version; return the fixture's name."""
    name = str(request.param)
    with tarfile.open(FIXTURES / f'{name}.tar.gz') as archive:
        archive.extractall(tmp_path, filter='data')
    return name


def answers_of(version: str) -> dict[str, Any]:
    """Return what the gateway of that version answered, by path."""
    answers: dict[str, Any] = json.loads((FIXTURES / f'{version}.json').read_text('utf-8'))
    return answers


async def body_of(client: ClientSession, path: str) -> Any:
    """GET a path that is there."""
    async with client.get(path) as response:
        assert response.status == 200, path
        return shortened(await response.json())


async def ended(client: ClientSession, path: str) -> Any:
    """Wait until an execution has ended."""
    deadline = time.monotonic() + DEADLINE_SEC
    while (body := await body_of(client, path))['status'] in ('prepared', 'running'):
        assert time.monotonic() < deadline, body
    return body


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a body without some of its fields."""
    return {name: value for name, value in body.items() if name not in names}


async def check_execution(client: ClientSession, path: str, known: dict[str, Any]) -> None:
    """Compare an execution; what was open is ended or started now, and keeps what it had."""
    if known['execution_type'] == 'once_on_restart':
        used = await ended(client, path)
        assert used['status'] == 'completed'
        assert used['output']['stdout'] == 'once\n'
        assert used['created_at'] == known['created_at']
    elif 'scheduled' in known:
        schedule = await body_of(client, path)
        assert without(schedule, *STARTED_ANEW, *TOLD_SINCE) == without(known, *STARTED_ANEW)
        assert schedule['skipped_starts'] >= known['skipped_starts']
    elif known['status'] in ('prepared', 'running'):
        left = await body_of(client, path)
        assert left['status'] == 'failed'
        assert left['error']['vendor_code'] == 'x-gateway-restarted'
        assert left['output'] == known['output']
        assert without(known, 'status') == {name: left[name] for name in without(known, 'status')}
    else:
        assert without(await body_of(client, path), *TOLD_SINCE) == known


async def test_nothing_of_an_earlier_version_is_lost(version: str, tmp_path: Path) -> None:
    """Scripts, ended executions and their outputs are answered as they were, what was open is
    brought to an honest end, schedules go on."""
    async with assembled_gateway(tmp_path, GRAPH) as client:
        for path, known in answers_of(version).items():
            if 'execution_type' in known:
                await check_execution(client, path, known)
                continue
            found = await body_of(client, path)
            if 'items' in known:
                ids = {each['id'] for each in found['items']}
                assert ids >= {each['id'] for each in known['items']}
            else:
                assert found == known


async def test_it_opens_again_and_again(version: str, tmp_path: Path) -> None:
    """What was brought to its end at the first start is as it was then at the next."""
    open_ones = [
        path
        for path, known in answers_of(version).items()
        if known.get('status') in ('prepared', 'running') and 'scheduled' not in known
    ]
    assert open_ones
    async with assembled_gateway(tmp_path, GRAPH) as client:
        first = [await body_of(client, path) for path in open_ones]
    async with assembled_gateway(tmp_path, GRAPH) as client:
        assert [await body_of(client, path) for path in open_ones] == first


async def test_the_log_of_an_earlier_version_becomes_that_of_this_one(
    version: str, tmp_path: Path
) -> None:
    """Each transition is an event with the same sequence, and the events of an execution make
    its summary."""
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        known = connection.execute(
            'SELECT sequence, execution_id, status, at FROM transitions ORDER BY sequence'
        ).fetchall()
    database = await Database.open(tmp_path)
    store = await SqliteExecutionStore.open(database, FakeClock())
    log = await whole_log(store)
    assert known == [
        (event.sequence, event.subject_id, event.changes['status'], event.at.isoformat())
        for event in log
    ]
    summaries: dict[str, dict[str, Any]] = {}
    for event in log:
        summaries[event.subject_id] = evolved(summaries.get(event.subject_id, {}), event.changes)
        assert execution_of(summaries[event.subject_id]).status.value == event.changes['status']
    for execution_id, summary in summaries.items():
        execution = await store.get(execution_id)
        assert execution is not None
        assert execution_of(summary) == as_listed(execution)
    kinds: dict[str, set[str]] = {}
    for event in log:
        execution_type = summaries[event.subject_id]['execution_type']
        kinds.setdefault(execution_type, set()).add(event.kind.value)
    ran = {'execution.accepted', 'execution.running', 'execution.ended'}
    assert kinds == {
        'now': ran,
        'now_and_on_restart': {*ran, 'schedule.made'},
        'on_restart': {*ran, 'schedule.made'},
        'once_on_restart': {'schedule.made'},
    }
    assert (await add(store, new_execution(1))).sequence > max(sequence for sequence, *_ in known)
    await store.close()


async def test_the_scripts_of_an_earlier_version_are_told(version: str, tmp_path: Path) -> None:
    """The log did not tell of scripts; the first start tells of each that was uploaded."""
    uploaded = {
        path.removeprefix('/api/v1/')
        for path, known in answers_of(version).items()
        if 'kind' in known and 'version' in known
    }
    assert uploaded
    async with assembled_gateway(tmp_path, GRAPH):
        pass
    database = await Database.open(tmp_path)
    store = await SqliteExecutionStore.open(database, FakeClock())
    told = [each for each in await whole_log(store) if each.kind is EventKind.SCRIPT_UPLOADED]
    assert {event.subject for event in told} == uploaded
    assert {(event.actor, event.cause) for event in told} == {(GATEWAY, 'found')}
    await store.close()


async def test_what_an_earlier_version_kept_is_measured(version: str, tmp_path: Path) -> None:
    """In the background, for the bound of the disk: outputs and documents."""
    query = """
        SELECT id, kept_bytes - length(document) - length(parameters) FROM executions
        WHERE ended_sec IS NOT NULL
    """
    async with assembled_gateway(tmp_path, GRAPH):
        with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
            deadline = time.monotonic() + DEADLINE_SEC
            while None in (kept := dict(connection.execute(query))).values():
                assert time.monotonic() < deadline, kept
                await asyncio.sleep(0.01)
    assert any(kept.values())
    for execution_id, kept_bytes in kept.items():
        files = (tmp_path / 'executions' / execution_id).glob('output.*')
        blocks = sum(file.stat().st_blocks for file in files)
        # The folder itself, which not every file system counts.
        assert kept_bytes - 512 * blocks in range(64 * 1024), execution_id


def test_output_of_an_earlier_version_has_lines(version: str, tmp_path: Path) -> None:
    """Numbered by reading them: those of a stream that were dropped, which nobody counted, are
    one."""
    reader = LineReader(tmp_path / 'executions')
    for path, known in answers_of(version).items():
        if 'output' not in known or known['status'] in ('prepared', 'running'):
            continue
        name = path.rpartition('/')[2]
        read = reader.read(name, None, after=0, limit=10**6, stream=None, ended=True)
        assert read.complete
        stdout = [line.text for line in read.lines if line.stream is OutputStream.STDOUT]
        stderr = [line.text for line in read.lines if line.stream is OutputStream.STDERR]
        assert known['output']['stderr'].splitlines() == stderr
        if stderr == ['begins', 'ends']:
            assert (read.lines[0].text, stdout[-1]) == ('begins', '25000')
            assert not all(line.whole for line in read.lines)
            assert read.last - len(read.lines) in (0, 1)
        else:
            assert known['output']['stdout'].splitlines() == stdout
            assert [line.number for line in read.lines] == list(range(1, read.last + 1))
