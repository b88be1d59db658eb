# SPDX-License-Identifier: Apache-2.0
"""The gateway as a user starts it: its entry point in a process of its own, on a free port.

A gateway that is started here leaves no process behind, or its test fails.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
from dataclasses import dataclass
import http.client
import json
import os
from pathlib import Path
import re
import secrets
import signal
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from waiting import DEADLINE_SEC, wait_for

from gateway_node.child.process_tree import become_subreaper, descendants, ProcessEntry

GONE_SEC = 30.0
"""How long processes may need to go after a kill: 2 s, on a machine with nothing else to do."""
BASE = '/api/v1'

_SERVING = re.compile(r'serving (http://\S+)')


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    content: bytes

    @property
    def body(self) -> Any:
        """The content as JSON."""
        return json.loads(self.content)


class GatewayProcess:
    """A gateway that serves."""

    def __init__(self, process: 'subprocess.Popen[bytes]', log: Path, url: str) -> None:
        self.process = process
        self.url = url
        """The base of the API: `http://127.0.0.1:40001/api/v1`."""
        self.log_file = log
        """What its stderr goes to."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.host, self.port = parts.hostname, parts.port

    @property
    def log(self) -> str:
        """What it has written to stderr so far."""
        return self.log_file.read_text(encoding='utf-8', errors='replace')

    def connection(self) -> http.client.HTTPConnection:
        """Return what a request is sent on."""
        return http.client.HTTPConnection(self.host, self.port, timeout=DEADLINE_SEC)

    def request(
        self,
        method: str,
        path: str,
        *,
        json_body: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request to a path below the base, or to an `href`."""
        sent = dict(headers or {})
        if json_body is not None:
            content = json.dumps(json_body).encode()
            sent['Content-Type'] = 'application/json'
        where = path if path.startswith(f'{BASE}/') else f'{BASE}{path}'
        connection = self.connection()
        try:
            connection.request(method, where, content, sent)
            response = connection.getresponse()
            return Answer(
                status=response.status,
                headers={name.lower(): value for name, value in response.getheaders()},
                content=response.read(),
            )
        finally:
            connection.close()

    def body(self, path: str) -> Any:
        """GET a path that is there; return its body."""
        answer = self.request('GET', path)
        assert answer.status == 200, answer
        return answer.body

    def upload(self, entity: str, content: str, *, name: str = 'check.sh', **metadata: Any) -> str:
        """Upload a script; return its id."""
        answer = self.send_form('POST', f'/{entity}/scripts', content, name=name, **metadata)
        assert answer.status == 201, answer
        return str(answer.body['id'])

    def send_form(
        self, method: str, path: str, content: str, *, name: str = 'check.sh', **metadata: Any
    ) -> Answer:
        """Send a script as a multipart form."""
        boundary = secrets.token_hex(8)
        parts = [f'name="file"; filename="{name}"\r\n\r\n{content}']
        if metadata:
            parts.append(f'name="metadata"\r\n\r\n{json.dumps(metadata)}')
        form = ''.join(
            f'--{boundary}\r\nContent-Disposition: form-data; {part}\r\n' for part in parts
        )
        return self.request(
            method,
            path,
            content=f'{form}--{boundary}--\r\n'.encode(),
            headers={'Content-Type': f'multipart/form-data; boundary={boundary}'},
        )

    def start(self, entity: str, script_id: str, **fields: Any) -> str:
        """Start an execution now; return its href."""
        answer = self.request(
            'POST',
            f'/{entity}/scripts/{script_id}/executions',
            json_body={'execution_type': 'now', **fields},
        )
        assert answer.status == 202, answer
        return str(answer.body['href'])

    def wait_for(self, path: str, condition: Callable[[Any], bool], *, what: str) -> Any:
        """Poll a path until its body meets the condition; return that body."""
        return wait_for(lambda: self.body(path), condition, what=what)

    def wait_for_status(self, href: str, *statuses: str) -> Any:
        """Poll an execution until its status is one of these; return its body."""
        return self.wait_for(
            href, lambda body: body['status'] in statuses, what=f'{href} in {statuses}'
        )

    def wait_for_app(self, app_id: str, *, online: bool = True) -> Any:
        """Poll the list of apps until this one is there; return its entry."""

        def entry() -> Any:
            apps = {app['id']: app for app in self.body('/apps')['items']}
            return apps.get(app_id)

        return wait_for(
            entry,
            lambda app: app is not None and app['online'] is online,
            what=f'app {app_id} with online={online}',
        )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the gateway itself."""
        self.process.send_signal(number)

    def wait_ended(self) -> int:
        """Wait for the end of the process; return its status."""
        return self.process.wait(DEADLINE_SEC)


def being_read(pipe: Path) -> int:
    """Wait until somebody reads a pipe; return a descriptor to write to it."""

    def opened() -> int | None:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # ENXIO: nobody reads it yet
            return None

    found = wait_for(opened, lambda found: found is not None, what=f'{pipe} is being read')
    assert found is not None
    return found


def entry_point(
    state_dir: Path, parameters: Mapping[str, object] | None = None, *arguments: str
) -> list[str]:
    """Build the command that starts the gateway; `parameters` come over port 0 and cold starts."""
    given = {'server.port': 0, 'state_dir': state_dir, 'python.warm': False}
    given |= dict(parameters or {})
    command = [sys.executable, '-m', 'gateway_node', '--ros-args']
    for name, value in given.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        # In YAML, which rcl reads the value as, only quotes keep a text such as '' a text.
        command += ['-p', f'{name}:={json.dumps(text) if isinstance(value, str) else text}']
    return [*command, *arguments]


@contextlib.contextmanager
def gateway(
    folder: Path,
    parameters: Mapping[str, object] | None = None,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    state_dir: Path | None = None,
    parent: Sequence[str] = (),
) -> Iterator[GatewayProcess]:
    """Start the gateway; at the end it is ended, and nothing of its tree is left.

    Its state is in `folder/state`, so that a second one in the same folder is the first one
    started again. A test that ended it by itself has checked how. `parent` is the beginning of a
    command that becomes what follows in it.
    """
    command = [*parent, *entry_point(state_dir or folder / 'state', parameters, *arguments)]
    with nothing_left(), started(command, folder, environment) as (process, log):
        yield serving(process, log)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE_SEC) == 0, log.read_text()
            assert 'Traceback' not in log.read_text()


