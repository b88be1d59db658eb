# SPDX-License-Identifier: Apache-2.0
"""What is left of scripts when the gateway dies: nothing, and a later gateway knows of it."""

import asyncio
from collections.abc import Callable, Iterator
import contextlib
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from helper_processes import HELPERS, SUPERVISOR
from import_path import IMPORT_PATH
import pytest
from runner_support import HOSTILE, living_descendants, run_id
from waiting import wait_until

from gateway_node.child.output_frames import SHOWN_BYTES
from gateway_node.child.process_tree import become_subreaper, read_entry
from gateway_node.executions.output_lines import OutputLines
from gateway_node.executions.runner_ports import EndCause
from gateway_node.executions.values import Output
from gateway_node.process.own_processes import OwnProcesses
from gateway_node.process.runner import SupervisedScriptRunner
from gateway_node.side_tasks import SideTasks

PROGRAM = Path(__file__).parent.parent / 'runner_programs' / 'gateway.py'
TREE_GONE_SEC = 20.0
ESCAPING = ('waits.sh', 'ignores_sigterm.sh', 'double_forked_daemon.sh')

Gateway = subprocess.Popen[str]


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Return a function that starts a gateway on scripts; nothing may live afterwards."""
    become_subreaper()
    before = [entry.pid for entry in living_descendants()]

    def start(*names: str, timeout_sec: float = 600, records: str = '') -> Gateway:
        environment = {
            **os.environ,
            'TEST_RECORDS': records,
            'PYTHONPATH': IMPORT_PATH,
            'TEST_TIMEOUT_SEC': str(timeout_sec),
        }
        scripts = [str(HOSTILE / name) for name in names]
        gateway = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(tmp_path / 'state'), *scripts],
            # It ends when this does.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        gateways.append(gateway)
        assert gateway.stdout is not None
        assert gateway.stdout.readline() == 'up\n'
        return gateway

    gateways: list[Gateway] = []
    yield start
    for gateway in gateways:
        gateway.kill()
        gateway.wait()
        assert gateway.stdin is not None
        assert gateway.stdout is not None
        gateway.stdin.close()
        gateway.stdout.close()
    deadline = time.monotonic() + TREE_GONE_SEC
    while (left := living_descendants(before)) and time.monotonic() < deadline:
        time.sleep(0.01)
    for entry in left:
        os.kill(entry.pid, signal.SIGKILL)
    assert left == []


def below(gateway: Gateway) -> list[str]:
    """Return the names of what lives below this process, the gateway itself left out."""
    return [entry.name for entry in living_descendants() if entry.pid != gateway.pid]


def supervisors(gateway: Gateway) -> list[int]:
    """Return the pids of the supervisors."""
    return [entry.pid for entry in living_descendants() if entry.name == SUPERVISOR]


async def all_written(state: Path, count: int) -> None:
    """Wait until `count` scripts have written something."""
    await wait_until(
        lambda: sum(f.stat().st_size > 0 for f in state.glob('executions/*/output.head')) == count,
        what='the scripts are up',
    )


async def recover(state: Path) -> dict[str, EndCause]:
    """Start a later gateway's runner; return how the earlier executions ended."""
    runner = SupervisedScriptRunner(state, own_processes=OwnProcesses(), side_tasks=SideTasks())
    await runner.start_up()
    outcomes = await runner.recover()
    runner.acknowledge(outcomes)
    await runner.close()
    return {execution_id: outcome.cause for execution_id, outcome in outcomes.items()}


async def test_a_killed_gateway_leaves_nothing_behind(
    tmp_path: Path, start_gateway: Callable[..., Gateway]
) -> None:
    """Two seconds after the gateway's SIGKILL every tree is gone, daemons included."""
    gateway = start_gateway(*ESCAPING, 'daemon_without_environment.py')
    await all_written(tmp_path / 'state', 3)
    killed = time.monotonic()
    gateway.kill()
    gateway.wait()
    await wait_until(lambda: not below(gateway), what='every tree is gone')
    assert time.monotonic() - killed < TREE_GONE_SEC
    assert await recover(tmp_path / 'state') == dict.fromkeys(
        map(run_id, range(1, 5)), EndCause.GATEWAY_LOST
    )
    assert await recover(tmp_path / 'state') == {}


