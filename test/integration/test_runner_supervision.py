# SPDX-License-Identifier: Apache-2.0
"""The gateway's side of supervision: what is journalled, concluded, read and cleared away."""

import asyncio
from collections.abc import Iterator
import contextlib
import errno
import json
import os
from pathlib import Path
import resource
import signal
import tempfile
from typing import NoReturn

from helper_processes import HELPERS, SPAWNER
import pytest
from runner_support import Floor, floor, floor_on, KEPT, living_descendants, without_helpers
from waiting import wait_until

from gateway_node.child.exposed_files import largest_file_bytes
from gateway_node.child.process_tree import descendants
from gateway_node.executions.errors import RunnerUnavailable
from gateway_node.executions.runner_ports import EndCause
from gateway_node.process import outcomes, spawner_program, supervised_process
from gateway_node.process.journal import Journal, JournalEntry
from gateway_node.process.kept_files import read_regular
from gateway_node.process.schema_worker import SchemaWorker
from gateway_node.process.spawner_client import SpawnerClient
from gateway_node.process.spawner_program import cold_spawner
from gateway_node.removal import remove_tree
from gateway_node.side_tasks import SideTasks

__all__ = ['floor']


async def test_an_end_is_told_again_until_it_is_acknowledged(tmp_path: Path) -> None:
    """What no gateway recorded is told by each recovery; what one recorded by none."""
    async with floor_on(tmp_path) as first:
        noted = first.order(first.script('exit 0'))
        forgotten = first.order(first.script('exit 3'))
        for order in (noted, forgotten):
            await first.run(order)
        first.runner.acknowledge([noted.execution_id])
    for _ in range(2):
        async with floor_on(tmp_path) as later:
            outcomes = await later.runner.recover()
            assert list(outcomes) == [forgotten.execution_id]
            outcome = outcomes[forgotten.execution_id]
            assert (outcome.cause, outcome.exit_code) == (EndCause.EXITED, 3)
    async with floor_on(tmp_path) as last:
        last.runner.acknowledge(await last.runner.recover())
    assert os.listdir(tmp_path / 'state' / 'open') == []


async def test_what_is_kept_is_listed_until_it_is_discarded(floor: Floor) -> None:
    """A discarded execution leaves neither a folder nor a journal entry."""
    orders = [floor.order(floor.script('echo here')) for _ in range(2)]
    for order in orders:
        await floor.run(order)
    first, second = (order.execution_id for order in orders)
    assert await floor.runner.kept() == (first, second)
    await floor.runner.discard(first)
    assert await floor.runner.kept() == (second,)
    await floor.runner.close()
    journal = Journal(floor.folder / 'state')
    journal.open()
    assert list(journal.take_earlier()) == [second]


PATIENCE_SEC = 45.0
TOO_MANY = '[Errno 24] Too many open files'


@pytest.mark.parametrize(
    'line',
    [
        'mkfifo "$GATEWAY_RESULT"',
        'mkfifo $kept/end.json; kill -KILL $PPID',
        'rm $kept/output.head; mkfifo $kept/output.head',
        'ln -sf /dev/zero $kept/output.head',
        'ln -sf /dev/zero "$GATEWAY_RESULT"',
        'mkdir "$GATEWAY_RESULT"',
    ],
)
async def test_what_a_script_puts_in_place_of_a_file_stops_nobody(floor: Floor, line: str) -> None:
    """Pipes, devices and folders where files are expected are read as nothing at all."""
    script = floor.script(f'{KEPT}echo up\n{line}\nexit 0')
    async with asyncio.timeout(PATIENCE_SEC):
        outcome, output = await floor.run(floor.order(script))
    assert outcome.cause is (EndCause.SUPERVISOR_LOST if 'kill' in line else EndCause.EXITED)
    assert outcome.result is None
    assert output.stdout in {'', 'up\n'}


@pytest.mark.parametrize(
    'line',
    [
        'mkfifo $kept/output.head; echo up',
        'ln -s victim $kept/output.head; echo up',
        'mkfifo $kept/output.tail.new; head -c 3000000 /dev/zero; echo up',
        'mkfifo $kept/end.json.new; echo up; kill $$',
    ],
)
async def test_what_a_script_puts_where_its_supervisor_writes_stops_nobody(
    floor: Floor, line: str
) -> None:
    """A pipe would hang the supervisor, and every time limit with it; a link would lead away."""
    order = floor.order(floor.script(KEPT + line), timeout_sec=PATIENCE_SEC)
    async with asyncio.timeout(PATIENCE_SEC):
        outcome, output = await floor.run(order)
    assert outcome.cause is EndCause.EXITED
    assert output.stdout.endswith('up\n')
    assert not (floor.folder / 'state' / 'executions' / order.execution_id / 'victim').exists()


