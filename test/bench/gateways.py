# SPDX-License-Identifier: Apache-2.0
"""Started gateways with scripts of their own, and ways to time what they do."""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import http.client
import json
import os
from pathlib import Path
import re
import select
import subprocess
import time
from typing import Any

from gateway_process import BASE, gateway, GatewayProcess
from waiting import wait_for

PATIENCE_SEC = 20.0
NO_LIMITS = {
    'scripts.max_concurrent_executions': 1000,
    'scripts.max_concurrent_executions_per_entity': 1000,
}
KEEP_ALL = {
    'history.max_executions': 0,
    'history.max_age_days': 0,
    'history.max_failed_age_days': 0,
}
WARM = {'python.warm': True}
NOT_WARM = {'python.warm': False}
ENDED = ('completed', 'failed', 'terminated')
_SERVING = re.compile(r'serving (http://\S+)')


class Signpost:
    """A FIFO that a script writes to in its first line."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / 'signpost'
        os.mkfifo(self.path)
        # Open in both directions: else each script's end would close it.
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    def wait(self) -> None:
        """Return once somebody has written; TimeoutError after PATIENCE_SEC."""
        if not self._poll.poll(PATIENCE_SEC * 1000):
            raise TimeoutError(f'no script wrote to {self.path}')
        os.read(self._descriptor, 4096)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


class Client:
    """One connection to a gateway, kept open, and the executions of one entity's scripts."""

    def __init__(self, started: GatewayProcess) -> None:
        self.gateway = started
        self.entity = f'components/{started.body("/components")["items"][0]["id"]}'
        """The host's component, which is there without any node."""
        self._connection = http.client.HTTPConnection(
            started.host, started.port, timeout=PATIENCE_SEC
        )

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> None:
        """Send a request to a path below the base; `receive` follows."""
        content = None if body is None else json.dumps(body).encode()
        headers = {'Content-Type': 'application/json'} if content else {}
        self._connection.request(method, f'{BASE}{path}', content, headers)

    def receive(self, status: int = 200) -> Any:
        """Return the body of the answer, which has to have this status."""
        response = self._connection.getresponse()
        content = response.read()
        if response.status != status:
            raise RuntimeError(f'answered {response.status}: {content.decode()[:500]}')
        return json.loads(content)

    def get(self, path: str) -> Any:
        """GET a path below the base; return its body."""
        self.send('GET', path)
        return self.receive()

    def send_start(self, script_id: str, *arguments: str) -> None:
        """Send the request to start a script; `receive(202)` follows."""
        path = f'/{self.entity}/scripts/{script_id}/executions'
        self.send('POST', path, {'execution_type': 'now', 'arguments': arguments})

    def executions(self, script_id: str, limit: int) -> list[dict[str, Any]]:
        """Return the latest executions of a script."""
        page = self.get(f'/{self.entity}/scripts/{script_id}/executions?limit=-{limit}')
        items: list[dict[str, Any]] = page['items']
        return items

    def wait_ended(self, script_id: str, count: int = 1) -> None:
        """Wait until the latest executions of a script have ended well."""
        latest = wait_for(
            lambda: self.executions(script_id, count),
            lambda items: len(items) == count and all(each['status'] in ENDED for each in items),
            what=f'{count} executions of {script_id} have ended',
        )
        for each in latest:
            if each['status'] != 'completed':
                raise RuntimeError(f'{each["href"]} is {each["status"]}')

    def wait_warm(self) -> None:
        """Wait until the warm interpreter is ready."""
        wait_for(
            lambda: self.get('/health')['supervision']['warm_interpreter'],
            lambda state: state == 'ready',
            what='the warm interpreter is ready',
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextlib.contextmanager
def client(
    folder: Path, parameters: Mapping[str, object] | None = None, *, parent: Sequence[str] = ()
) -> Iterator[Client]:
    """Start a gateway in a folder, limits lifted; it is gone afterwards.

    `parent` is the beginning of a command that becomes the gateway.
    """
    with gateway(folder, {**WARM, **NO_LIMITS, **(parameters or {})}, parent=parent) as started:
        connected = Client(started)
        try:
            yield connected
        finally:
            connected.close()


@contextlib.contextmanager
def signpost(folder: Path) -> Iterator[Signpost]:
    """Make a signpost in a folder."""
    made = Signpost(folder)
    try:
        yield made
    finally:
        made.close()


def write_manifest(folder: Path, paths: Mapping[str, str]) -> str:
    """Write a scripts manifest that gives each path an id; return its path."""
    scripts = [
        {'id': script_id, 'path': path, 'entities': 'components/*'}
        for script_id, path in paths.items()
    ]
    manifest = folder / 'scripts.yaml'
    manifest.write_text(json.dumps({'scripts': scripts}))  # JSON is YAML too
    return str(manifest)


def serving(process: 'subprocess.Popen[bytes]', log: Path) -> GatewayProcess:
    """Wait until a gateway serves; `gateway_process.gateway` looks too seldom for a figure."""
    deadline = time.monotonic() + PATIENCE_SEC
    while time.monotonic() < deadline and process.poll() is None:
        found = _SERVING.search(log.read_text())
        if found:
            return GatewayProcess(process, log, found.group(1))
        time.sleep(0.002)
    raise RuntimeError(f'the gateway does not serve: {log.read_text()}')
