# SPDX-License-Identifier: Apache-2.0
"""A supervisor that is kept: script after script, and nothing of one reaches the next."""

import base64
from collections.abc import Iterator
import json
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
from typing import Any

import pytest
from supervisor_stage import end_file, kept_supervisor, KeptSupervisor

from gateway_node.child.contract import TOLD_OUTPUT_BYTES
from gateway_node.child.messages import AskerNote, EndWish
from gateway_node.child.output_frames import STDERR, STDOUT, unpack_tail
from gateway_node.child.process_tree import read_proc

CLIENT = AskerNote(type='manual', setting='stop', username=None)
NO_LIMITS = dict.fromkeys(
    ('cpu_sec', 'memory_mb', 'processes', 'open_files', 'file_size_mb', 'output_mb')
)
SMALLER_CHANNEL = 'import fcntl; fcntl.fcntl(3, fcntl.F_SETPIPE_SZ, 4096)'
BRIEF_SEC = 0.005
JOIN_KEYRING, KEYRING_TO_PARENT = 1, 18
OTHER_KEYRING = (
    'import ctypes, platform; c = ctypes.CDLL(None).syscall; '
    "n = 250 if platform.machine() == 'x86_64' else 219; "
    f"raise SystemExit(c(n, {JOIN_KEYRING}, b'other') < 0 or c(n, {KEYRING_TO_PARENT}) < 0)"
)
WORLD = """
umask; pwd; ulimit -a; cat /proc/self/oom_score_adj
ls /proc/$$/fd
while read -r line; do
    case $line in Sig[BIC]* | NoNewPrivs* | Seccomp*) echo "$line" ;; esac
done < /proc/$$/status
read _ _ _ _ _ session _ < /proc/$$/stat; [ "$session" = $$ ] && echo leads
read line; echo "$line"; cat; env | sort
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[KeptSupervisor]:
    """Give a supervisor that waits for its first order."""
    with kept_supervisor(tmp_path) as kept:
        yield kept


def without_signals_of_libc(world: str) -> str:
    """Return a world in which signals 32 and 33 are not ignored, those of the C library itself.

    Its posix_spawn leaves them so, here or where who started this process was made by it.
    """
    return re.sub(
        r'(?m)^SigIgn:\t([0-9a-f]{16})$',
        lambda found: f'SigIgn:\t{int(found[1], 16) & ~(3 << 31):016x}',
        world,
    )


def output_of(report: dict[str, Any], stream: int = STDOUT) -> str:
    """Return what a report tells of a stream."""
    _, frames = unpack_tail(base64.b64decode(report['output']))
    return b''.join(frame.content for frame in frames if frame.stream == stream).decode()


def test_scripts_run_one_after_the_other_below_one_supervisor(supervisor: KeptSupervisor) -> None:
    """Each has an end of its own, told in one message with all that it wrote."""
    first = supervisor.run('echo "$PPID"; echo one >&2; exit 3')
    second = supervisor.run('echo "$PPID"; kill -USR1 $$')
    assert output_of(first) == output_of(second) == f'{supervisor.process.pid}\n'
    assert (output_of(first, STDERR), output_of(second, STDERR)) == ('one\n', '')
    assert (first['exit_code'], second['signal']) == (3, signal.SIGUSR1)
    assert first['pid'] != second['pid']
    assert (first['reusable'], second['reusable']) == (True, True)


@pytest.mark.parametrize(
    'change',
    [
        'prlimit --pid $PPID --nofile=90:100',
        'prlimit --pid $PPID --stack=1000000:',
        'renice -n 5 -p $PPID',
        'chrt --batch --pid 0 $PPID',
        'chrt --reset-on-fork --other --pid 0 $PPID',
        'ionice --class 3 --pid $PPID',
        'sleep 0.2; echo 500 > /proc/$PPID/oom_score_adj',
        'echo 127 > /proc/$PPID/coredump_filter',
    ],
)
def test_what_a_script_sets_of_its_supervisor_reaches_no_other(
    supervisor: KeptSupervisor, change: str
) -> None:
    """The next script would inherit it: there is none below this supervisor."""
    assert supervisor.run('true')['reusable'] is True
    directory = supervisor.order(change)
    end = supervisor.hear('ended')
    assert (end['exit_code'], end['reusable']) == (0, False)
    assert end_file(directory)['exit_code'] == 0
    supervisor.wait()
    assert not supervisor.folder.exists()


def test_processors_that_a_script_forbids_are_forbidden_to_no_other(
    supervisor: KeptSupervisor,
) -> None:
    """Affinity is inherited (man 2 sched_setaffinity)."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        pytest.skip('one processor cannot be forbidden')
    end = supervisor.run(f'taskset --pid --cpu-list {processors[0]} $PPID')
    assert (end['exit_code'], end['reusable']) == (0, False)


