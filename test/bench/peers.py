# SPDX-License-Identifier: Apache-2.0
"""The servers that runs are compared on, each as its makers have it started.

Where there are three cores or more, the clients, which are this process, have the last one, and
servers and what they run have the others. With two nothing is pinned: a server with one core could
do nothing of an execution beside another, and the clients take a tenth of a core.
"""

from collections.abc import Callable, Iterator
import contextlib
from dataclasses import dataclass
import functools
import json
import os
from pathlib import Path
import shutil
import socket
import subprocess
import sys

from gateway_process import started
from waiting import wait_for

from bench.gateways import Client
from bench.load import Request, request

_CORES = sorted(os.sched_getaffinity(0))
ON_SERVERS_CORES = (
    ('taskset', '--cpu-list', ','.join(map(str, _CORES[:-1]))) if len(_CORES) > 2 else ()
)
"""The beginning of a command that becomes what follows."""
LSO = 'orchestrator-lso==2.4.6'
_HERE = Path(__file__).parent
_LSO_VENV = _HERE.parent.parent / '.venv-lso'

Run = Callable[..., Request]
"""The request that runs a script of the folder, with arguments, and is answered at its end."""


@dataclass(frozen=True, kw_only=True)
class Bare:
    """A bare server that serves."""

    pid: int
    port: int

    def run(self, script: str, *arguments: str) -> Request:
        """Return the request that runs a script."""
        path = f'/scripts/{script}/executions'
        return request(self.port, 'POST', path, {'arguments': arguments}, expected='"completed"')

    def ready_made(self, length: int) -> Request:
        """Return the request for so many bytes."""
        return request(self.port, 'GET', f'/bytes/{length}')


class NotHere(Exception):
    """A peer that cannot be had on this machine."""


@contextlib.contextmanager
def clients_core() -> Iterator[None]:
    """Keep this process on the clients' core meanwhile, where there is one."""
    os.sched_setaffinity(0, _CORES[-1:] if ON_SERVERS_CORES else _CORES)
    try:
        yield
    finally:
        os.sched_setaffinity(0, _CORES)


def gateway_run(api: Client, script_id: str, *arguments: str) -> Request:
    """Return the request to a gateway."""
    return request(
        api.gateway.port,
        'POST',
        f'/api/v1/{api.entity}/scripts/{script_id}/executions',
        {'execution_type': 'now', 'arguments': arguments},
        headers={'Prefer': 'wait=60'},
        expected='"completed"',
    )


@contextlib.contextmanager
def bare(folder: Path) -> Iterator[Bare]:
    """Start the bare server on a folder of scripts."""
    command = [*ON_SERVERS_CORES, sys.executable, str(_HERE / 'bare_server.py'), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield Bare(pid=process.pid, port=int(process.stdout.readline()))
        finally:
            process.kill()


@contextlib.contextmanager
def lso(folder: Path) -> Iterator[Run]:
    """Start LSO on a folder of executables, in an environment of its own that is kept.

    Raises:
        NotHere: it cannot be installed.
    """
    python = _lso_python()
    port = _free_port()
    command = [*ON_SERVERS_CORES, str(python), '-m', 'uvicorn', 'lso.app:app', '--port', str(port)]
    # Connections stay open while others have their turn; nothing is logged, as with the others.
    patient = ['--timeout-keep-alive', '600', '--no-access-log', '--log-level', 'warning']
    with started([*command, *patient], folder, {'EXECUTABLES_ROOT_DIR': str(folder)}):
        _wait_for_port(port)
        yield functools.partial(_lso_run, port)


def _lso_run(port: int, script: str, *arguments: str) -> Request:
    body = {'executable_name': script, 'args': arguments, 'is_async': False}
    return request(port, 'POST', '/api/execute/', body, expected='"return_code":0')


def _lso_python() -> Path:
    python = _LSO_VENV / 'bin' / 'python'
    complete = _LSO_VENV / '.complete'
    if not complete.exists():
        pip = (str(python), '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check')
        for command in (
            (sys.executable, '-m', 'venv', '--clear', str(_LSO_VENV)),
            (*pip, '--no-deps', LSO),
            (*pip, '--requirement', str(_HERE / 'lso_requirements.txt')),
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise NotHere(f'{LSO} cannot be installed: {done.stderr.strip()[-200:]}')
        complete.touch()
    return python


@contextlib.contextmanager
def webhook(folder: Path) -> Iterator[Run]:
    """Start webhook with a hook for each script of a folder.

    Raises:
        NotHere: it is not installed.
    """
    if shutil.which('webhook') is None:
        raise NotHere('webhook is not installed')
    hooks = [
        {
            'id': script.name,
            'execute-command': str(script),
            'include-command-output-in-response': True,
        }
        for script in folder.glob('*.sh')
    ]
    configuration = folder / 'hooks.json'
    configuration.write_text(json.dumps(hooks))
    port = _free_port()
    command = [*ON_SERVERS_CORES, 'webhook', '-hooks', str(configuration)]
    with started([*command, '-ip', '127.0.0.1', '-port', str(port)], folder):
        _wait_for_port(port)
        yield functools.partial(_webhook_run, port)


def _webhook_run(port: int, script: str) -> Request:
    return request(port, 'POST', f'/hooks/{script}', {})


def _free_port() -> int:
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        return int(unused.getsockname()[1])


def _wait_for_port(port: int) -> None:
    def answers() -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(('127.0.0.1', port)) == 0

    wait_for(answers, bool, what=f'somebody listens on port {port}')
