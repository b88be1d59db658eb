# SPDX-License-Identifier: Apache-2.0
"""Schemas checked in real children: deadlines, deaths, and nothing opened or left behind."""

import asyncio
from collections.abc import AsyncIterator, Mapping
import contextlib
import os
from pathlib import Path
import resource
import signal
import threading
from typing import Any

import hostile_inputs
from open_descriptors import descriptors
import pytest
from raw_requests import loop_watched

from gateway_node.child.messages import SchemaQuestion
from gateway_node.child.schema.schema_check import answer
from gateway_node.process.own_processes import OwnProcesses
from gateway_node.process.schema_worker import MAX_CHILDREN, MAX_WAITING, SchemaWorker
from gateway_node.scripts.errors import (
    ParametersInvalid,
    SchemaCheckUnavailable,
    ScriptRefused,
)

HASTY_SEC = 0.6
"""The deadline of checks that would not end; a small one has to be through by then."""
PATIENT_SEC = 30.0
HANGS = {'properties': {'a': {'pattern': '(a+)+$'}}}
LONG = {'a': 'a' * 60 + '!'}


@pytest.fixture
async def worker() -> AsyncIterator[SchemaWorker]:
    """Give a worker whose checks all come to their end."""
    async with _started(PATIENT_SEC) as worker:
        yield worker


@pytest.fixture
async def hasty() -> AsyncIterator[SchemaWorker]:
    """Give a worker with a short deadline."""
    async with _started(HASTY_SEC) as worker:
        yield worker


@contextlib.asynccontextmanager
async def _started(deadline_sec: float) -> AsyncIterator[SchemaWorker]:
    """Start a worker; afterwards this process has no child left."""
    worker = SchemaWorker(own_processes=OwnProcesses(), deadline_sec=deadline_sec)
    # The first start of a child may be slow; it is no part of what is measured.
    await worker.check_schema({})
    yield worker
    await worker.close()
    assert not _children()


def _children() -> list[int]:
    listing = Path(f'/proc/self/task/{os.getpid()}/children').read_text()
    return [
        int(pid)
        for pid in listing.split()
        if b'schema_check' in Path(f'/proc/{pid}/cmdline').read_bytes()
    ]


def _kill_without_reaping(pid: int) -> None:
    """Return when it is a zombie; the loop has heard of nothing then."""
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def _named(value: object) -> str:
    return value if isinstance(value, str) else ''


async def test_violations_come_back_with_their_paths(worker: SchemaWorker) -> None:
    """Both checks raise their own error."""
    with pytest.raises(ScriptRefused) as refused:
        await worker.check_schema({'properties': {'a': {'type': 'int'}}})
    assert [v.path for v in refused.value.violations] == ['/properties/a/type']
    schema = {'properties': {'a': {'type': 'integer'}}}
    await worker.check_parameters(schema, {'a': 1})
    with pytest.raises(ParametersInvalid, match="/a: 'x' is not of type 'integer'") as invalid:
        await worker.check_parameters(schema, {'a': 'x'})
    assert [v.path for v in invalid.value.violations] == ['/a']


@pytest.mark.parametrize(
    ('count', 'more'),
    [(1, ''), (2, r' \(and 1 more\)'), (20, r' \(and 19 more\)'), (21, r' \(and more\)')],
)
async def test_a_message_never_counts_less_than_there_are(
    worker: SchemaWorker, count: int, more: str
) -> None:
    """At most 20 violations are listed; where there are more the message says so."""
    schema = {'additionalProperties': {'type': 'null'}}
    with pytest.raises(ParametersInvalid, match=f"'null'{more}$") as invalid:
        await worker.check_parameters(schema, dict.fromkeys(map(str, range(count)), 1))
    assert len(invalid.value.violations) == min(count, 20)
    with pytest.raises(ScriptRefused, match=f'given schemas{more}$') as refused:
        await worker.check_schema({'properties': {str(n): {'type': 1} for n in range(count)}})
    assert len(refused.value.violations) == min(count, 20)