def test_a_keyring_that_a_script_gives_its_supervisor_reaches_no_other(
    supervisor: KeptSupervisor,
) -> None:
    """With the keys in it; only a direct child can (man 2 KEYCTL_SESSION_TO_PARENT)."""
    end = supervisor.run(f'exec "{sys.executable}" -ISc "{OTHER_KEYRING}"')
    if end['exit_code'] != 0:
        pytest.skip('there are no keyrings, as in a container')
    assert end['reusable'] is False


@pytest.mark.parametrize(
    'change',
    [
        'rm ../progress; echo 5 > ../progress',
        'rm ../progress; mkfifo ../progress',
        'chmod 666 ../progress',
        f'"{sys.executable}" -ISc "{SMALLER_CHANNEL}"',
        'chmod 755 ..',
        'touch ../beside',
        'mkdir ../given_result.json',
        'rmdir ../work; ln -s /tmp ../work',
        'rmdir ../work; mkdir ../work',
        'mkdir within',
        'for n in $(seq 40); do touch $n; done',
        'head -c 2000000 /dev/zero > large',
    ],
)
def test_what_a_script_makes_of_its_place_reaches_no_other(
    supervisor: KeptSupervisor, change: str
) -> None:
    """What is not as it was, or takes long to be so again, serves no second script."""
    end = supervisor.run(change)
    assert (end['exit_code'], end['reusable']) == (0, False)
    supervisor.wait()
    assert not supervisor.folder.exists()


