# SPDX-License-Identifier: Apache-2.0
"""A robot whose gateway is killed again and again while clients start executions on it.

What clients were told is kept here; whether it holds is judged from the API, from the SQLite
file, from /proc, and from a file that every script writes its execution's id to first.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
import contextlib
from dataclasses import dataclass, field
import http.client
import itertools
import os
from pathlib import Path
import random
import signal
import sqlite3
import subprocess
import threading
import time
from typing import Any

from free_ports import free_port
from gateway_process import Answer, entry_point, GatewayProcess, started
from helper_processes import HELPERS
from killing import shared_memory_removed
from waiting import wait_for

from gateway_node.child.process_tree import descendants
from gateway_node.executions.transitions import ALLOWED
from gateway_node.executions.values import ExecutionStatus, FINAL_STATUSES

APP = 'apps/temp_sensor'
COMPONENT = 'components/powertrain_engine'
RESTART_PAUSE_SEC = 0.05
MAX_SCHEDULES = 6
"""Schedules that run at every start; more would only make each start longer."""
MIN_INTERVAL_SEC = 4.0
"""Between two runs of a schedule, so that some starts are skipped and some are not."""
CLIENTS = 3
WITH_HELPERS = 0.3
"""How often those that watch the scripts are killed as well: nobody then ends the scripts, or says
how they ended, but the next gateway."""

_SIGN_IN = 'echo "$GATEWAY_EXECUTION_ID" >>"$PARAM_WITNESS"\necho begun\n'
SCRIPTS = {
    'ends_at_once': _SIGN_IN,
    'naps': _SIGN_IN + 'sleep "$PARAM_SECONDS"\n',
    'leaves_a_daemon': _SIGN_IN
    + "(trap '' TERM; setsid sleep 600) &\n(trap '' TERM; sleep 600) &\n"
    + 'sleep "$PARAM_SECONDS"\n',
    'ignores_sigterm': _SIGN_IN + 'trap \'\' TERM\nsleep "$PARAM_SECONDS"\n',
}
_SIGN_IN_PYTHON = """
import os, signal, subprocess, time
with open(os.environ['PARAM_WITNESS'], 'a') as witness:
    witness.write(os.environ['GATEWAY_EXECUTION_ID'] + '\\n')
print('begun', flush=True)
nap = float(os.environ['PARAM_SECONDS'])
"""
PYTHON_SCRIPTS = {
    'naps': _SIGN_IN_PYTHON + 'time.sleep(nap)\n',
    'leaves_a_daemon': _SIGN_IN_PYTHON
    + "subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
    + 'if os.fork() == 0:\n    signal.pause()\ntime.sleep(nap)\n',
    'ignores_sigterm': _SIGN_IN_PYTHON
    + 'signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(nap)\n',
}
"""What starts warm, once the interpreter for that is ready."""
_ID_VARIABLE = b'GATEWAY_EXECUTION_ID='
_ID = 'exec_'
TYPES = ('now', 'now', 'now', 'now_and_on_restart', 'on_restart', 'once_on_restart')
RECURRING = frozenset({'now_and_on_restart', 'on_restart'})
FINAL = frozenset(status.value for status in FINAL_STATUSES)

History = tuple[tuple[int, str, str], ...]
"""Sequence, status, cause."""


@dataclass(frozen=True, kw_only=True)
class Acknowledged:
    """A start that was answered 202."""

    href: str
    execution_type: str
    life: int
    """The start of the gateway, counted from 0, that answered."""
    schedule: str | None
    """The href of the schedule, where there is one."""

    @property
    def id(self) -> str:
        """The execution's id."""
        return id_of(self.href)


@dataclass
class Told:
    """What the clients were told; several threads add to it."""

    started: list[Acknowledged] = field(default_factory=list)
    stopped: set[str] = field(default_factory=set)
    """Ids whose stop was answered 200."""
    stop_asked: set[str] = field(default_factory=set)
    """Ids whose stop was sent, answered or not."""
    refused: list[Answer] = field(default_factory=list)
    """Answers that nobody should get."""
    recurring: int = 0


Wish = Callable[[GatewayProcess, random.Random], None]
"""What a client may do once, as chance has it."""


