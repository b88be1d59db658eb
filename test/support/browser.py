# SPDX-License-Identifier: Apache-2.0
"""A real browser without a screen, driven by its debugging protocol (Chrome DevTools Protocol)."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
from dataclasses import dataclass, field
import itertools
import json
import os
from pathlib import Path
import re
import shutil
import signal
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

NAMES = ('chromium', 'chromium-browser', 'google-chrome')
"""Executables of browsers that speak the protocol."""
WAIT_SEC = 60.0


def find_browser() -> str | None:
    """Return the path of a browser; None where none is installed."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass
class Page:
    """A page of the browser."""

    socket: ClientWebSocketResponse
    requests: list[str] = field(default_factory=list)
    """The addresses that it asked for."""
    complaints: list[str] = field(default_factory=list)
    """What the browser said of scripts that failed and of what the page was not allowed."""
    _loaded: bool = False
    _numbers: 'itertools.count[int]' = field(default_factory=lambda: itertools.count(1))

    async def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol; return its result."""
        number = next(self._numbers)
        await self.socket.send_json({'id': number, 'method': method, 'params': parameters})
        async with asyncio.timeout(WAIT_SEC):
            while True:
                message = await self.socket.receive_json()
                if message.get('id') == number:
                    assert 'error' not in message, message
                    return message['result']
                self._note(message)

    async def open(self, url: str) -> None:
        """Go to an address; return when all that it names is loaded."""
        for domain in ('Page', 'Network', 'Runtime', 'Log', 'DOM'):
            await self.call(f'{domain}.enable')
        self._loaded = False
        await self.call('Page.navigate', url=url)
        async with asyncio.timeout(WAIT_SEC):
            while not self._loaded:
                self._note(await self.socket.receive_json())

    async def evaluate(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript, once it has one."""
        told = await self.call(
            'Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True
        )
        assert 'exceptionDetails' not in told, told
        return told['result'].get('value')

    async def wait_for(self, expression: str) -> None:
        """Wait until an expression is true of the page."""
        look = f'() => ({expression}) ? done() : setTimeout(look, 20)'
        await self.evaluate(f'new Promise(done => {{ const look = {look}; look(); }})')

    async def click(self, selector: str) -> None:
        """Click what a selector chooses, once it is there."""
        chosen = f'document.querySelector({json.dumps(selector)})'
        await self.wait_for(chosen)
        await self.evaluate(f'{chosen}.click()')

    async def text(self, selector: str) -> str:
        """Return the text of what a selector chooses, once it is there."""
        chosen = f'document.querySelector({json.dumps(selector)})'
        await self.wait_for(chosen)
        return str(await self.evaluate(f'{chosen}.textContent'))

    async def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file in a field of a form."""
        document = await self.call('DOM.getDocument')
        found = await self.call(
            'DOM.querySelector', nodeId=document['root']['nodeId'], selector=selector
        )
        await self.call('DOM.setFileInputFiles', files=[str(path)], nodeId=found['nodeId'])

    def _note(self, message: dict[str, Any]) -> None:
        told = message.get('params', {})
        match message.get('method'):
            case 'Network.requestWillBeSent':
                self.requests.append(told['request']['url'])
            case 'Log.entryAdded':
                self.complaints.append(f'{told["entry"]["level"]}: {told["entry"]["text"]}')
            case 'Runtime.exceptionThrown':
                self.complaints.append(str(told['exceptionDetails']))
            case 'Page.loadEventFired':
                self._loaded = True


@contextlib.asynccontextmanager
async def browser_page(directory: Path) -> AsyncIterator[Page]:
    """Start a browser that keeps its files in a directory; yield an empty page of it."""
    executable = find_browser()
    assert executable is not None
    process = await asyncio.create_subprocess_exec(
        executable,
        '--headless=new',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--disable-background-networking',
        '--no-first-run',
        '--remote-debugging-port=0',
        f'--user-data-dir={directory}',
        'about:blank',
        env={**os.environ, 'HOME': str(directory)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(WAIT_SEC):
            address = await _address(process.stderr)
        async with ClientSession() as client:
            listed = await client.get(f'http://{address}/json/list')
            (url,) = [
                each['webSocketDebuggerUrl']
                for each in await listed.json(content_type=None)
                if each['type'] == 'page'
            ]
            async with client.ws_connect(url, max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


async def _address(stream: asyncio.StreamReader) -> str:
    """Return where the browser listens, as it says."""
    while line := await stream.readline():
        found = re.search(rb'DevTools listening on ws://([^/]+)/', line)
        if found:
            return found[1].decode()
    raise AssertionError('the browser ended')