@pytest.mark.parametrize('supervisor_too', [False, True])
async def test_what_a_script_left_outlives_the_gateway(
    tmp_path: Path, start_gateway: Callable[..., Gateway], supervisor_too: bool
) -> None:
    """And its supervisor: then nobody has moved it when the next gateway comes."""
    state = tmp_path / 'state'
    gateway = start_gateway('leaves_a_file.sh')
    await all_written(state, 1)
    if supervisor_too:
        # Before one can act for another: parents come first.
        helpers = [entry.pid for entry in living_descendants() if entry.name in HELPERS]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in (gateway.pid, *helpers):
                os.kill(pid, number)
    gateway.kill()
    gateway.wait()
    runner = SupervisedScriptRunner(state, own_processes=OwnProcesses(), side_tasks=SideTasks())
    await runner.start_up()
    outcome = (await runner.recover())[run_id(1)]
    assert (outcome.cause, outcome.artifacts, outcome.warnings) == (EndCause.GATEWAY_LOST, 1, ())
    (artifact,) = await runner.artifacts.of(run_id(1))
    assert (artifact.path, artifact.size) == ('log', 5)
    await runner.artifacts.check(run_id(1), [artifact])
    assert await runner.kept_bytes([run_id(1)]) == [outcome.kept_bytes]
    await runner.close()


@pytest.mark.parametrize('records', ['', 'acknowledge', 'acknowledge discard'])
async def test_an_end_that_a_supervisor_still_holds_outlives_the_gateway(
    tmp_path: Path, start_gateway: Callable[..., Gateway], records: str
) -> None:
    """It writes it down when it is left alone; recorded or not, the next gateway finds it, and
    nothing of it stays once that has recorded it."""
    script = tmp_path / 'exits_three.sh'
    script.write_text('exit 3\n')
    gateway = start_gateway(str(script), records=records)
    assert gateway.stdout is not None
    assert gateway.stdout.readline() == f'{run_id(1)} exited\n'
    folder = tmp_path / 'state' / 'executions'
    assert list(folder.iterdir()) == []
    gateway.kill()
    gateway.wait()
    await wait_until(lambda: not below(gateway), what='the supervisors are gone')
    assert os.listdir(folder / run_id(1)) == ['end.json']
    assert await recover(tmp_path / 'state') == {run_id(1): EndCause.EXITED}
    assert [*folder.iterdir(), *(tmp_path / 'state' / 'supervisors').iterdir()] == []


async def test_a_start_right_after_the_kill_waits_for_the_earlier_supervisors(
    tmp_path: Path, start_gateway: Callable[..., Gateway]
) -> None:
    """A gateway that starts 50 ms later ends what the earlier one left, and knows how."""
    gateway = start_gateway('ignores_sigterm.sh', 'waits.sh')
    await all_written(tmp_path / 'state', 1)
    gateway.kill()
    await asyncio.sleep(0.05)
    assert set(await recover(tmp_path / 'state')) == {run_id(1), run_id(2)}
    gateway.wait()
    assert below(gateway) == []


async def test_output_of_the_time_before_the_gateways_death_is_kept(
    tmp_path: Path, start_gateway: Callable[..., Gateway]
) -> None:
    """What the script wrote before can be read by the later gateway."""
    gateway = start_gateway('ignores_sigterm.sh')
    await all_written(tmp_path / 'state', 1)
    gateway.kill()
    runner = SupervisedScriptRunner(
        tmp_path / 'state', own_processes=OwnProcesses(), side_tasks=SideTasks()
    )
    await runner.start_up()
    await runner.recover()
    assert (await runner.outputs.of(run_id(1))).stdout == 'up\n'
    await runner.close()