class Robot:
    """One state directory and one port, and the lives of the gateway on them."""

    longest_pause_sec = 0.2
    """Between two wishes of a client."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.state_dir = folder / 'state'
        self.witness = folder / 'witness.txt'
        self.witness.touch()
        self.port = free_port()
        self.served: list[bool] = []
        """For each life whether it came to serve."""
        self.told = Told()
        self.leftovers = contextlib.ExitStack()
        """To be closed when all is over."""
        self.script_ids: dict[tuple[str, str], str] = {}
        self._known: dict[str, History] = {}

    def parameters(self) -> dict[str, object]:
        """Return what each gateway is started with."""
        return {
            'server.port': self.port,
            'python.warm': True,
            'restart.max_schedules': 0,
            'restart.min_interval_sec': MIN_INTERVAL_SEC,
            'scripts.max_concurrent_executions': 500,
            'scripts.max_concurrent_executions_per_entity': 250,
        }

    @contextlib.contextmanager
    def life(self) -> Iterator[tuple['subprocess.Popen[bytes]', Path]]:
        """Start the gateway; yield at once. Afterwards it is gone, and was waited for."""
        self.served.append(False)
        command = entry_point(self.state_dir, self.parameters())
        with started(command, self.folder) as (process, log):
            yield process, log
        _reap_orphans()

    def wait_serving(self, process: 'subprocess.Popen[bytes]', log: Path) -> GatewayProcess:
        """Wait until the gateway takes work; what was left of earlier lives is gone then."""
        wait_for(
            lambda: (process.poll(), 'serving http' in log.read_text(encoding='utf-8')),
            lambda seen: seen[1] or seen[0] is not None,
            what='the gateway serves',
        )
        assert process.poll() is None, log.read_text(encoding='utf-8')
        self.served[-1] = True
        self.check_no_orphans()
        return GatewayProcess(process, log, f'http://127.0.0.1:{self.port}/api/v1')

    def upload_scripts(self, api: GatewayProcess) -> None:
        """Give both entities every script."""
        api.wait_for_app('temp_sensor')
        for entity in (APP, COMPONENT):
            for name, content in SCRIPTS.items():
                self.script_ids[entity, name] = api.upload(entity, content, name=f'{name}.sh')
            for name, content in PYTHON_SCRIPTS.items():
                file_name = f'{name}.py'
                self.script_ids[entity, file_name] = api.upload(entity, content, name=file_name)

    @contextlib.contextmanager
    def clients(self, api: GatewayProcess) -> Iterator[None]:
        """Let clients do what they wish until the gateway is gone; what they raise is raised."""
        over = threading.Event()
        pool = ThreadPoolExecutor(CLIENTS)
        clients = [
            pool.submit(self._be_client, api, over, self.random.random()) for _ in range(CLIENTS)
        ]
        pool.shutdown(wait=False)
        try:
            yield
        finally:
            over.set()
            wait(clients, 60)
        for client in clients:
            client.result(timeout=0)

    def kill(self, process: 'subprocess.Popen[bytes]') -> None:
        """SIGKILL the gateway, sometimes with its helpers, and wait 50 ms."""
        self.leftovers.enter_context(shared_memory_removed(process.pid))
        helpers = [e.pid for e in descendants(process.pid) if e.name in HELPERS]
        process.send_signal(signal.SIGKILL)
        if self.random.random() < WITH_HELPERS:
            for pid in helpers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        assert process.wait(20) == -signal.SIGKILL
        time.sleep(RESTART_PAUSE_SEC)  # no wait for anything: it is the pause that the rule names

    def check_no_orphans(self) -> None:
        """Check that no process belongs to an execution whose final status is set already."""
        ended = {
            execution_id
            for execution_id, status in self.rows('SELECT id, status FROM executions')
            if status in FINAL
        }
        assert {each for each in self.processes() if each in ended} == set()

    def processes(self) -> Counter[str]:
        """Return how many living processes each of this robot's executions has."""
        known = {execution_id for (execution_id,) in self.rows('SELECT id FROM executions')}
        state = os.fsencode(self.state_dir)
        found: Counter[str] = Counter()
        for pid in (int(name) for name in os.listdir('/proc') if name.isdecimal()):
            try:
                variables = Path(f'/proc/{pid}/environ').read_bytes().split(b'\0')
            except OSError:
                continue
            ours = any(state in each for each in variables)
            ids = {v.decode().partition('=')[2] for v in variables if v.startswith(_ID_VARIABLE)}
            found.update(each for each in ids if each in known or (ours and each.startswith(_ID)))
        return found

    def histories(self) -> Mapping[str, History]:
        """Return the history of each execution; what was read before must be its beginning."""
        found: dict[str, list[tuple[int, str, str]]] = {}
        rows = self.rows("""
            SELECT subject, sequence, json_extract(changes, '$.status') AS status, cause
            FROM events WHERE status IS NOT NULL ORDER BY sequence
        """)
        for subject, sequence, status, cause in rows:
            found.setdefault(subject.rpartition('/')[2], []).append((sequence, status, cause))
        histories = {each: tuple(steps) for each, steps in found.items()}
        for execution_id, known in self._known.items():
            assert histories[execution_id][: len(known)] == known
        self._known = histories
        return histories

    def check_histories(self) -> None:
        """Check that every history begins with `prepared`, takes allowed steps, and is true."""
        histories = self.histories()
        statuses = dict(self.rows('SELECT id, status FROM executions'))
        removed = self.removed()
        assert histories.keys() == statuses.keys() | removed
        assert not statuses.keys() & removed
        for execution_id, history in histories.items():
            steps = [ExecutionStatus(status) for _, status, _ in history]
            assert steps[0] is ExecutionStatus.PREPARED, (execution_id, history)
            for before, after in itertools.pairwise(steps):
                assert after in ALLOWED[before], (execution_id, history)
            if execution_id in removed:
                assert steps[-1].value in FINAL, (execution_id, history)
            else:
                assert steps[-1].value == statuses[execution_id], (execution_id, history)

    def removed(self) -> set[str]:
        """Return the ids of the executions that were deleted."""
        rows = self.rows("SELECT subject FROM events WHERE kind = 'execution.deleted'")
        return {id_of(subject) for (subject,) in rows}

    def begun(self) -> Counter[str]:
        """Return how often the script of each execution began."""
        return Counter(self.witness.read_text(encoding='ascii').split())

    def rows(self, query: str) -> list[Any]:
        """Read from the database; nothing where there is none yet."""
        path = self.state_dir / 'gateway.sqlite3'
        if not path.exists():
            return []
        uri = f'file:{path}?mode=ro'
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=20)) as connection:
            return connection.execute(query).fetchall()

    def wishes(self) -> dict[Wish, int]:
        """Return what a client may do, each with how likely it is."""
        return {self._start: 85, self._stop: 15}

    def _be_client(self, api: GatewayProcess, over: threading.Event, seed: float) -> None:
        """Do this and that until it is over."""
        chance, wishes = random.Random(seed), self.wishes()
        while not over.is_set():
            (wish,) = chance.choices([*wishes], [*wishes.values()])
            try:
                wish(api, chance)
            except (OSError, http.client.HTTPException):
                # Killed before it answered: nothing was promised.
                over.wait(0.02)
            over.wait(chance.uniform(0, self.longest_pause_sec))

    def _start(self, api: GatewayProcess, chance: random.Random) -> None:
        entity, script_id = chance.choice(
            [(entity, script_id) for (entity, _), script_id in self.script_ids.items()]
        )
        execution_type = chance.choice(TYPES)
        if execution_type in RECURRING:
            self.told.recurring += 1
            if self.told.recurring > MAX_SCHEDULES:
                execution_type = 'once_on_restart'
        parameters = {
            'witness': str(self.witness),
            'seconds': round(chance.uniform(0, 2), 2),
        }
        answer = api.request(
            'POST',
            f'/{entity}/scripts/{script_id}/executions',
            json_body={'execution_type': execution_type, 'parameters': parameters},
        )
        if answer.status == 202:
            href = str(answer.body['href'])
            own_schedule = href if execution_type == 'on_restart' else None
            self.told.started.append(
                Acknowledged(
                    href=href,
                    execution_type=execution_type,
                    life=len(self.served) - 1,
                    schedule=answer.body.get('schedule', own_schedule),
                )
            )
        else:
            self.told.refused.append(answer)

    def _stop(self, api: GatewayProcess, chance: random.Random) -> None:
        candidates = [each for each in self.told.started[-10:] if each.execution_type == 'now']
        if not candidates:
            return
        chosen = chance.choice(candidates)
        action = chance.choice(('stop', 'forced_termination'))
        self.told.stop_asked.add(chosen.id)
        answer = api.request('PUT', chosen.href, json_body={'action': action})
        if answer.status == 200:
            self.told.stopped.add(chosen.id)
        elif answer.status != 409:
            self.told.refused.append(answer)


def id_of(href: str) -> str:
    """Return the id of the execution at `href`."""
    return href.rpartition('/')[2]


def _reap_orphans() -> None:
    """Reap what came to this process when its gateway died, as init would."""
    for entry in descendants(os.getpid()):
        if entry.is_zombie and entry.parent == os.getpid():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(entry.pid, os.WNOHANG)
