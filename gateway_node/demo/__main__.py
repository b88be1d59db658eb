# SPDX-License-Identifier: Apache-2.0
"""Starts the demo node and the gateway, prints what to try, and ends both on Ctrl-C.

`python -m gateway_node.demo [--ros-args -p server.port:=18080]`: the arguments are the gateway's.
"""

import asyncio
from asyncio.subprocess import Process
from collections.abc import Sequence
import contextlib
import http
import http.client
import re
import signal
import sys
from typing import Any
import urllib.error
import urllib.request

READY_WITHIN_SEC = 60.0
END_WITHIN_SEC = 60.0
_TOGETHER_SEC = 0.5
_OTHER_PORT = (
    f'take another port: {sys.executable} -m gateway_node.demo --ros-args -p server.port:=18080 '
    '-p state_dir:=/tmp/gateway_node'
)

TO_TRY = """
The gateway is ready, and a demo node is in the graph.
{base}/docs in a browser shows what it can do. Try, in another terminal:

1. List the apps (one for each ROS node):

curl -s {base}/apps

2. Upload a script to the demo node's app:

SCRIPT=$(printf 'echo 50 >&3\\nsleep 2\\necho "{{\\\\"healthy\\\\": true}}"\\n' | \\
  curl -s -F 'file=@-;filename=check.sh' {base}/apps/temp_sensor/scripts | \\
  python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')

3. Execute it, and wait for the end (without Prefer the answer comes at once, with an href):

curl -s -H 'Prefer: wait=60' -H 'Content-Type: application/json' \\
  -d '{{"execution_type": "now"}}' \\
  {base}/apps/temp_sensor/scripts/$SCRIPT/executions

Ctrl-C ends both.
"""


class DemoEnded(Exception):
    """The demo cannot go on; the message says why."""


class Demo:
    """The two processes, from start to end."""

    def __init__(self, gateway_args: Sequence[str], base: str) -> None:
        """Start nothing yet; `base` is the URI of the gateway's API."""
        self._gateway_args = gateway_args
        self._base = base
        self._processes: dict[str, Process] = {}
        self._signals = 0
        self._stopped = asyncio.Event()

    async def present(self) -> None:
        """Start both, tell what to try, and return at a signal; DemoEnded where one ends first."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)
        if await asyncio.to_thread(_status_of, f'{self._base}/health') is not None:
            raise DemoEnded(f'{self._base} is served already; end that, or {_OTHER_PORT}')
        try:
            await self._start('the demo node', 'gateway_node.demo.temp_sensor')
            await self._start('the gateway', 'gateway_node', *self._gateway_args)
            showing = asyncio.create_task(self._show_what_to_try())
            try:
                await self._first_end(showing)
            finally:
                showing.cancel()
        finally:
            await self._end()

    async def _start(self, name: str, module: str, *args: str) -> None:
        # A group of its own: Ctrl-C reaches this process only, which ends both, once.
        self._processes[name] = await asyncio.create_subprocess_exec(
            sys.executable,
            '-m',
            module,
            *args,
            stdin=asyncio.subprocess.DEVNULL,
            process_group=0,
        )

    async def _show_what_to_try(self) -> None:
        # The gateway is up before it has discovered the demo node.
        for uri in (f'{self._base}/health', f'{self._base}/apps/temp_sensor'):
            try:
                await asyncio.wait_for(_answered(uri), READY_WITHIN_SEC)
            except TimeoutError:
                raise DemoEnded(f'{uri} did not answer within {READY_WITHIN_SEC:g} s') from None
        _say(TO_TRY.format(base=self._base))

    async def _first_end(self, showing: 'asyncio.Task[None]') -> None:
        ends = [
            asyncio.create_task(self._end_of(name, process))
            for name, process in self._processes.items()
        ]
        stopped = asyncio.create_task(self._stopped.wait())
        waiting: set[asyncio.Task[Any]] = {stopped, showing, *ends}
        while not self._stopped.is_set():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                await ended

    async def _end_of(self, name: str, process: Process) -> None:
        status = await process.wait()
        # Who signals everything at once signals the children too.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), _TOGETHER_SEC)
        if not self._stopped.is_set():
            raise DemoEnded(f'{name} ended with status {status}')

    async def _end(self) -> None:
        self._send(signal.SIGTERM)
        ends = [process.wait() for process in self._processes.values()]
        try:
            await asyncio.wait_for(asyncio.gather(*ends), END_WITHIN_SEC)
        except TimeoutError:
            self._send(signal.SIGKILL)
            raise DemoEnded(f'did not end within {END_WITHIN_SEC:g} s and was killed') from None

    def _on_signal(self) -> None:
        self._signals += 1
        if self._stopped.is_set():
            self._send(signal.SIGTERM if self._signals == 2 else signal.SIGKILL)
        self._stopped.set()

    def _send(self, number: signal.Signals) -> None:
        for process in self._processes.values():
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(number)


def main(args: Sequence[str]) -> int:
    """Present the demo; return the exit status. `args` are the gateway's arguments."""
    try:
        base = api_base(args)
        asyncio.run(_present(args, base))
    except DemoEnded as error:
        sys.stderr.write(f'demo: {error}\n')
        return 1
    return 0


async def _present(args: Sequence[str], base: str) -> None:
    await Demo(args, base).present()


def api_base(args: Sequence[str]) -> str:
    """Return the URI of the API as `-p server.…:=…` among `args` sets it."""
    given = {'host': '127.0.0.1', 'port': '8080', 'path_prefix': ''}
    for argument in args:
        parameter = re.fullmatch(r'server\.(host|port|path_prefix):=(.*)', argument)
        if parameter:
            given[parameter.group(1)] = parameter.group(2).strip('\'"')
    if given['port'] == '0':
        raise DemoEnded('server.port is 0; the demo has to know the port, give another one')
    first = given['host'].split(',')[0].strip(' []')
    host = {'0.0.0.0': '127.0.0.1', '::': '127.0.0.1'}.get(first, first)
    authority = f'[{host}]' if ':' in host else host
    return f'http://{authority}:{given["port"]}{given["path_prefix"]}/api/v1'


async def _answered(uri: str) -> None:
    while True:
        if await asyncio.to_thread(_status_of, uri) == http.HTTPStatus.OK:
            return
        await asyncio.sleep(0.1)


def _status_of(uri: str) -> int | None:
    """Return the status of the answer; None where nobody answers."""
    without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with without_proxy.open(uri, timeout=2.0) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return None


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