@pytest.mark.parametrize(
    ('name', 'schema', 'parameters'), hostile_inputs.COSTLY_PARAMETERS, ids=_named
)
async def test_a_costly_check_is_over_at_its_deadline(
    hasty: SchemaWorker, name: str, schema: Mapping[str, Any], parameters: Mapping[str, Any]
) -> None:
    """It is the parameters' fault, the loop goes on meanwhile, and the next check works."""
    await hasty.check_schema(schema)
    async with loop_watched(), asyncio.timeout(PATIENT_SEC):
        with pytest.raises(ParametersInvalid):
            await hasty.check_parameters(schema, parameters)
        await hasty.check_parameters({'required': ['a']}, {'a': 1})


async def test_every_refused_schema_is_refused_in_time(worker: SchemaWorker) -> None:
    """The whole catalogue, through one worker, none of it a failure of the check itself."""
    patient = SchemaWorker(own_processes=OwnProcesses(), deadline_sec=5)
    for name, schema in hostile_inputs.REFUSED_SCHEMAS:
        with pytest.raises(ScriptRefused) as refused:
            await patient.check_schema(schema)
        assert refused.value.violations, name
    await patient.close()


async def test_a_child_can_open_neither_file_nor_socket(worker: SchemaWorker) -> None:
    """Whatever a schema made jsonschema try, there is no descriptor for it."""
    [pid] = _children()
    assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (3, 3)
    assert sorted(descriptors(pid)) == [0, 1, 2]
    assert resource.prlimit(pid, resource.RLIMIT_AS)[0] == 512 * 2**20


@pytest.mark.parametrize(('name', 'schema'), hostile_inputs.OUTSIDE_REFERENCES, ids=_named)
async def test_a_reference_to_outside_reaches_no_server(name: str, schema: dict[str, Any]) -> None:
    """Neither at the upload nor where a record was changed on disk afterwards."""
    accepted = asyncio.Event()
    server = await asyncio.start_server(lambda *_: accepted.set(), '127.0.0.1', 0)
    port = server.sockets[0].getsockname()[1]
    schema = {'allOf': [schema, {'$ref': f'http://127.0.0.1:{port}/x'}], 'properties': {'a': {}}}
    for question in (
        SchemaQuestion(schema=schema),
        SchemaQuestion(schema=schema, parameters={'a': 1}),
    ):
        reply = await asyncio.to_thread(answer, question)
        assert reply.get('failed') or reply.get('violations')
    await asyncio.sleep(0)
    assert not accepted.is_set()
    server.close()