FORGED = {
    'cause': 'exited',
    'exit_code': 0,
    'signal': None,
    'limit': None,
    'duration_sec': 1.0,
    'leftover_processes': 0,
    'unkillable_processes': [],
    'max_memory_bytes': 0,
    'cpu_sec': 0.0,
    'stdout_bytes': 0,
    'progress_garbage': 0,
    'end_asked': False,
}


@pytest.mark.parametrize(
    'end',
    [
        '{}',
        '[]',
        '{',
        '[' * 100_000,
        json.dumps({**FORGED, 'cause': 'boredom'}),
        json.dumps({**FORGED, 'exit_code': 'zero'}),
        json.dumps({**FORGED, 'exit_code': 2**70}),
        json.dumps({**FORGED, 'duration_sec': float('inf')}),
        json.dumps({**FORGED, 'limit': {'name': 'patience', 'value': 1, 'used': 2}}),
        json.dumps({**FORGED, 'unkillable_processes': ['self']}),
    ],
    ids=lambda end: end[:20],
)
async def test_a_lost_supervisor_ends_its_execution_whatever_it_left(
    floor: Floor, end: str
) -> None:
    """An end file that no supervisor wrote is none; the time is the gateway's own measure."""
    forged = floor.folder / 'forged'
    forged.write_text(end)
    script = floor.script(f'{KEPT}cp {forged} "$kept/end.json"; kill -KILL $PPID; sleep 60')
    async with asyncio.timeout(PATIENCE_SEC):
        outcome, _ = await floor.run(floor.order(script))
    assert outcome.cause is EndCause.SUPERVISOR_LOST
    assert outcome.duration_sec is not None
    assert 0 < outcome.duration_sec < PATIENCE_SEC


