# SPDX-License-Identifier: Apache-2.0
"""A supervisor by itself, in moments that cannot be hit from outside."""

import json
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from foreign_processes import AS_OTHER, skip_where_users_cannot_change, UID, WITHOUT_KILL
import pytest

from gateway_node.child.killing import KILL_PATIENCE_SEC
from gateway_node.child.output_frames import SHOWN_BYTES
from gateway_node.child.process_tree import read_entry

PROGRAM = Path(__file__).parent.parent / 'runner_programs' / 'lone_supervisor.py'
PATIENCE_SEC = 60
NO_LIMITS = dict.fromkeys(
    ('cpu_sec', 'memory_mb', 'processes', 'open_files', 'file_size_mb', 'output_mb')
)

HIDES_CHILDREN = """
import contextlib, os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(12):
    pid = os.fork()
    if pid == 0:
        while time.process_time() < 0.3:
            pass
        os._exit(0)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
"""


def supervised(
    folder: Path, script: str, moment: str = '', *, before: tuple[str, ...] = (), **changes: Any
) -> dict[str, Any]:
    """Return a supervisor's report of a shell script; `before` comes before its command."""
    order = {'argv': ['/bin/sh', '-c', script], **changes}
    argv = [*before, sys.executable, str(PROGRAM), str(folder), json.dumps(order), moment]
    with subprocess.Popen(argv) as process:
        try:
            assert process.wait(PATIENCE_SEC) == 0
        finally:
            # Its script goes with it: PR_SET_PDEATHSIG.
            process.kill()
    report: dict[str, Any] = json.loads((folder / 'end.json').read_text())
    return report


def test_a_gateway_that_is_gone_when_it_is_told_something_is_noticed(tmp_path: Path) -> None:
    """However the supervisor learns that the gateway is gone, it ends the tree."""
    report = supervised(tmp_path, 'echo 5 >&3; sleep 40', 'gateway dies')
    assert report['cause'] == 'gateway_lost'
    assert report['signal'] == signal.SIGKILL


@pytest.mark.parametrize('moment', ['ended, then stopped', 'ended, then gateway dies'])
def test_a_script_that_has_ended_has_its_own_end(tmp_path: Path, moment: str) -> None:
    """A stop, or the loss of the gateway, that meets leftovers only is not why it ended."""
    report = supervised(tmp_path, 'sleep 40 & echo 5 >&3; exit 3', moment)
    assert (report['cause'], report['exit_code']) == ('exited', 3)
    assert report['end_asked'] is False
    assert report['leftover_processes'] == 1


def test_a_stop_that_meets_leftovers_only_is_reported_all_the_same(tmp_path: Path) -> None:
    """It was accepted: where no record took that, a later gateway learns it from here."""
    report = supervised(tmp_path, 'sleep 40 & exit 3', 'ended, then stopped')
    assert report['end_asked'] is False
    assert report['end_asked_by'] == {'type': 'manual', 'setting': 'stop', 'username': None}


def test_ten_megabytes_of_output_cost_the_disk_what_is_kept(tmp_path: Path) -> None:
    """All that a supervisor writes, its end file and messages included, is 1.2 times that."""
    script = 'for i in 1 2 3 4; do head -c 2500000 /dev/zero; sleep 0.15; done'
    supervised(tmp_path / 'e', script, 'measured')
    written = re.search(r'^wchar: (\d+)$', (tmp_path / 'e' / 'io').read_text(), re.MULTILINE)
    assert written is not None
    assert 2 * SHOWN_BYTES < int(written[1]) < 1.2 * 2 * SHOWN_BYTES


def test_output_that_is_read_after_the_end_counts(tmp_path: Path) -> None:
    """A script that has written too much has reached its limit, however soon it ended."""
    script = f'head -c {os.sysconf("SC_PAGE_SIZE")} /dev/zero'
    limits = {**NO_LIMITS, 'output_mb': 0.001}
    report = supervised(tmp_path, script, 'ended at once', limits=limits)
    assert report['cause'] == 'limit_reached'
    assert report['limit']['name'] == 'output_mb'


def test_limits_hold_while_a_script_is_given_time_to_end(tmp_path: Path) -> None:
    """After its timeout a script that reaches a limit is killed; the timeout stays the reason."""
    script = "trap '' TERM; sleep 0.5; while :; do head -c 65536 /dev/zero; sleep 0.1; done"
    limits = {**NO_LIMITS, 'output_mb': 0.2}
    report = supervised(tmp_path, script, timeout_sec=0.2, grace_sec=40, limits=limits)
    assert report['cause'] == 'timed_out'
    assert report['signal'] == signal.SIGKILL
    assert report['limit'] is None


