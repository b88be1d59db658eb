# SPDX-License-Identifier: Apache-2.0
"""Executions that end in every way, again and again, by many clients at once: nothing grows."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
import contextlib
import dataclasses
from dataclasses import dataclass, field
import os
from pathlib import Path
import random
import secrets
import threading
from typing import Any

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from helper_processes import SPARE, SPAWNER
from hostile_support import FINAL, Ground, ground_on, HOSTILE
from open_descriptors import count_descriptors

from gateway_node.child.process_tree import descendants

SEED = 'MIXED_CAMPAIGN_SEED'
CLIENTS = 12
WAIT_SEC = 120
MORE_MEMORY_KB = 8 * 1024
"""What the gateway may hold more: less than 4 KiB for each execution of the long campaign."""
MORE_THREADS = 8
"""The same: pools of threads grow to what was once needed together."""
MORE_HELPER_MEMORY_KB = 512
"""The same for a helper: less than a byte for each script that it has seen through."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A script, and how it ends."""

    content: str
    ends: str
    """The status, or the code of the error where it has one."""
    name: str = 'check.sh'
    often: int = 1
    """How often it is chosen: hardly, where it takes a second or costs a helper."""
    metadata: dict[str, Any] = field(default_factory=dict)
    action: str | None = None
    """What a client asks for while it runs."""
    fields: dict[str, Any] = field(default_factory=dict)
    """What the execution tells besides."""


def hostile(name: str) -> str:
    """Return a script of the hostile folder."""
    return (HOSTILE / name).read_text(encoding='utf-8')