def serving(process: 'subprocess.Popen[bytes]', log: Path) -> GatewayProcess:
    """Wait until a gateway that was started serves."""
    found = wait_for(
        lambda: _SERVING.search(log.read_text(encoding='utf-8')),
        lambda found: found is not None or process.poll() is not None,
        what='the gateway serves',
    )
    if found is None:
        pytest.fail(f'the gateway ended with {process.poll()}: {log.read_text()}')
    return GatewayProcess(process, log, found.group(1))


@contextlib.contextmanager
def started(
    command: list[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[tuple['subprocess.Popen[bytes]', Path]]:
    """Start a command; yield its process and the file that its stderr goes to."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f'log_{secrets.token_hex(4)}.txt'
    with log.open('wb') as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            env={**os.environ, **(environment or {})},
        )
    try:
        yield process, log
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(DEADLINE_SEC)


def refused(
    folder: Path,
    parameters: Mapping[str, object] | None = None,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    state_dir: Path | None = None,
    parent: Sequence[str] = (),
) -> tuple[int, str]:
    """Start a gateway that must refuse; return its status and what it wrote, ROS's INFO aside."""
    command = [*parent, *entry_point(state_dir or folder / 'state', parameters, *arguments)]
    with nothing_left(), started(command, folder, environment) as (process, log):
        status = process.wait(DEADLINE_SEC)
    lines = log.read_text(encoding='utf-8').splitlines()
    return status, '\n'.join(line for line in lines if not line.startswith('[INFO]'))


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """Fail where processes that were started meanwhile live on; they are killed in any case.

    This process becomes the subreaper of everything below it, so that nothing can hide.
    """
    become_subreaper()
    before = [entry.pid for entry in descendants(os.getpid())]
    try:
        yield
    finally:
        deadline = time.monotonic() + GONE_SEC
        while (left := _living(before)) and time.monotonic() < deadline:
            time.sleep(0.02)
        for entry in left:
            os.kill(entry.pid, signal.SIGKILL)
    assert left == []


def _living(before: list[int]) -> list[ProcessEntry]:
    # What is below an earlier child is that one's: another gateway may fork meanwhile.
    found = descendants(os.getpid(), without=before)
    for entry in found:
        if entry.is_zombie and entry.parent == os.getpid():
            # An orphan that came to this process, which nobody else waits for.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(entry.pid, os.WNOHANG)
    return [entry for entry in found if not entry.is_zombie]