FLOODS = "head -c 300000 /dev/zero | tr '\\0' x; echo end; : > flooded; exec sleep 600\n"


async def flooded(tmp_path: Path, start_gateway: Callable[..., Gateway]) -> Gateway:
    """Start a gateway on a script that has written more than the disk gets to see of it."""
    script = tmp_path / 'floods.sh'
    script.write_text(FLOODS)
    gateway = start_gateway(str(script))
    supervisors = tmp_path / 'state' / 'supervisors'
    await wait_until(lambda: list(supervisors.glob('*/work/flooded')), what='all is written')
    return gateway


async def recovered_output(state: Path) -> tuple[Output, OutputLines]:
    """Return what a later gateway shows of the output, and its lines."""
    runner = SupervisedScriptRunner(state, own_processes=OwnProcesses(), side_tasks=SideTasks())
    await runner.start_up()
    runner.acknowledge(await runner.recover())
    output = await runner.outputs.of(run_id(1))
    lines = await runner.outputs.lines(run_id(1), limit=10)
    await runner.close()
    assert set(os.listdir(state / 'executions' / run_id(1))) <= {
        'output.head',
        'output.tail',
    }
    return output, lines


async def test_the_tail_survives_the_gateway(
    tmp_path: Path, start_gateway: Callable[..., Gateway]
) -> None:
    """The supervisor writes it when it has ended the tree."""
    gateway = await flooded(tmp_path, start_gateway)
    gateway.kill()
    output, lines = await recovered_output(tmp_path / 'state')
    assert output.stdout.endswith('xend\n')
    assert output.dropped_bytes == 300_004 - 2 * SHOWN_BYTES
    (line,) = lines.lines
    assert (line.number, line.text[-4:], line.whole) == (1, 'xend', False)


async def test_a_tail_that_is_lost_with_all_who_hold_it_is_counted(
    tmp_path: Path, start_gateway: Callable[..., Gateway]
) -> None:
    """The head tells of at least half of what had come by then."""
    gateway = await flooded(tmp_path, start_gateway)
    gateway.send_signal(signal.SIGSTOP)
    for pid in supervisors(gateway):
        os.kill(pid, signal.SIGKILL)
    gateway.kill()
    output, lines = await recovered_output(tmp_path / 'state')
    dropped = output.dropped_bytes
    assert output.stdout == 'x' * SHOWN_BYTES + f'\n[... {dropped} bytes dropped ...]\n'
    in_the_pipe = 65_536
    assert (300_004 - in_the_pipe) / 2 - SHOWN_BYTES <= dropped <= 300_004 - SHOWN_BYTES
    (line,) = lines.lines
    assert line.text == 'x' * SHOWN_BYTES + f' [... {dropped} bytes dropped ...] '


async def test_killed_supervisors_and_a_killed_gateway_leave_nothing_behind(
    tmp_path: Path, start_gateway: Callable[..., Gateway]
) -> None:
    """The spawner ends what the supervisors can no longer end."""
    gateway = start_gateway(*ESCAPING, 'daemon_without_environment.py')
    await all_written(tmp_path / 'state', 3)
    gateway.send_signal(signal.SIGSTOP)
    for pid in supervisors(gateway):
        os.kill(pid, signal.SIGKILL)
    gateway.kill()
    assert len(await recover(tmp_path / 'state')) == 4
    gateway.wait()
    assert below(gateway) == []


