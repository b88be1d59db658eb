# SPDX-License-Identifier: Apache-2.0
"""What hostile scripts must leave as it was: no process, no descriptor, a gateway that answers."""

from collections.abc import Iterator
import contextlib
from dataclasses import dataclass
import os
from pathlib import Path
import statistics
import threading
import time
from typing import Any

from gateway_process import gateway, GatewayProcess
from helper_processes import SPARE, SPAWNER, without_idle_helpers
from open_descriptors import count_descriptors
from waited_seconds import OWN_THREAD, waited_sec
from waiting import wait_for

from gateway_node.child.contract import WARM_SPAWNER_PROGRAM
from gateway_node.child.process_tree import descendants, read_proc
from gateway_node.process.recovery import has_script_adjustment, read_environment

HOSTILE = Path(__file__).parents[1] / 'integration' / 'hostile'
ANSWER_SEC = 0.2
"""The longest that any answer may take while a script does its worst."""
SLACK = 5
"""How much longer everything may take on a machine that does other things too."""
GRACE_SEC = 0.5
MANY = {
    'scripts.max_concurrent_executions': 50,
    'scripts.max_concurrent_executions_per_entity': 50,
    'scripts.stop_grace_period_sec': GRACE_SEC,
    'scripts.default_timeout_sec': 60,
}
FINAL = ('completed', 'failed', 'terminated')
WORLD = """\
umask; ulimit -a; nice; cat /proc/self/oom_score_adj; ls -A; echo /proc/self/fd/*
exec grep -E '^(Sig(Blk|Ign|Cgt)|Cpus_allowed_list|NoNewPrivs)' /proc/self/status
"""
"""Tells what a script finds, whatever its supervisor has seen before."""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What a gateway holds."""

    descriptors: int
    """But for a channel and a pidfd of each supervisor that waits: there are some for a while."""
    spawner_descriptors: int


class Ground:
    """A gateway for hostile scripts, and where its state is."""

    def __init__(self, api: GatewayProcess, state: Path, *, warm: bool) -> None:
        self.api = api
        self.state = state
        self.entity = f'components/{self._host()}'
        """The gateway's host, which needs no node."""
        wait_for(
            lambda: api.body('/health')['supervision']['warm_interpreter'],
            lambda state: state == ('ready' if warm else 'off'),
            what='Python scripts start as they are to',
        )
        # The first execution opens what stays open.
        self.ended(self.started('echo warm\n'))
        wait_for(
            lambda: [e.name for e in self._below()],
            lambda names: SPARE in names,
            what='a supervisor is ready for the next start',
        )
        self._asks_for_the_world = self.upload(WORLD)
        self._world = self._found_by_a_script()
        self.footprint = self._quiet_footprint()

    def upload(self, script: str, **metadata: Any) -> str:
        """Upload a script of the hostile folder, or a sh script given as text; return its id."""
        name, content = 'check.sh', script
        if not script.endswith('\n'):
            name, content = script, (HOSTILE / script).read_text(encoding='utf-8')
        return self.api.upload(self.entity, content, name=name, **metadata)

    def started(self, script: str, **metadata: Any) -> str:
        """Upload and start a script; return the execution's href."""
        return self.api.start(self.entity, self.upload(script, **metadata))

    def up(self, script: str, **metadata: Any) -> str:
        """Upload and start a script that says `up`, and wait for it; return the href."""
        href = self.started(script, **metadata)
        self.api.wait_for(
            href, lambda body: 'up\n' in body['output']['stdout'], what=f'{script} is up'
        )
        return href

    def stop(self, href: str, action: str = 'stop') -> Any:
        """Stop an execution; return the answer's body."""
        answer = self.api.request('PUT', href, json_body={'action': action})
        assert answer.status == 200, answer
        return answer.body

    def ended(self, href: str) -> Any:
        """Wait for a final status; return the execution."""
        return self.api.wait_for_status(href, *FINAL)

    def spawner(self) -> int:
        """Return the pid of the process that forks supervisors of scripts that start cold; wait
        until there is one."""
        pids = wait_for(
            lambda: [e.pid for e in self._below() if e.name == SPAWNER and not is_warm(e.pid)],
            lambda found: len(found) == 1,
            what='one spawner',
        )
        return int(pids[0])

    def scripts_left(self) -> list[str]:
        """Return the names of living processes of scripts, however they cut their ties.

        They are known by what they inherit: the variables that name this state directory, and
        the out-of-memory adjustment. Whoever left both behind is still below the gateway, or,
        had that lost it too, below this process.
        """
        mark = os.fsencode(self.state)
        below = {e.pid: e.name for e in without_idle_helpers(self._below())}
        # The warm interpreter, and what was forked from it, has the variables of scripts too.
        idle = {e.pid for e in self._below()} - below.keys()
        pids = [int(name) for name in os.listdir('/proc') if name.isdecimal()]
        marked = [p for p in pids if any(mark in v for v in read_environment(p)) and p not in idle]
        living = {e.pid: e.name for e in descendants(os.getpid()) if not e.is_zombie}
        adjusted = {pid: name for pid, name in living.items() if has_script_adjustment(pid)}
        return [*(f'pid {pid}' for pid in marked), *below.values(), *adjusted.values()]

    def wait_settled(self) -> None:
        """Wait until nothing of any script lives and no descriptor more than before is open."""
        wait_for(self.scripts_left, lambda left: left == [], what='every script is gone')
        allowed = self.footprint
        wait_for(
            self._footprint,
            lambda now: (
                now.descriptors <= allowed.descriptors
                and now.spawner_descriptors <= allowed.spawner_descriptors
            ),
            what=f'no more descriptors than {allowed}',
        )

    def check_world(self) -> None:
        """Check that the next script, of the supervisor that was used last, finds what the first
        one found."""
        assert self._found_by_a_script() == self._world

    def resident_mb(self) -> float:
        """Return the gateway's resident memory, in MiB."""
        status = Path(f'/proc/{self.api.process.pid}/status').read_text(encoding='utf-8')
        (line,) = (line for line in status.splitlines() if line.startswith('VmRSS:'))
        return int(line.split()[1]) / 1024

    def _found_by_a_script(self) -> str:
        ended = self.ended(self.api.start(self.entity, self._asks_for_the_world))
        assert ended['status'] == 'completed', ended
        return str(ended['output']['stdout'])

    def _host(self) -> str:
        first = self.api.body('/components')['items'][0]
        assert first['kind'] == 'host'
        return str(first['id'])

    def _below(self) -> list[Any]:
        return [e for e in descendants(self.api.process.pid) if not e.is_zombie]

    def _footprint(self) -> Footprint:
        waiting = [entry for entry in self._below() if entry.name == SPARE]
        return Footprint(
            descriptors=count_descriptors(self.api.process.pid) - 2 * len(waiting),
            spawner_descriptors=count_descriptors(self.spawner()),
        )

    def _quiet_footprint(self) -> Footprint:
        """Return the least of some looks: requests that just ended still show in the first."""
        looks = []
        for _ in range(10):
            looks.append(self._footprint())
            time.sleep(0.02)
        return Footprint(
            descriptors=min(look.descriptors for look in looks),
            spawner_descriptors=min(look.spawner_descriptors for look in looks),
        )