FAILED, LIMIT = 'x-gateway-script-failed', 'x-gateway-limit'
MAKES_A_NODE = """
import rclpy
rclpy.init()
rclpy.create_node('check').destroy_node()
rclpy.shutdown()
"""
LEAVES_A_THREAD_AND_A_CHILD = """
import os, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
if os.fork() == 0:
    os._exit(0)
"""
PYTHON_CASES = tuple(
    Case(name='check.py', metadata={'warm': warm, **metadata}, **told)
    for warm in (True, False)
    for metadata, told in (
        ({}, {'content': 'print("hello")\n', 'ends': 'completed', 'often': 3}),
        ({}, {'content': 'raise SystemExit(4)\n', 'ends': FAILED, 'fields': {'exit_code': 4}}),
        ({}, {'content': '1 / 0\n', 'ends': FAILED, 'fields': {'exit_code': 1}}),
        ({}, {'content': 'import os\nos.abort()\n', 'ends': FAILED, 'fields': {'signal': 6}}),
        ({}, {'content': MAKES_A_NODE, 'ends': 'completed'}),
        ({}, {'content': LEAVES_A_THREAD_AND_A_CHILD, 'ends': 'completed'}),
        (
            {},
            {
                'content': 'import time\ntime.sleep(60)\n',
                'ends': 'terminated',
                'action': 'stop',
            },
        ),
        (
            {'limits': {'open_files': 64}},
            {'content': hostile('opens_all_files.py'), 'ends': f'{LIMIT}-open-files'},
        ),
    )
)
"""Each both ways: forked from the warm interpreter, and in one of their own."""
CASES = (
    Case(content='exit 0\n', ends='completed', often=20, fields={'exit_code': 0}),
    Case(content='echo hello; echo there >&2\n', ends='completed', often=10),
    Case(content='exit 3\n', ends=FAILED, often=10, fields={'exit_code': 3}),
    Case(content='kill -SEGV $$\n', ends=FAILED, often=5, fields={'signal': 11}),
    Case(content='kill -KILL $$\n', ends=FAILED, often=5, fields={'signal': 9}),
    Case(content='head -c 300000 /dev/zero | tr "\\0" x\n', ends='completed', often=3),
    Case(content='echo 50 >&3; echo "{}" > "$GATEWAY_RESULT"\n', ends='completed', often=5),
    Case(content='touch left; mkfifo pipe; mkdir -p a/b/c\n', ends='completed', often=5),
    Case(content='exec >&- 2>&- 3>&-; exit 5\n', ends=FAILED, fields={'exit_code': 5}),
    *PYTHON_CASES,
    Case(content='sleep 60\n', ends='terminated', often=5, action='stop'),
    Case(content='sleep 60\n', ends='terminated', often=5, action='forced_termination'),
    Case(content=hostile('double_forked_daemon.sh'), ends='terminated', action='stop'),
    Case(content=hostile('ignores_sigterm.sh'), ends='terminated', action='stop'),
    Case(content='sleep 60\n', ends='x-gateway-timeout', metadata={'timeout_sec': 0.2}),
    Case(content='sleep 60 & exit 0\n', ends='completed', fields={'leftover_processes': 1}),
    Case(content='kill -KILL $PPID; sleep 60\n', ends='x-gateway-supervisor-lost'),
    Case(
        content='head -c 3M /dev/zero > large\n',
        ends=f'{LIMIT}-file-size',
        metadata={'limits': {'file_size_mb': 2}},
    ),
    Case(content='yes\n', ends=f'{LIMIT}-output', metadata={'limits': {'output_mb': 1}}),
)


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a process holds."""

    name: str
    descriptors: int
    threads: int
    memory_kb: int
    """Of its own, not of files."""


def held_by(pid: int, name: str) -> Held:
    """Look at a process (man 5 proc)."""
    folder = Path(f'/proc/{pid}')
    try:
        rollup = (folder / 'smaps_rollup').read_text(encoding='ascii').splitlines()
    except PermissionError:
        pytest.skip('root alone sees how much memory a gateway has of its own')
    (memory_kb,) = (int(line.split()[1]) for line in rollup if line.startswith('Anonymous:'))
    return Held(
        name=name,
        descriptors=count_descriptors(pid),
        threads=len(os.listdir(folder / 'task')),
        memory_kb=memory_kb,
    )


class Campaign:
    """Clients of one gateway that start what they choose, and what holds afterwards."""

    def __init__(self, ground: Ground, seed: int) -> None:
        self.ground = ground
        self.api = ground.api
        self.dice = random.Random(seed)
        self.script_ids = [
            self.api.upload(ground.entity, case.content, name=case.name, **case.metadata)
            for case in CASES
        ]
        self.ends: Counter[str] = Counter()
        self.warm: Counter[bool] = Counter()
        self._counting = threading.Lock()

    def run(self, number: int, *, wait_until_shrunk: bool) -> None:
        """Start every case, and at random until there were so many; each ends as it should."""
        often = [case.often for case in CASES]
        chosen = [*range(len(CASES)), *self.dice.choices(range(len(CASES)), often, k=number)]
        self.dice.shuffle(chosen)
        seeds = [self.dice.random() for _ in chosen]
        with ThreadPoolExecutor(max_workers=CLIENTS) as clients:
            for _ in clients.map(self._execute, chosen, seeds):
                pass
        if wait_until_shrunk:
            wait_for(self.shrunk, bool, what='few helpers')

    def _execute(self, index: int, seed: float) -> None:
        case, dice = CASES[index], random.Random(seed)
        href = (
            self._started_and_waited_for(index)
            if case.action is None
            else self._started_and_asked_to_end(index, case.action, dice)
        )
        ended = self.ground.ended(href)
        how = ended.get('error', {}).get('vendor_code', ended['status'])
        assert how == case.ends, (case, ended)
        for name, value in case.fields.items():
            assert ended[name] == value, (case, ended)
        with self._counting:
            self.ends[how] += 1
            self.warm[ended.get('warm', False)] += 1
        if dice.random() < 0.2:
            assert self.api.request('DELETE', href).status == 204

    def _started_and_waited_for(self, index: int) -> str:
        answer = self.api.request(
            'POST',
            f'/{self.ground.entity}/scripts/{self.script_ids[index]}/executions',
            json_body={'execution_type': 'now'},
            headers={'Prefer': f'wait={WAIT_SEC}'},
        )
        assert answer.status == 200, answer
        return str(answer.body['href'])

    def _started_and_asked_to_end(self, index: int, action: str, dice: random.Random) -> str:
        href = self.api.start(self.ground.entity, self.script_ids[index])
        if dice.random() < 0.5:
            self.api.wait_for_status(href, 'running', *FINAL)
        self.ground.stop(href, action)
        return href

    def held(self) -> dict[int, Held]:
        """Return what each process of the gateway holds, nothing of any script being left."""
        wait_for(self.ground.scripts_left, lambda left: left == [], what='every script is gone')
        below = {e.pid: e.name for e in descendants(self.api.process.pid) if not e.is_zombie}
        found = {}
        for pid, name in below.items():
            # A helper that nobody needs any more may go meanwhile.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found[pid] = held_by(pid, name)
        gateway = held_by(self.api.process.pid, 'gateway')
        # A channel and a pidfd for each supervisor that waits.
        waiting = sum(each.name == SPARE for each in found.values())
        found[self.api.process.pid] = dataclasses.replace(
            gateway, descriptors=gateway.descriptors - 2 * waiting
        )
        return found

    def shrunk(self) -> bool:
        """Tell whether there are as few helpers as there were before anything was started."""
        names = Counter(e.name for e in descendants(self.api.process.pid) if not e.is_zombie)
        return names[SPARE] == names[SPAWNER]


def grown(before: dict[int, Held], after: dict[int, Held]) -> list[str]:
    """Return what grew: each process by itself, and new ones beside those of their name."""
    found = []
    for pid, now in after.items():
        alike = [each for each in before.values() if each.name == now.name]
        if not alike:
            found.append(f'a process of a new name: {now}')
            continue
        more_kb = MORE_MEMORY_KB if now.name == 'gateway' else MORE_HELPER_MEMORY_KB
        allowed = before.get(pid) or max(alike, key=lambda each: each.memory_kb)
        if (
            now.descriptors > max(each.descriptors for each in alike)
            or now.threads > allowed.threads + MORE_THREADS * (now.name == 'gateway')
            or now.memory_kb > allowed.memory_kb + more_kb
        ):
            found.append(f'{allowed} became {now}')
    return found


def campaign(folder: Path, number: int, *, wait_until_shrunk: bool) -> None:
    """Compare what the gateway holds after the second half with what it held after the first."""
    seed = int(os.environ.get(SEED, secrets.randbelow(1_000_000)))
    try:
        with ground_on(folder, {'python.warm': True}) as ground:
            robot = Campaign(ground, seed)
            robot.run(number // 2, wait_until_shrunk=wait_until_shrunk)
            before = robot.held()
            robot.run(number // 2, wait_until_shrunk=wait_until_shrunk)
            # A connection that has just ended, and a fork that is not named yet, are gone soon.
            wait_for(
                lambda: grown(before, robot.held()), lambda found: found == [], what='nothing grew'
            )
        assert robot.ends.keys() == {case.ends for case in CASES}
        assert robot.warm[True]
    except BaseException as error:
        error.add_note(f'to choose alike again: {SEED}={seed}')
        raise


@pytest.mark.timeout(120)
def test_a_hundred_executions_of_every_kind_leave_nothing(tmp_path: Path) -> None:
    """No process, no descriptor, no thread and no memory more, in any process of the gateway."""
    campaign(tmp_path, 100, wait_until_shrunk=False)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_five_thousand_executions_of_every_kind_leave_nothing(tmp_path: Path) -> None:
    """Nor are there more helpers, once those that were needed together are let go."""
    campaign(tmp_path, 5000, wait_until_shrunk=True)