async def test_everything_of_the_gateway_killed_leaves_nothing_behind(
    tmp_path: Path, start_gateway: Callable[..., Gateway]
) -> None:
    """Without gateway, spawner and supervisors the later gateway finds what is left."""
    gateway = start_gateway('ignores_sigterm.sh', 'double_forked_daemon.sh')
    await all_written(tmp_path / 'state', 2)
    gateway.send_signal(signal.SIGSTOP)
    helpers = [e.pid for e in living_descendants() if e.name in HELPERS]
    for pid in helpers:
        os.kill(pid, signal.SIGSTOP)
    for pid in (*helpers, gateway.pid):
        os.kill(pid, signal.SIGKILL)
    gateway.wait()
    await wait_until(lambda: SUPERVISOR not in below(gateway), what='the helpers are gone')
    assert 'sleep' in below(gateway)
    assert set(await recover(tmp_path / 'state')) == {run_id(1), run_id(2)}
    assert below(gateway) == []


async def test_a_stopped_gateway_does_not_stop_the_clock(
    tmp_path: Path, start_gateway: Callable[..., Gateway]
) -> None:
    """A time limit is kept while the gateway is stopped; it hears of it afterwards."""
    gateway = start_gateway('waits.sh', timeout_sec=1.0)
    gateway.send_signal(signal.SIGSTOP)
    await wait_until(lambda: not supervisors(gateway), what='the supervisor has ended the script')
    gateway.send_signal(signal.SIGCONT)
    assert gateway.stdout is not None
    assert gateway.stdout.readline() == f'{run_id(1)} timed_out\n'


async def test_a_journal_that_points_at_a_stranger_harms_nobody(tmp_path: Path) -> None:
    """A pid whose start time differs is somebody else's, and is left alone."""
    with stranger() as pid:
        entry = read_entry(pid)
        assert entry is not None
        write_entry(tmp_path, boot_id(), pid, entry.start_ticks + 1)
        assert await recover(tmp_path) == {run_id(1): EndCause.GATEWAY_LOST}
        assert read_entry(pid) is not None


async def test_a_journal_that_names_another_program_harms_nobody(tmp_path: Path) -> None:
    """A process that is no supervisor is left alone, whatever the journal says."""
    with stranger() as pid:
        entry = read_entry(pid)
        assert entry is not None
        write_entry(tmp_path, boot_id(), pid, entry.start_ticks)
        assert await recover(tmp_path) == {run_id(1): EndCause.GATEWAY_LOST}
        assert read_entry(pid) is not None


async def test_a_journal_of_another_boot_harms_nobody(tmp_path: Path) -> None:
    """After a boot nothing is left, and pids mean something else."""
    with stranger() as pid:
        entry = read_entry(pid)
        assert entry is not None
        write_entry(tmp_path, 'another', pid, entry.start_ticks)
        assert await recover(tmp_path) == {run_id(1): EndCause.GATEWAY_LOST}
        assert read_entry(pid) is not None


async def test_a_damaged_journal_does_not_stop_the_start(tmp_path: Path) -> None:
    """An entry that cannot be read is an execution that ended, and a log line."""
    (tmp_path / 'open').mkdir()
    (tmp_path / 'open' / f'{run_id(1)}.json').write_text('{"exec')
    assert await recover(tmp_path) == {run_id(1): EndCause.GATEWAY_LOST}


@contextlib.contextmanager
def stranger() -> Iterator[int]:
    """Start a process that is nobody's script; yield its pid."""
    with subprocess.Popen(['sleep', '600'], start_new_session=True) as process:
        try:
            yield process.pid
            assert process.poll() is None
        finally:
            process.kill()


def boot_id() -> str:
    """Return the machine's boot id."""
    return Path('/proc/sys/kernel/random/boot_id').read_text().strip()


def write_entry(state: Path, boot: str, pid: int, start_ticks: int) -> None:
    """Write a journal entry that names the process as supervisor and as script."""
    (state / 'open').mkdir()
    mark = {'pid': pid, 'start_ticks': start_ticks}
    (state / 'open' / f'{run_id(1)}.json').write_text(
        json.dumps(
            {
                'execution_id': run_id(1),
                'boot_id': boot,
                'supervisor': mark,
                'script': mark,
                'cgroup': None,
            }
        )
    )
