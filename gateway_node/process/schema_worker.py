# SPDX-License-Identifier: Apache-2.0
"""Checks of schemas in child processes, each with a deadline: the port `SchemaChecker`."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
import json
import logging
import math
import signal
import sys
from typing import Any, TypeVar

from gateway_node.child.contract import SCHEMA_PROGRAM
from gateway_node.child.messages import MAX_VIOLATIONS, SchemaAnswer, SchemaQuestion
from gateway_node.process.own_processes import OwnProcesses
from gateway_node.scripts.errors import (
    ParametersInvalid,
    SchemaCheckUnavailable,
    ScriptRefused,
)
from gateway_node.violations import Violation

_LOGGER = logging.getLogger(__name__)

MAX_CHILDREN = 2
MAX_WAITING = 16
MEMORY_MB = 512
_START_SEC = 20.0
"""A child imports jsonschema before it is ready; the slowest robot on its worst day."""
_ANSWER_BYTES = 2**20
_EXIT_SEC = 1.0
"""For a child that has closed its stdout, before it is killed."""


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """What a check found."""

    violations: tuple[Violation, ...]
    secrets: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Failed:
    """A check that came to no verdict because of what was checked."""

    reason: str


class SchemaWorker:
    """Checks schemas, and parameters against them, in child processes.

    A check holds one of `MAX_CHILDREN` children for at most `deadline_sec`, then the child is
    killed and the check is over. Who comes while all are held waits in line, first come first
    served, and at most `MAX_WAITING` wait; the next is told at once that nothing can be checked
    now. So a client whose schemas never come to an end delays another one's check by at most
    (MAX_WAITING / MAX_CHILDREN + 1) deadlines and as many starts of a child, and never touches
    the gateway's own process.
    """

    def __init__(
        self,
        *,
        own_processes: OwnProcesses,
        deadline_sec: float = 2.0,
        python: str = sys.executable,
    ) -> None:
        """Start nothing yet: children are started when they are needed and kept for the next."""
        self._own = own_processes
        self._deadline_sec = deadline_sec
        self._python = python
        self._turn = asyncio.Semaphore(MAX_CHILDREN)
        self._waiting = 0
        self._idle: list[asyncio.subprocess.Process] = []
        self._alive: set[asyncio.subprocess.Process] = set()
        self._closed = False

    async def check_schema(self, schema: Mapping[str, Any]) -> None:
        """See `SchemaChecker.check_schema`."""
        verdict = await self._check(SchemaQuestion(schema=schema))
        if isinstance(verdict, _Failed):
            raise ScriptRefused(f'the schema cannot be checked: {verdict.reason}')
        if violations := verdict.violations:
            raise ScriptRefused(
                f'is not acceptable: {_summary(violations)}', violations[:MAX_VIOLATIONS]
            )

    async def check_parameters(
        self, schema: Mapping[str, Any], parameters: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """See `SchemaChecker.check_parameters`."""
        verdict = await self._check(SchemaQuestion(schema=schema, parameters=parameters))
        if isinstance(verdict, _Failed):
            raise ParametersInvalid(
                f'the parameters cannot be checked against parameters_schema: {verdict.reason}'
            )
        if violations := verdict.violations:
            raise ParametersInvalid(
                f'the parameters do not match parameters_schema: {_summary(violations)}',
                violations[:MAX_VIOLATIONS],
            )
        return verdict.secrets

    async def close(self) -> None:
        """Kill the children; checks under way end with SchemaCheckUnavailable."""
        self._closed = True
        for child in tuple(self._alive):
            await self._kill(child)

    async def _check(self, question: SchemaQuestion) -> _Checked | _Failed:
        try:
            line = json.dumps(question, separators=(',', ':')).encode() + b'\n'
        except (RecursionError, ValueError):
            return _Failed(reason='it nests too deep')
        if self._waiting >= MAX_WAITING:
            raise SchemaCheckUnavailable(
                f'{MAX_WAITING} checks of schemas are waiting already; try again in a moment'
            )
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            child = await self._child()
            return await self._ask(child, line)
        finally:
            self._turn.release()

    async def _child(self) -> asyncio.subprocess.Process:
        """Return a child that is ready, an idle one or a new one."""
        while self._idle:
            child = self._idle.pop()
            if child.returncode is None:
                return child
            self._forget(child)
        if self._closed:
            raise SchemaCheckUnavailable('the gateway is shutting down')
        return await self._start()

    async def _start(self) -> asyncio.subprocess.Process:
        alarm_sec = math.ceil(self._deadline_sec) + 1
        # No directory of this package's own modules on the path (-P); stderr is the gateway's.
        module = ('-P', '-W', 'ignore', '-m', SCHEMA_PROGRAM)
        try:
            with self._own.starting():
                child = await asyncio.create_subprocess_exec(
                    self._python,
                    *module,
                    str(MEMORY_MB),
                    str(alarm_sec),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    limit=_ANSWER_BYTES,
                    cwd='/',
                    start_new_session=True,  # Ctrl-C is for the gateway, which ends its children
                )
                self._own.add(child.pid)
        except OSError as error:
            raise SchemaCheckUnavailable(f'no process can be started: {error}') from error
        self._alive.add(child)
        ready = b''
        try:
            if self._closed:
                raise SchemaCheckUnavailable('the gateway is shutting down')
            async with asyncio.timeout(_START_SEC):
                ready = await _stream(child.stdout).readline()
        except TimeoutError as error:
            raise SchemaCheckUnavailable(
                f'the process that checks schemas was not ready in {_START_SEC:g} s'
            ) from error
        finally:
            if not ready:
                await self._kill(child)
        if not ready:
            _LOGGER.error('the process that checks schemas ended: %s', _ending(child))
            raise SchemaCheckUnavailable('the process that checks schemas cannot be started')
        return child

    async def _ask(self, child: asyncio.subprocess.Process, line: bytes) -> _Checked | _Failed:
        reply = b''
        try:
            async with asyncio.timeout(self._deadline_sec):
                with suppress(ConnectionError):  # it died: there is no reply to read either
                    _stream(child.stdin).write(line)
                    await _stream(child.stdin).drain()
                reply = await _stream(child.stdout).readline()
        except TimeoutError:
            return _Failed(reason=f'it takes longer than {self._deadline_sec:g} s')
        finally:
            # Without a reply, cancelled ones included, nobody knows what the child is busy with.
            if reply:
                self._idle.append(child)
            else:
                await self._kill(child)
        if reply:
            return _verdict(json.loads(reply))
        if self._closed or child.returncode == -signal.SIGKILL:
            raise SchemaCheckUnavailable(f'the check of a schema ended: {_ending(child)}')
        return _Failed(reason=f'its check ended with {_ending(child)}')

    async def _kill(self, child: asyncio.subprocess.Process) -> None:
        try:
            # At the end of its stdout it is ending by itself, and `kill`, which looks first
            # whether it still lives, would take its exit status from under asyncio.
            if _stream(child.stdout).at_eof():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_EXIT_SEC):
                        await child.wait()
        finally:
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    child.kill()
        await child.wait()
        self._forget(child)

    def _forget(self, child: asyncio.subprocess.Process) -> None:
        self._alive.discard(child)
        self._own.remove(child.pid)


_Stream = TypeVar('_Stream')


def _stream(stream: _Stream | None) -> _Stream:
    assert stream is not None, 'every child has pipes'
    return stream


def _verdict(reply: SchemaAnswer) -> _Checked | _Failed:
    if 'failed' in reply:
        return _Failed(reason=reply['failed'])
    violations = (Violation(path=path, reason=reason) for path, reason in reply['violations'])
    return _Checked(violations=tuple(violations), secrets=tuple(reply.get('secrets', ())))


def _summary(violations: tuple[Violation, ...]) -> str:
    first = violations[0]
    rest = ''
    if len(violations) > MAX_VIOLATIONS:
        rest = ' (and more)'
    elif len(violations) > 1:
        rest = f' (and {len(violations) - 1} more)'
    return f'{first.path or "the whole"}: {first.reason}{rest}'


def _ending(child: asyncio.subprocess.Process) -> str:
    code = child.returncode or 0
    return f'signal {signal.Signals(-code).name}' if code < 0 else f'exit code {code}'