async def test_who_waits_is_served_in_turn_and_the_line_is_bounded(hasty: SchemaWorker) -> None:
    """Hanging checks delay another one's by the bound that the worker promises."""
    hanging = [
        asyncio.ensure_future(hasty.check_parameters(HANGS, LONG)) for _ in range(MAX_CHILDREN)
    ]
    await asyncio.sleep(0)
    waiting = [asyncio.ensure_future(hasty.check_schema({})) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(SchemaCheckUnavailable, match='waiting already'):
        await hasty.check_schema({})
    outcomes = await asyncio.gather(*hanging, *waiting, return_exceptions=True)
    assert [type(o) for o in outcomes[:MAX_CHILDREN]] == [ParametersInvalid] * MAX_CHILDREN
    assert outcomes[MAX_CHILDREN:] == [None] * MAX_WAITING
    assert len(_children()) <= MAX_CHILDREN


async def test_a_cancelled_check_leaves_no_busy_child(worker: SchemaWorker) -> None:
    """A client that goes away takes its check with it."""
    [pid] = _children()
    check = asyncio.ensure_future(worker.check_parameters(HANGS, LONG))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(check, 0.05)
    assert pid not in _children()
    await worker.check_schema({})


async def test_the_end_of_a_child_is_known_however_late_it_is_reaped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where asyncio has a thread for each child, a busy machine lets that come late."""
    watcher = getattr(asyncio.unix_events, 'ThreadedChildWatcher', None)
    if watcher is None:
        pytest.skip('this asyncio waits for children without threads')
    reap = watcher._do_waitpid
    killed = threading.Event()

    def reap_late(*arguments: Any) -> None:
        killed.wait()
        reap(*arguments)

    monkeypatch.setattr(watcher, '_do_waitpid', reap_late)
    worker = SchemaWorker(own_processes=OwnProcesses(), deadline_sec=PATIENT_SEC)
    try:
        await worker.check_schema({})
        check = asyncio.ensure_future(worker.check_parameters(HANGS, LONG))
        await asyncio.sleep(0)
        [pid] = _children()
        _kill_without_reaping(pid)
        asyncio.get_running_loop().call_later(0.3, killed.set)
        with pytest.raises(SchemaCheckUnavailable, match='SIGKILL'):
            await check
    finally:
        killed.set()
        await worker.close()


async def test_a_child_that_was_killed_is_replaced(worker: SchemaWorker) -> None:
    """Idle, nobody notices; busy, the check says that it can be tried again."""
    [pid] = _children()
    os.kill(pid, signal.SIGKILL)
    await worker._idle[0].wait()
    await worker.check_schema({})
    [pid] = _children()
    check = asyncio.ensure_future(worker.check_parameters(HANGS, LONG))
    await asyncio.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(SchemaCheckUnavailable, match='SIGKILL'):
        await check


async def test_memory_that_a_check_asks_for_is_bounded() -> None:
    """Millions of errors that jsonschema would gather are refused, not the machine's problem."""
    patient = SchemaWorker(own_processes=OwnProcesses(), deadline_sec=PATIENT_SEC)
    schema = {'anyOf': [{'properties': {'a': {'items': {'anyOf': [False] * 100}}}}]}
    with pytest.raises(ParametersInvalid, match='too much memory'):
        await patient.check_parameters(schema, {'a': [1] * 100_000})
    await patient.check_schema({})
    await patient.close()


async def test_after_close_nothing_is_checked_and_nothing_is_left() -> None:
    """A check under way ends too."""
    worker = SchemaWorker(own_processes=OwnProcesses(), deadline_sec=PATIENT_SEC)
    await worker.check_schema({})
    check = asyncio.ensure_future(worker.check_parameters(HANGS, LONG))
    await asyncio.sleep(0.05)
    await worker.close()
    with pytest.raises(SchemaCheckUnavailable):
        await check
    with pytest.raises(SchemaCheckUnavailable):
        await worker.check_schema({})
    assert not _children()


async def test_without_a_python_nothing_can_be_checked(tmp_path: Path) -> None:
    """The error is one that can be answered, and the next check tries anew."""
    worker = SchemaWorker(own_processes=OwnProcesses(), python=str(tmp_path / 'none'))
    for _ in range(MAX_CHILDREN + 1):
        with pytest.raises(SchemaCheckUnavailable, match='no process can be started'):
            await worker.check_schema({})
    broken = SchemaWorker(own_processes=OwnProcesses(), python='/bin/false')
    for _ in range(MAX_CHILDREN + 1):
        with pytest.raises(SchemaCheckUnavailable, match='cannot be started'):
            await broken.check_schema({})


async def test_a_check_outlives_no_dead_gateway() -> None:
    """Without anybody to kill it, the child's own alarm does."""
    worker = SchemaWorker(own_processes=OwnProcesses(), deadline_sec=0.1)
    child = await worker._start()
    assert child.stdin is not None
    child.stdin.write(b'{"schema": {"pattern": "(a+)+$"}, "parameters": {}}\n')
    child.stdin.write(
        b'{"schema": {"properties": {"a": {"pattern": "(a+)+$"}}}, "parameters": {"a": "'
        + b'a' * 60
        + b'!"}}\n'
    )
    child.stdin.close()
    async with asyncio.timeout(PATIENT_SEC):
        assert await child.wait() == -signal.SIGALRM
    await worker.close()