def _run(*argv: str) -> None:
    """Run a program that may find nothing to do."""
    subprocess.run(argv, check=False, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize('put', ['rmdir ../work; ln -s {} ../work', 'mount --bind {} ../work'])
def test_what_a_script_puts_in_place_of_its_working_directory_keeps_its_files(
    supervisor: KeptSupervisor, tmp_path: Path, put: str
) -> None:
    """Only what is in the directory that was made for it is removed."""
    kept = tmp_path / 'kept' / 'file'
    kept.parent.mkdir()
    kept.touch()
    try:
        end = supervisor.run(put.format(kept.parent))
        supervisor.wait()
        assert end['reusable'] is False or end['exit_code'] != 0
        assert kept.exists()
    finally:
        _run('umount', str(supervisor.working_directory))


@pytest.mark.parametrize(
    ('change', 'undo'),
    [
        ('mount --bind .. .. && mount -o remount,ro,bind ..', 'umount {}'),
        ('mount --bind . . && mount -o remount,noexec,bind .', 'umount {}/work'),
        ('chattr +i ..', 'chattr -i {}'),
    ],
)
def test_a_place_that_a_script_of_root_made_of_no_use_reaches_no_other(
    supervisor: KeptSupervisor, change: str, undo: str
) -> None:
    """No permission and no identity of a file tells of it."""
    try:
        end = supervisor.run(change)
        if end['exit_code'] != 0:
            pytest.skip('only root may, on file systems that can')
        assert end['reusable'] is False
        supervisor.wait()
    finally:
        _run(*undo.format(supervisor.folder).split())


def test_a_stranger_with_a_pipe_of_a_script_writes_to_no_other(
    supervisor: KeptSupervisor,
) -> None:
    """As a service that a script called can keep its progress channel open."""
    supervisor.order('while [ ! -e go ]; do sleep 0.02; done')
    supervisor.hear('started')
    with (supervisor.folder / 'progress').open('w'):
        (supervisor.working_directory / 'go').touch()
        assert supervisor.hear('ended')['reusable'] is False


@pytest.mark.parametrize(
    'left',
    [
        'touch left .hidden; mkfifo pipe; ln -s / link',
        'touch left; chmod 0555 .',
        'chmod 0777 .',
    ],
)
def test_each_script_finds_a_working_directory_as_new(
    supervisor: KeptSupervisor, left: str
) -> None:
    """Empty, and only its own user's."""
    assert supervisor.run(left)['reusable'] is True
    found = supervisor.run('pwd; ls -A; stat -c %a .; touch mine && rm mine')
    assert output_of(found) == f'{supervisor.working_directory}\n700\n'
    assert (found['exit_code'], found['reusable']) == (0, True)


@pytest.mark.parametrize('left', ['echo > a', 'mkdir d; echo > d/a', 'mkdir d; echo > a'])
def test_a_supervisor_whose_script_left_files_takes_the_next(
    supervisor: KeptSupervisor, left: str
) -> None:
    """As often as that is so; the next script finds its folder empty."""
    for _ in range(3):
        end = supervisor.run(f'cd "$GATEWAY_ARTIFACTS"; {left}')
        assert (end['artifacts'], end['reusable']) == (1, True)
    assert (
        output_of(supervisor.run('ls -A "$GATEWAY_ARTIFACTS"; stat -c %a "$GATEWAY_ARTIFACTS"'))
        == '700\n'
    )


@pytest.mark.parametrize('mount', ['mount -t tmpfs tmpfs', 'mount --bind {}'])
def test_nothing_is_taken_of_what_is_mounted_in_the_folder_of_artifacts(
    supervisor: KeptSupervisor, tmp_path: Path, mount: str
) -> None:
    """A script of root can do so; what is beside it is kept."""
    mount = mount.format(tmp_path / 'elsewhere')
    (tmp_path / 'elsewhere').mkdir()
    mounted = supervisor.folder / 'artifacts' / 'm'
    content = f'mkdir m && {mount} m && echo > m/a && echo > c'
    try:
        end = supervisor.run(f'cd "$GATEWAY_ARTIFACTS"; {content}')
        if end['exit_code'] != 0:
            pytest.skip('only root may')
        assert end['artifact_complaints'] == ["the artifact 'm' is not kept: it is a mount"]
        assert (end['artifacts'], end['reusable']) == (1, False)
        supervisor.wait()
        assert [path.name for path in mounted.iterdir()] == ['a']
    finally:
        _run('umount', str(mounted))


def test_a_script_has_begun_before_its_output_is_seen(supervisor: KeptSupervisor) -> None:
    """Else a stop of one that was seen at work would call off its start, and kill it at once."""
    for _ in range(300):
        supervisor.order('echo up; read nothing')
        heard = supervisor.hear_all('ended')
        if heard[0]['event'] == 'started' and heard[-1]['duration_sec'] < BRIEF_SEC:
            return
    pytest.fail('of none that ended at once it was told that it had begun')


def test_what_a_script_said_last_is_not_said_of_the_next(supervisor: KeptSupervisor) -> None:
    """Neither progress, be the channel full, nor half a line, nor a result."""
    full = 'yes 7 | dd of=../progress oflag=nonblock 2>&-; printf 55 >&3'
    given = 'echo \'{"of": "the first"}\' > "$GATEWAY_RESULT"'
    first = supervisor.run(f'{full}; {given}')
    assert json.loads(base64.b64decode(first['given_result'])) == {'of': 'the first'}
    assert first['reusable'] is True
    supervisor.order('echo 9 >&3; sleep 0.3; ls -A ..')
    assert supervisor.hear('progress')['percent'] == 9
    second = supervisor.hear('ended')
    assert (second['given_result'], second['given_complaint']) == (None, '')
    assert output_of(second) == 'artifacts\nprogress\nwork\n'
    assert second['progress_garbage'] == 0


def test_a_script_has_the_environment_of_its_own_order(supervisor: KeptSupervisor) -> None:
    """The base is told once and held; what an order adds to it is gone with it."""
    base = {'PATH': os.environ['PATH'], 'BASE': '1', 'BOTH': 'base'}
    first = supervisor.run('env', base_environment=base, environment={'ONE': '1', 'BOTH': 'own'})
    second = supervisor.run('env', environment={'TWO': '2'})
    for report, own, other in ((first, 'ONE=1', 'TWO='), (second, 'TWO=2', 'ONE=')):
        assert 'BASE=1' in output_of(report).splitlines()
        assert own in output_of(report).splitlines()
        assert other not in output_of(report)
    assert 'BOTH=own' in output_of(first)
    assert 'BOTH=base' in output_of(second)


@pytest.mark.parametrize('wish', ['stop', 'kill'])
def test_a_wish_that_came_too_late_ends_no_other_script(
    supervisor: KeptSupervisor, wish: Any
) -> None:
    """It was for the script that had ended meanwhile."""
    assert supervisor.run('true')['reusable'] is True
    supervisor.wish(EndWish(end=wish, asked_by=CLIENT))
    end = supervisor.run('sleep 0.3; exit 4')
    assert (end['exit_code'], end['end_asked'], end['end_asked_by']) == (4, False, None)
    assert end['reusable'] is True


@pytest.mark.parametrize(
    ('script', 'changes'),
    [
        ('sleep 40', {'timeout_sec': 0.2}),
        ('sleep 40 & exit 0', {}),
        ('head -c 200000 /dev/zero', {'limits': {**NO_LIMITS, 'output_mb': 0.1}}),
        (
            "trap '' XFSZ; head -c 2000000 /dev/zero > f",
            {'limits': {**NO_LIMITS, 'file_size_mb': 1}},
        ),
    ],
    ids=['timeout', 'leftover', 'output limit', 'file limit'],
)
def test_a_supervisor_that_ended_something_is_not_used_again(
    supervisor: KeptSupervisor, script: str, changes: dict[str, Any]
) -> None:
    """Only what ended by itself, whole, is a reason to trust what is left."""
    directory = supervisor.order(script, **changes)
    end = supervisor.hear('ended')
    assert end['reusable'] is False
    supervisor.wait()
    assert end_file(directory)['cause'] == end['cause']


def test_a_supervisor_that_was_asked_for_an_end_is_not_used_again(
    supervisor: KeptSupervisor,
) -> None:
    """Be the script gone at the first signal."""
    supervisor.order('sleep 40')
    supervisor.hear('started')
    supervisor.wish(EndWish(end='stop', asked_by=CLIENT))
    assert supervisor.hear('ended')['reusable'] is False
    supervisor.wait()


def test_a_start_that_fails_is_the_last_of_its_supervisor(supervisor: KeptSupervisor) -> None:
    """What was left of it is gone with it."""
    assert supervisor.run('true')['reusable'] is True
    supervisor.order('', argv=['/bin/does_not_exist'])
    assert 'No such file' in supervisor.hear('spawn_failed')['message']
    supervisor.wait()
    assert not supervisor.folder.exists()


def test_a_lost_gateway_finds_the_end_that_it_may_not_have_recorded(
    supervisor: KeptSupervisor,
) -> None:
    """That of the last script alone: an order follows only on an end that is on record."""
    first = supervisor.order('exit 1')
    supervisor.hear('ended')
    given = 'printf "{}" > "$GATEWAY_RESULT"; echo said; exit 2'
    last = supervisor.order(given)
    supervisor.hear('ended')
    assert not (last / 'end.json').exists()
    supervisor.lose_gateway()
    assert not first.exists()
    found = end_file(last)
    assert (found['exit_code'], base64.b64decode(found['given_result'])) == (2, b'{}')
    assert output_of(found) == 'said\n'
    assert not supervisor.folder.exists()


def test_a_gateway_that_needs_it_no_more_has_it_leave_nothing(supervisor: KeptSupervisor) -> None:
    """All ends are on record then."""
    directory = supervisor.order('exit 1')
    supervisor.hear('ended')
    supervisor.dismiss()
    assert not directory.exists()
    assert not supervisor.folder.exists()


def test_a_script_that_writes_nothing_leaves_no_directory(supervisor: KeptSupervisor) -> None:
    """What writes a little has one, and tells all of it with its end; of more it tells nothing."""
    silent = supervisor.order('true')
    assert supervisor.hear('ended')['kept_bytes'] == 0
    assert not silent.exists()
    brief = supervisor.order('echo brief')
    end = supervisor.hear('ended')
    assert os.listdir(brief) == ['output.head']
    assert end['kept_bytes'] == sum(p.stat().st_blocks * 512 for p in (brief, *brief.iterdir()))
    assert supervisor.run(f'head -c {TOLD_OUTPUT_BYTES} /dev/zero')['output'] is not None
    assert supervisor.run(f'head -c {TOLD_OUTPUT_BYTES + 1} /dev/zero')['output'] is None


def test_a_working_directory_that_is_kept_is_moved_away(supervisor: KeptSupervisor) -> None:
    """And the next script has another."""
    directory = supervisor.order('mkdir a; echo left > a/file', keep_working_directory=True)
    end = supervisor.hear('ended')
    assert end['reusable'] is True
    assert (directory / 'work' / 'a' / 'file').read_text() == 'left\n'
    assert output_of(supervisor.run('ls -A')) == ''


def test_a_working_directory_that_cannot_be_kept_costs_the_end_nothing(
    supervisor: KeptSupervisor, tmp_path: Path
) -> None:
    """Nor the output, where nothing can be written either, as on a full disk."""
    (tmp_path / 'barred').touch()
    directory = str(tmp_path / 'barred' / 'exec_0001')
    supervisor.order('echo said', keep_working_directory=True, directory=directory)
    end = supervisor.hear('ended')
    assert (end['exit_code'], end['reusable'], output_of(end)) == (0, False, 'said\n')
    supervisor.wait()


def test_a_script_finds_the_same_world_however_it_was_made(supervisor: KeptSupervisor) -> None:
    """Made without a copy of the supervisor, and by a fork, as limits need it."""
    spawned = output_of(supervisor.run(WORLD))
    limited = supervisor.run(WORLD, limits={**NO_LIMITS, 'cpu_sec': 1000})
    forked = output_of(limited)
    assert limited['reusable'] is True
    assert re.search(r'(?m)^time.* 1002$', forked)
    forked = without_signals_of_libc(forked).replace('1002', 'unlimited')
    assert without_signals_of_libc(spawned) == forked
    assert '\nleads\n{}\n' in spawned
    assert f'0077\n{supervisor.working_directory}\n' in spawned


def test_a_supervisor_is_no_first_victim_of_a_lack_of_memory(supervisor: KeptSupervisor) -> None:
    """It has the adjustment of a script for the moment of a start alone."""
    own = read_proc(os.getpid(), 'oom_score_adj')
    supervisor.order('cat /proc/self/oom_score_adj; cat /proc/$PPID/oom_score_adj')
    assert output_of(supervisor.hear('ended')).encode() == b'800\n' + own


def test_attributes_of_its_place_reach_no_other(supervisor: KeptSupervisor) -> None:
    """Access control lists are such attributes, and are inherited by what is made there."""
    mark = 'import os; os.setxattr("..", "user.mark", b"1")'
    end = supervisor.run(f"'{sys.executable}' -ISc '{mark}'")
    if end['exit_code'] != 0:
        pytest.skip('this file system has no such attributes')
    assert end['reusable'] is False


@pytest.mark.parametrize(
    'done',
    [
        'rm -r {above}/all',
        'rm -r {above}/all; touch {above}/all',
        'rm -r {above}/all; ln -s /does/not/exist {above}/all',
        'rm -r {above}/all; mkdir -m 0000 {above}/all',
        'chmod 0000 {above}/all',
        'touch {folder}/work/from_another',
        'touch {folder}/artifacts/from_another',
        'rmdir {folder}/artifacts; ln -s / {folder}/artifacts',
        'rm {folder}/progress; mkfifo {folder}/progress',
    ],
)
def test_what_another_script_does_to_a_place_that_waits_is_undone(
    tmp_path: Path, done: str
) -> None:
    """Scripts of one user can reach everything of each other; the next start finds it as new."""
    above = tmp_path / 'all'
    above.mkdir()
    with kept_supervisor(above) as kept:
        assert kept.run('true')['reusable'] is True
        subprocess.run(
            ['/bin/sh', '-c', done.format(above=tmp_path, folder=kept.folder)], check=True
        )
        end = kept.run('echo 7 > "$GATEWAY_PROGRESS" && ls -A . ..')
        assert output_of(end).splitlines() == ['.:', '', '..:', 'artifacts', 'progress', 'work']
        assert (end['exit_code'], end['reusable']) == (0, True)
        assert not above.is_symlink()