@pytest.mark.parametrize('error', [TypeError('a list'), ValueError('cause is None')], ids=repr)
async def test_an_end_that_is_not_understood_is_told_as_that(
    floor: Floor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    """The supervisor was not killed, and nobody says so; the log has the traceback at once."""

    def misunderstand(*_: object) -> NoReturn:
        raise error

    for module in (supervised_process, outcomes):
        monkeypatch.setattr(module, 'outcome_of_report', misunderstand)
    order = floor.order(floor.script('echo up'))
    async with asyncio.timeout(PATIENCE_SEC):
        outcome, output = await floor.run(order)
    assert outcome.cause is EndCause.SUPERVISOR_LOST
    assert 'killed' not in outcome.message
    assert outcome.message.endswith('log has the traceback')
    assert output.stdout == 'up\n'
    said = next(record for record in caplog.records if record.exc_info)
    assert said.getMessage() == f'a supervisor was not understood: execution {order.execution_id}'
    assert said.exc_info is not None
    assert said.exc_info[1] is error


def test_a_folder_without_permissions_is_removed_with_all_below() -> None:
    """The owner may always give himself back what a script took away."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    own = os.geteuid()
    if own == 0:
        os.seteuid(65534)  # root may write whatever the permissions say
    try:
        locked = folder / 'work' / 'locked'
        locked.mkdir(parents=True)
        (locked / 'file').touch()
        locked.chmod(0o000)
        locked.parent.chmod(0o500)
        remove_tree(folder / 'work')
        left = list(folder.iterdir())
    finally:
        os.seteuid(own)
        remove_tree(folder)
    assert left == []


async def test_stopping_the_spawner_and_the_supervisor_puts_off_no_time_limit(
    floor: Floor,
) -> None:
    """The gateway continues the spawner as long as scripts run, the spawner the supervisors."""
    spawner = next(e for e in living_descendants() if e.name == SPAWNER)
    script = floor.script(f'kill -STOP {spawner.pid}; kill -STOP $PPID; sleep 600')
    async with asyncio.timeout(PATIENCE_SEC):
        outcome, _ = await floor.run(floor.order(script, timeout_sec=1.0, grace_sec=0.5))
    assert outcome.cause is EndCause.TIMED_OUT


async def test_a_lost_supervisor_leaves_only_the_output(floor: Floor) -> None:
    """The gateway removes what the supervisor would have removed."""
    # What the supervisor had not yet drained from the pipe dies with it.
    drained = 'until grep -qs up "$kept/output.head"; do sleep 0.01; done'
    order = floor.order(
        floor.script(f'{KEPT}echo up; touch here; {drained}; kill -KILL $PPID; sleep 600')
    )
    _, output = await floor.run(order)
    assert output.stdout == 'up\n'
    folder = floor.folder / 'state' / 'executions' / order.execution_id
    assert os.listdir(folder) == ['output.head']
    supervisors = floor.folder / 'state' / 'supervisors'
    assert not list(supervisors.glob('*/work/here'))


async def test_a_daemon_in_disguise_does_not_outlive_spawner_and_supervisor(floor: Floor) -> None:
    """Whatever became the gateway's child without being started by it is ended and reaped.

    What the gateway started itself lives on: the process that checks schemas.
    """
    schemas = SchemaWorker(own_processes=floor.own_processes)
    await schemas.check_schema({'type': 'object'})
    checks = {entry.pid for entry in living_descendants() if entry.name not in HELPERS}
    spawner = next(e for e in living_descendants() if e.name == SPAWNER)
    disguise = 'echo 900 > /proc/self/oom_score_adj; exec sleep 600'
    script = floor.script(
        f"setsid env -i /bin/sh -c '{disguise}' >/dev/null 2>&1 3>&- & sleep 0.3\n"
        f'kill -KILL {spawner.pid}; sleep 0.2; kill -KILL $PPID; sleep 600'
    )
    async with asyncio.timeout(PATIENCE_SEC):
        outcome, _ = await floor.run(floor.order(script))
    assert outcome.cause is EndCause.SUPERVISOR_LOST
    left = await without_helpers(os.getpid(), descendants(os.getpid()))
    assert {entry.pid for entry in left} == checks
    await schemas.check_schema({'type': 'object'})
    await schemas.close()


async def test_a_spawner_that_dies_again_and_again_is_started_ever_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause doubles with each death, and each start finds a log of bounded size."""
    monkeypatch.setattr('gateway_node.process.spawner_client._RESTART_DELAY_SEC', 0.02)
    monkeypatch.setattr('gateway_node.process.spawner_client._MAX_RESTART_DELAY_SEC', 0.04)
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def note(delay_sec: float) -> None:
        pauses.append(delay_sec)
        await sleep(delay_sec)

    lives = asyncio.Event()

    def die(pid: int) -> None:
        if len(pauses) == 3:
            lives.set()
            return
        log_file.write_bytes(bytes(2 * 1024 * 1024))
        os.kill(pid, signal.SIGKILL)

    monkeypatch.setattr('gateway_node.process.spawner_client.asyncio.sleep', note)
    log_file = tmp_path / 'log'
    spawner = SpawnerClient(
        cold_spawner(),
        log_file,
        on_started=die,
        on_lost=lambda: None,
        side_tasks=SideTasks(),
    )
    await spawner.start()
    async with asyncio.timeout(PATIENCE_SEC):
        await lives.wait()
    await spawner.close()
    assert pauses == [0.02, 0.04, 0.04]
    assert spawner.restarts == 3
    assert log_file.stat().st_size < 1024 * 1024


def nested(folder: Path, depth: int) -> Path:
    """Make a folder that holds another one, and so on; return it."""
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir('d', dir_fd=descriptor)
        below = os.open('d', os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open('file', os.O_CREAT, dir_fd=descriptor))
    os.close(descriptor)
    return folder


def test_folders_are_removed_however_deep_they_are(tmp_path: Path) -> None:
    """Deeper than Python recurses, and than a path may be long."""
    (tmp_path / 'work').mkdir()
    remove_tree(nested(tmp_path / 'work', 3000))
    assert list(tmp_path.iterdir()) == []


def test_a_deep_folder_is_looked_through_for_large_files(tmp_path: Path) -> None:
    """As far as paths reach; beyond that nothing fails."""
    (tmp_path / 'large').write_bytes(bytes(1000))
    try:
        assert largest_file_bytes(str(nested(tmp_path, 3000))) == 1000
    finally:
        remove_tree(tmp_path / 'd')  # pytest cannot


def test_a_link_in_place_of_a_folder_is_removed_and_not_followed(tmp_path: Path) -> None:
    """Neither the link's own target nor those below the folder lose anything."""
    target = tmp_path / 'target'
    target.mkdir(mode=0o755)
    (target / 'kept').mkdir(mode=0o755)
    work = tmp_path / 'work'
    work.symlink_to(target)
    remove_tree(work)
    work.mkdir()
    (work / 'link').symlink_to(target)
    remove_tree(work)
    assert list(tmp_path.iterdir()) == [target]
    assert [path.stat().st_mode & 0o777 for path in (target, target / 'kept')] == [0o755] * 2


async def test_a_defect_in_keeping_the_spawner_is_a_failure_that_is_told(tmp_path: Path) -> None:
    """Nothing could be started any more: whoever owns the side tasks has to end."""
    side_tasks = SideTasks()

    def fail() -> None:
        raise ValueError('a defect')

    spawner = SpawnerClient(
        cold_spawner(),
        tmp_path / 'log',
        on_started=lambda _: None,
        on_lost=fail,
        side_tasks=side_tasks,
    )
    await spawner.start()
    spawner.force_restart()
    async with asyncio.timeout(PATIENCE_SEC):
        failure = await side_tasks.failure()
    assert failure.name == 'keep a spawner alive'
    assert 'a defect' in str(failure)
    await spawner.close()


@pytest.mark.parametrize('name', ['spawner.json', 'supervision.log'])
async def test_a_pipe_among_the_gateways_own_files_hangs_nobody(tmp_path: Path, name: str) -> None:
    """A script can put one there, for the next spawner or the next start."""
    (tmp_path / 'state').mkdir()
    os.mkfifo(tmp_path / 'state' / name)
    async with asyncio.timeout(PATIENCE_SEC), floor_on(tmp_path) as started:
        outcome, _ = await started.run(started.order(started.script('exit 3')))
    assert outcome.exit_code == 3


async def test_a_spawner_that_is_stopped_before_it_is_ready_comes_up(tmp_path: Path) -> None:
    """A script that killed the last one can be as quick as that."""
    spawner = SpawnerClient(
        cold_spawner(),
        tmp_path / 'log',
        on_started=lambda pid: os.kill(pid, signal.SIGSTOP),
        on_lost=lambda: None,
        side_tasks=SideTasks(),
    )
    await spawner.start()
    assert spawner.restarts == 0
    await spawner.close()


HANGS_AT_ITS_SCRIPT = """
import os, time
stat = os.stat
os.stat = lambda path: time.sleep(600) if path.endswith('/silent.sh') else stat(path)
"""


async def test_a_supervisor_that_hangs_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps no time limit in a system call; the gateway does it then, a good while later."""
    monkeypatch.setattr('gateway_node.process.watchdog.KILL_PATIENCE_SEC', 0.1)
    monkeypatch.setattr('gateway_node.process.watchdog._HUNG_SEC', 0.1)
    # Stands for a mount that does not answer: the supervisor looks for the script's file at first.
    program = HANGS_AT_ITS_SCRIPT + spawner_program._PROGRAM
    monkeypatch.setattr(spawner_program, '_PROGRAM', program)
    (tmp_path / 'silent.sh').write_text('exit 0\n')
    async with asyncio.timeout(PATIENCE_SEC), floor_on(tmp_path) as floor:
        script = floor.script(tmp_path / 'silent.sh', managed=True)
        outcome, _ = await floor.run(floor.order(script, timeout_sec=0.2, grace_sec=0.1))
    assert outcome.cause is EndCause.SUPERVISOR_LOST


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """Let this process open nothing for a while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_what_a_script_gave_is_read_once_there_are_descriptors_again(
    tmp_path: Path,
) -> None:
    """A gateway without any left waits for them, and does not take a result for missing."""
    (tmp_path / 'result').write_text('{}')
    with no_descriptors():
        reading = asyncio.create_task(asyncio.to_thread(read_regular, tmp_path / 'result', 100))
        assert not (await asyncio.wait({reading}, timeout=0.2))[0]
    assert await reading == b'{}'


class FullOnceBegun(Journal):
    """A journal on a disk that is full once the script has begun."""

    def write(self, entry: JournalEntry, instead_of: str | None = None) -> None:
        """Write the entry of a script that has not begun."""
        if entry.script is not None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(entry, instead_of)


async def test_an_execution_goes_on_whose_script_cannot_be_journalled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its supervisor is in the journal; a line in the log tells why the script is not."""
    monkeypatch.setattr('gateway_node.process.runner.Journal', FullOnceBegun)
    async with asyncio.timeout(PATIENCE_SEC), floor_on(tmp_path) as floor:
        told = floor.folder / 'told'
        order = floor.order(floor.script(f'until [ -e {told} ]; do sleep 0.01; done; exit 4'))
        process = await floor.start(order)
        told.touch()
        assert (await process.ended()).exit_code == 4
    line = 'the journal cannot be written, execution goes on: [Errno 28] No space left on device'
    assert [(each.getMessage(), each.exc_info) for each in caplog.records] == [(line, None)]


async def ready(floor: Floor) -> None:
    """Return once scripts can be started."""
    while True:
        with contextlib.suppress(RunnerUnavailable):
            return await floor.runner.ready()
        await asyncio.sleep(0.01)


async def test_a_spawner_is_started_once_there_are_descriptors_again(
    floor: Floor, caplog: pytest.LogCaptureFixture
) -> None:
    """Until then it is tried again and again, a line in the log each time."""
    told = f'the spawner cannot be started, it is tried again: {TOO_MANY}'
    spawner = next(each for each in living_descendants() if each.name == SPAWNER)
    with no_descriptors():
        os.kill(spawner.pid, signal.SIGKILL)
        await wait_until(lambda: caplog.messages.count(told) > 1, what='it is tried again')
    async with asyncio.timeout(PATIENCE_SEC):
        await ready(floor)
    outcome, _ = await floor.run(floor.order(floor.script('exit 4')))
    assert outcome.exit_code == 4
    assert all(record.exc_info is None for record in caplog.records)