def test_children_for_which_nobody_waits_use_cpu_time_too(tmp_path: Path) -> None:
    """A script that ignores SIGCHLD cannot hide what its children use."""
    script = tmp_path / 'hides.py'
    script.write_text(HIDES_CHILDREN)
    argv = [sys.executable, str(script)]
    report = supervised(tmp_path / 'e', '', argv=argv, limits={**NO_LIMITS, 'cpu_sec': 1})
    assert report['cause'] == 'limit_reached'
    assert report['limit']['name'] == 'cpu_sec'
    assert 1 <= report['cpu_sec'] < 1.9


def test_children_that_are_waited_for_count_once(tmp_path: Path) -> None:
    """What a parent has waited for is not counted again as unclaimed."""
    script = tmp_path / 'waits.py'
    script.write_text(HIDES_CHILDREN.replace('SIG_IGN', 'SIG_DFL').replace('12', '6'))
    argv = [sys.executable, str(script)]
    report = supervised(tmp_path / 'e', '', argv=argv, limits={**NO_LIMITS, 'cpu_sec': 30})
    assert report['cause'] == 'exited'
    assert 1.6 < report['cpu_sec'] < 2.2


@pytest.mark.parametrize(
    'changes',
    [{'argv': ['/does/not/exist']}, {'script_file': '/does/not/exist'}],
    ids=['program', 'script'],
)
def test_a_start_that_fails_leaves_nothing(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Without a script there is no working directory and no channel."""
    with pytest.raises(FileNotFoundError, match=r'end\.json'):
        supervised(tmp_path / 'e', '', **changes)
    assert list((tmp_path / 'e').iterdir()) == []


def test_a_directory_that_forbids_it_is_removed() -> None:
    """What a script made without permission to write there is removed all the same."""
    remove = (
        'import os, sys; from gateway_node.removal import remove_tree;'
        'os.geteuid() or os.setuid(65534); remove_tree(sys.argv[1])'
    )
    # Not in tmp_path, which another user than root may not reach.
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / 'work' / 'closed' / 'inner'
        inner.mkdir(parents=True)
        (inner / 'file').touch()
        if os.geteuid() == 0:
            for path in (inner, *inner.parents[:3]):
                os.chown(path, 65534, 65534)
        inner.chmod(0o500)
        inner.parent.chmod(0o000)
        subprocess.run([sys.executable, '-c', remove, f'{folder}/work'], check=True)
        assert list(Path(folder).iterdir()) == []


@pytest.mark.parametrize(('files', 'cause'), [(16, 'exited'), (17, 'limit_reached')])
def test_as_many_open_files_as_allowed_are_allowed(tmp_path: Path, files: int, cause: str) -> None:
    """The limit itself is no transgression, one more is."""
    script = (
        f'import os, time; [os.open("/dev/null", 0) for _ in range({files} - 4)];time.sleep(0.5)'
    )
    argv = [sys.executable, '-IS', '-c', script]
    limits = {**NO_LIMITS, 'open_files': 16}
    report = supervised(tmp_path / 'e', '', argv=argv, limits=limits)
    assert (report['cause'], report['exit_code']) == (
        cause,
        0 if cause == 'exited' else None,
    )


@pytest.mark.parametrize(
    ('script', 'cause'),
    [
        ('exec 5<>"{large}"; printf x >&5; sleep 0.5', 'exited'),
        ('head -c 1048576 /dev/zero >own; exec 5>>own; sleep 0.5', 'exited'),
        ('exec 5>>own; head -c 2000000 /dev/zero >&5 || sleep 40', 'limit_reached'),
        (
            'exec 5>>"{empty}"; sleep 0.5; head -c 2000000 /dev/zero >&5 || sleep 40',
            'limit_reached',
        ),
    ],
    ids=['large before', 'as large as allowed', 'own too large', 'another too large'],
)
def test_only_what_a_script_wrote_counts_as_its_files(
    tmp_path: Path, script: str, cause: str
) -> None:
    """A large file that was there before is not the script's; a file may reach its limit."""
    (tmp_path / 'large').write_bytes(bytes(3 * 1024 * 1024))
    (tmp_path / 'empty').touch()
    script = script.format(large=tmp_path / 'large', empty=tmp_path / 'empty')
    script = f"trap '' XFSZ; {script}"
    report = supervised(tmp_path / 'e', script, limits={**NO_LIMITS, 'file_size_mb': 1})
    assert report['cause'] == cause
    if cause == 'limit_reached':
        assert report['limit']['name'] == 'file_size_mb'


@pytest.mark.parametrize(
    ('moment', 'timeout_sec', 'told'),
    [
        ('hangs', 0.3, 'it had not begun after 0.3 s'),
        ('hangs, then stopped', 60, 'its end was asked for before it had begun'),
    ],
)
def test_a_program_that_does_not_begin_is_given_up(
    tmp_path: Path, moment: str, timeout_sec: float, told: str
) -> None:
    """Where executing it hangs, the time limit holds and the gateway is heard."""
    said = supervised(tmp_path / 'e', '', moment, timeout_sec=timeout_sec)
    assert said['event'] == 'spawn_failed'
    assert told in said['message']
    assert [path.name for path in (tmp_path / 'e').iterdir()] == ['end.json']


def test_only_the_supervisors_own_children_are_put_into_a_cgroup(tmp_path: Path) -> None:
    """A grandchild's pid may be a stranger's when it is written."""
    # A plain directory takes the place of the cgroup: its file holds the pid that came last.
    script = f'sleep 1 & echo $$ > "{tmp_path}/pid"; wait'
    supervised(tmp_path / 'e', script, cgroup=str(tmp_path))
    joined = (tmp_path / 'exec_0001' / 'cgroup.procs').read_text()
    assert joined == (tmp_path / 'pid').read_text().strip()


@pytest.mark.parametrize(
    ('refused', 'cause', 'limit'),
    [
        (0, 'exited', None),
        (1, 'limit_reached', {'name': 'processes', 'value': 4, 'used': 4 * 64 + 1024}),
    ],
)
def test_the_kernel_leaves_room_for_threads_and_names_its_limit(
    tmp_path: Path, refused: int, cause: str, limit: dict[str, Any] | None
) -> None:
    """It counts each as a process; a script that fails as it may have no more is told why."""
    script = f'echo "max {refused}" > "{tmp_path}/exec_0001/pids.events"; exit 1'
    report = supervised(
        tmp_path / 'e',
        script,
        'in a plain leaf',
        cgroup=str(tmp_path),
        limits={**NO_LIMITS, 'processes': 4},
    )
    assert (report['cause'], report['limit']) == (cause, limit)
    assert (tmp_path / 'exec_0001' / 'pids.max').read_text() == str(4 * 64 + 1024)


def test_a_script_that_was_given_up_too_late_is_ended_with_its_children(tmp_path: Path) -> None:
    """It may have begun in the moment in which its end was asked for."""
    script = 'sleep 600 & echo $! > ../../new; mv ../../new ../../begun; wait'
    said = supervised(tmp_path / 'e', script, 'begun, then given up')
    assert said['event'] == 'spawn_failed'
    assert read_entry(int((tmp_path / 'e' / 'begun').read_text())) is None


def test_what_may_not_be_signalled_is_named_at_once(tmp_path: Path) -> None:
    """No patience ends a process of another user, as of a program that sudo started."""
    skip_where_users_cannot_change()
    script = f'{AS_OTHER} sleep 600 & echo $! > ../../pid; wait'
    began = time.monotonic()
    report = supervised(
        tmp_path / 'e', script, before=WITHOUT_KILL, timeout_sec=0.5, grace_sec=0.1
    )
    pid = int((tmp_path / 'e' / 'pid').read_text())
    entry = read_entry(pid)
    assert entry is not None
    os.kill(pid, signal.SIGKILL)
    assert report['cause'] == 'timed_out'
    assert report['unkillable_processes'] == [
        {
            'pid': pid,
            'start_ticks': entry.start_ticks,
            'uid': UID,
            'command': 'sleep 600',
            'permitted': False,
        }
    ]
    assert time.monotonic() - began < KILL_PATIENCE_SEC


def test_what_may_not_be_signalled_may_end_by_itself(tmp_path: Path) -> None:
    """It often does once its kin are gone, and then there is nothing to name."""
    skip_where_users_cannot_change()
    script = f'sleep 600 | {AS_OTHER} cat'
    report = supervised(
        tmp_path / 'e', script, before=WITHOUT_KILL, timeout_sec=0.5, grace_sec=0.1
    )
    assert (report['cause'], report['unkillable_processes']) == ('timed_out', [])


ENDS_ITS_FIRST_THREAD = """
import ctypes, platform, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
ctypes.CDLL(None).syscall({'x86_64': 60}.get(platform.machine(), 93), 0)
"""


def test_a_program_whose_first_thread_has_ended_is_no_zombie(tmp_path: Path) -> None:
    """It looks like one and lives; it gets every signal (man 2 exit: one thread's own end)."""
    argv = [sys.executable, '-c', ENDS_ITS_FIRST_THREAD]
    report = supervised(tmp_path / 'e', '', argv=argv, timeout_sec=1.0, grace_sec=1.0)
    assert (report['cause'], report['signal']) == ('timed_out', signal.SIGTERM)
    assert report['duration_sec'] < KILL_PATIENCE_SEC