@contextlib.contextmanager
def ground_on(folder: Path, parameters: dict[str, object] | None = None) -> Iterator[Ground]:
    """Start a gateway for hostile scripts; at the end it and all of its tree is gone."""
    # What the C library keeps in an arena for each thread, for its next use, looks like a leak.
    one_arena = {'MALLOC_ARENA_MAX': '1'}
    given = {**MANY, 'python.warm': False, **(parameters or {})}
    with gateway(folder, given, environment=one_arena) as api:
        yield Ground(api, folder / 'state', warm=given['python.warm'] is True)


class Prober(threading.Thread):
    """A client that asks for /health again and again, and notes how long each answer took.

    What the machine let gateway and client wait for a processor does not count.
    """

    def __init__(self, api: GatewayProcess) -> None:
        super().__init__(name='prober')
        self._api = api
        self._enough = threading.Event()
        self._failure: BaseException | None = None
        self.seconds: list[float] = []

    def run(self) -> None:
        """Ask until it is enough."""
        try:
            while not self._enough.wait(0.005):
                begun, waited = time.monotonic(), self._waited_sec()
                self._api.body('/health')
                took, waited = time.monotonic() - begun, self._waited_sec() - waited
                self.seconds.append(took - max(0.0, waited))
        except BaseException as error:
            self._failure = error

    def finish(self) -> None:
        """End; raise where an answer failed."""
        self._enough.set()
        self.join()
        if self._failure is not None:
            raise self._failure

    def _waited_sec(self) -> float:
        """Return how long all threads of both were ready to run and did not (man 5 proc)."""
        folders = [*Path(f'/proc/{self._api.process.pid}/task').iterdir(), OWN_THREAD]
        return sum(map(waited_sec, folders))

    @property
    def story(self) -> str:
        """How the answers were."""
        worst, middle = max(self.seconds), statistics.median(self.seconds)
        return (
            f'{len(self.seconds)} answers, median {middle * 1000:.1f} ms, '
            f'worst {worst * 1000:.0f} ms'
        )


@contextlib.contextmanager
def answering(api: GatewayProcess) -> Iterator[Prober]:
    """Fail where the gateway does not answer at once, all the time."""
    prober = Prober(api)
    prober.start()
    try:
        yield prober
    finally:
        prober.finish()
    assert prober.seconds, 'no answer at all'
    assert max(prober.seconds) < ANSWER_SEC * SLACK, prober.story


def is_warm(pid: int) -> bool:
    """Tell whether a process is the warm interpreter, or was forked from it."""
    return WARM_SPAWNER_PROGRAM.encode() in read_proc(pid, 'cmdline')


def assert_holds(body: Any, expected: dict[str, Any]) -> None:
    """Check that an answer holds these fields, those of objects within it likewise."""
    for name, value in expected.items():
        assert name in body, (name, body)
        if isinstance(value, dict):
            assert_holds(body[name], value)
        else:
            assert body[name] == value, (name, body)
