# SPDX-License-Identifier: Apache-2.0
"""Requests that no client library would send, to a gateway whose loop is watched meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Sequence
import contextlib
from dataclasses import dataclass
import json
import time
from typing import Any

from api_support import Api, BASE
from waited_seconds import waiting_of_this_thread

from gateway_node.http_server.route import Route
from gateway_node.http_server.takes import Place, taken_by

LONGEST_HOLD_SEC = 5 * 0.2
"""How long the loop may be held up: 200 ms, with fivefold slack."""
ANSWER_SEC = 30.0
NAMES = {
    'instance': 'when_hot',
    'collection': 'apps',
    'entity_id': 'temp_sensor',
    'area_id': 'powertrain',
    'function_id': 'monitoring',
    'execution_id': 'exec_01ARZ3NDEKTSV4RRFFQ69G5FAV',
    'status': 'running',
    'sequence': '1',
}


def needed_query(route: Route[Any, Any]) -> str:
    """Return a query that has what a route cannot do without, `?` included; or nothing."""
    needed = [
        each.name for each in taken_by(route.takes) if each.required and each.place is Place.QUERY
    ]
    return '?' + '&'.join(f'{name}=x' for name in needed) if needed else ''


@dataclass(frozen=True, kw_only=True)
class RawAnswer:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def is_generic_error(self) -> bool:
        """Tell whether the content is a GenericError and nothing more."""
        if self.headers.get('content-type', '').split(';')[0] != 'application/json':
            return False
        body = json.loads(self.content)
        fields = body.keys()
        return (
            {'error_code', 'message'} <= fields
            and fields <= {'error_code', 'message', 'vendor_code', 'parameters'}
            and (body['error_code'] == 'vendor-error') == ('vendor_code' in fields)
            and b'Traceback' not in self.content
        )


@dataclass(frozen=True, kw_only=True)
class Target:
    """A served gateway, with a script and maybe a lock on an entity of it."""

    api: Api
    script_id: str
    lock_id: str = 'lock_unknown'

    def path(self, template: str, **names: str) -> str:
        """Fill a route's path; what is not named is there and right."""
        known = NAMES | {'script_id': self.script_id, 'lock_id': self.lock_id}
        if template.startswith('/components'):
            known['entity_id'] = 'powertrain_engine'
        for name, value in (known | names).items():
            template = template.replace(f'{{{name}}}', value)
        return f'{BASE}{template}'

    async def send(
        self,
        method: str,
        path: str,
        content: bytes = b'',
        content_type: str = '',
        headers: Sequence[str] = (),
        length: int | None = None,
    ) -> RawAnswer:
        """Send these very bytes, which no client library would; return the answer.

        `length` is the Content-Length, by default the right one.
        """
        lines = [f'{method} {path} HTTP/1.1', 'Host: robot', 'Connection: close', *headers]
        if content_type:
            lines.append(f'Content-Type: {content_type}')
        lines.append(f'Content-Length: {len(content) if length is None else length}')
        return await self.exchange(lines, content)

    async def exchange(self, head: Sequence[str], content: bytes = b'') -> RawAnswer:
        """Send these very lines, and this content; return the first answer."""
        reader, writer = await self.api.connect()
        try:
            writer.write('\r\n'.join([*head, '', '']).encode())
            writer.write(content)
            async with asyncio.timeout(ANSWER_SEC):
                return await read_answer(reader, with_content=not head[0].startswith('HEAD '))
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def read_answer(reader: asyncio.StreamReader, *, with_content: bool = True) -> RawAnswer:
    """Read one answer."""
    head = await reader.readuntil(b'\r\n\r\n')
    first, *lines = head.decode('latin-1').strip().split('\r\n')
    headers = {name.lower(): value for name, _, value in (line.partition(': ') for line in lines)}
    if not with_content:
        return RawAnswer(status=int(first.split()[1]), headers=headers, content=b'')
    content = b''
    with contextlib.suppress(ConnectionError):  # it may close while the request still comes
        content = await reader.readexactly(int(headers.get('content-length', '0')))
    return RawAnswer(status=int(first.split()[1]), headers=headers, content=content)


@contextlib.asynccontextmanager
async def loop_watched() -> AsyncIterator[None]:
    """Fail where the loop was held up for too long meanwhile.

    What this process computes counts in CPU time, which a loaded machine does not stretch; what
    it only waits for counts in wall time, with more slack, but for the time in which the machine
    had others run.
    """
    worst_cpu, worst_wall = 0.0, 0.0

    async def tick() -> None:
        nonlocal worst_cpu, worst_wall
        while True:
            cpu, wall = time.process_time(), time.monotonic() - waited_sec()
            await asyncio.sleep(0.005)
            worst_cpu = max(worst_cpu, time.process_time() - cpu)
            worst_wall = max(worst_wall, time.monotonic() - waited_sec() - wall)

    with waiting_of_this_thread() as waited_sec:
        ticking = asyncio.create_task(tick())
        try:
            yield
        finally:
            await asyncio.sleep(0)
            ticking.cancel()
    assert worst_cpu < LONGEST_HOLD_SEC
    assert worst_wall < 5 * LONGEST_HOLD_SEC


def assert_refused(answer: RawAnswer, *statuses: int, of: object) -> None:
    """Check that an answer is a GenericError with one of these statuses."""
    assert answer.status in statuses, (of, answer)
    assert answer.is_generic_error, (of, answer)


def refused_by_parser(answer: RawAnswer) -> bool:
    """Tell whether the HTTP parser itself answered, in plain text."""
    return answer.status == 400 and answer.headers['content-type'].startswith('text/plain')
