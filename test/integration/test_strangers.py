# SPDX-License-Identifier: Apache-2.0
"""Whose the processes below the gateway are, when its spawner dies."""

import asyncio
from collections.abc import Iterator
import contextlib
import json
import os
from pathlib import Path
import signal
import subprocess
import sys

from helper_processes import HELPERS, SPAWNER, SUPERVISOR
from import_path import IMPORT_PATH
from orphan_support import orphans_without_spawner
import pytest
from runner_support import HOSTILE, run_id, without_helpers
from waiting import wait_until

from gateway_node.child import killing
from gateway_node.child.process_tree import (
    become_subreaper,
    descendants,
    ProcessEntry,
    read_entry,
    Sent,
)
from gateway_node.process.own_processes import OwnProcesses

PROGRAM = Path(__file__).parent.parent / 'runner_programs' / 'gateway.py'
PATIENCE_SEC = 20.0
EARLIER = run_id(1)
FIRST, LATE = 'sleep 100001', 'sleep 100002'


@contextlib.contextmanager
def gateway_after(
    line: str, state: Path, *scripts: str, environment: dict[str, str] | None = None
) -> Iterator['subprocess.Popen[str]']:
    """Start a gateway in a shell that did something else before; it is `up` when this yields."""
    command = [sys.executable, str(PROGRAM), str(state), *(str(HOSTILE / s) for s in scripts)]
    variables = {'PYTHONPATH': IMPORT_PATH, **(environment or {})}
    become_subreaper()
    with subprocess.Popen(
        ['bash', '-c', f'{line} exec "$@"', 'bash', *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    ) as gateway:
        below = []
        try:
            assert gateway.stdout is not None
            assert gateway.stdout.readline() == 'up\n'
            yield gateway
            below = descendants(gateway.pid)
        finally:
            for entry in below or descendants(gateway.pid):
                # A helper may be gone with the one before.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(entry.pid, signal.SIGKILL)
            gateway.kill()


def below(gateway: 'subprocess.Popen[str]') -> dict[str, ProcessEntry]:
    """Return what there is below the gateway, its helpers left out, by command line."""
    found = [entry for entry in descendants(gateway.pid) if entry.name not in HELPERS]
    return {command_line(entry): entry for entry in found}


def command_line(entry: ProcessEntry) -> str:
    """Return the words of a process, or `zombie`."""
    try:
        words = Path(f'/proc/{entry.pid}/cmdline').read_bytes().split(b'\0')
    except FileNotFoundError:
        return 'gone'
    return b' '.join(words).decode().strip() or 'zombie'


def is_settled(commands: set[str]) -> bool:
    """Tell whether the late stranger is there, and who started it is not even a zombie."""
    return commands >= {FIRST, LATE} and not any('read' in c or c == 'zombie' for c in commands)


async def test_children_from_before_the_gateway_live_when_its_spawner_dies(
    tmp_path: Path,
) -> None:
    """They, and what they leave later, are nobody's business here; all of a script is ended."""
    go = tmp_path / 'go'
    os.mkfifo(go)
    line = f"{FIRST} >&- & sh -c 'read line < {go}; setsid {LATE} >&- & exit' & "
    state = tmp_path / 'state'
    with gateway_after(line, state, 'waits.sh', 'daemon_without_environment.py') as gateway:
        go.write_text('go\n')
        await wait_until(
            lambda: is_settled(set(below(gateway))), what='the stranger that ended is reaped'
        )
        strangers = {below(gateway)[command] for command in (FIRST, LATE)}
        spawner = next(e for e in descendants(gateway.pid) if e.name == SPAWNER)
        supervisors = [e for e in descendants(gateway.pid) if e.name == SUPERVISOR]
        for entry in (spawner, *supervisors):
            os.kill(entry.pid, signal.SIGKILL)
        assert gateway.stdout is not None
        said = {await asyncio.to_thread(gateway.stdout.readline) for _ in range(2)}
        assert said == {f'{run_id(n)} supervisor_lost\n' for n in (1, 2)}
        left = await without_helpers(gateway.pid, descendants(gateway.pid))
        assert {e.identity for e in left} == {e.identity for e in strangers}
        assert set(map(command_line, left)) == {FIRST, LATE}


def sleeping() -> 'subprocess.Popen[bytes]':
    """Start a process that does nothing."""
    return subprocess.Popen(['sleep', '600'])


async def test_a_process_that_is_being_started_is_not_taken_for_an_orphan() -> None:
    """It can be registered only once it exists; until then nobody is judged."""
    own = OwnProcesses()
    with sleeping() as orphan:
        with own.starting():
            started = sleeping()
            ending = asyncio.create_task(orphans_without_spawner(own).end_all())
            await asyncio.wait({ending}, timeout=0.1)
            own.add(started.pid)
        with started:
            async with asyncio.timeout(PATIENCE_SEC):
                assert (await ending).unkillable == ()
            assert read_entry(orphan.pid) is None
            assert started.poll() is None
            started.kill()


async def test_what_cannot_be_ended_is_named_to_all_that_ask_and_reaped_at_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two executions may have lost their supervisors at once, and nobody knows whose it is."""
    monkeypatch.setattr(killing, 'REFUSED_PATIENCE_SEC', 0.0)
    monkeypatch.setattr(killing, 'signal_all', lambda entries, _: Sent([], list(entries)))
    orphans = orphans_without_spawner(OwnProcesses())
    orphans.note_spawner_lost(['supervisor_1', 'supervisor_2'])
    orphan = sleeping()
    try:
        for _ in range(2):
            (note,) = (await orphans.end_all()).unkillable
            assert (note['pid'], note['permitted']) == (orphan.pid, False)
        orphans.note_gone('supervisor_1')
        orphans.note_gone('supervisor_2')
        assert (await orphans.end_all()).unkillable == ()
        os.kill(orphan.pid, signal.SIGKILL)
        await wait_until(lambda: read_entry(orphan.pid) is None, what='it is reaped')
    finally:
        orphans.close()
        orphan.kill()


def journal(state: Path, execution_id: str, script: ProcessEntry, older_by: int) -> None:
    """Write what an earlier gateway left: an execution whose script had this process's pid."""
    (state / 'open').mkdir(parents=True)
    boot_id = Path('/proc/sys/kernel/random/boot_id').read_text().strip()
    mark = {'pid': script.pid, 'start_ticks': script.start_ticks - older_by}
    entry = {
        'execution_id': execution_id,
        'boot_id': boot_id,
        'supervisor': None,
        'script': mark,
        'cgroup': None,
    }
    (state / 'open' / f'{execution_id}.json').write_text(json.dumps(entry))


@contextlib.contextmanager
def session() -> Iterator[ProcessEntry]:
    """Yield the leader of a session that goes first when memory runs out, as a container's may."""
    adjust = 'echo 900 > /proc/self/oom_score_adj; echo up; exec sleep 600'
    with subprocess.Popen(
        ['sh', '-c', adjust], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b'up\n'
        entry = read_entry(process.pid)
        assert entry is not None
        yield entry
        process.kill()


@pytest.mark.parametrize(('older_by', 'lives'), [(0, False), (1, True)])
def test_a_session_is_a_scripts_only_with_the_scripts_own_leader(
    tmp_path: Path, older_by: int, lives: bool
) -> None:
    """Pids are given again within one boot, as in a container that is started again."""
    with session() as leader:
        journal(tmp_path, EARLIER, leader, older_by)
        with gateway_after('', tmp_path):
            entry = read_entry(leader.pid)
            assert (entry is not None and not entry.is_zombie) == lives


def test_a_gateway_that_a_script_started_does_not_end_its_own_surroundings(
    tmp_path: Path,
) -> None:
    """What it bears itself is no mark of what an earlier gateway left."""
    with session() as leader:
        journal(tmp_path, EARLIER, leader, 1)
        surroundings = {'GATEWAY_EXECUTION_ID': EARLIER}
        with gateway_after(f'{FIRST} >&- & ', tmp_path, environment=surroundings) as gateway:
            assert set(below(gateway)) == {FIRST}
