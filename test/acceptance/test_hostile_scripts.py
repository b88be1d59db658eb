# SPDX-License-Identifier: Apache-2.0
"""Scripts that hang, fork, flood and kill, through the API of one gateway.

Each ends as it should; meanwhile every answer comes at once; afterwards nothing of it is left.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
import importlib.util
import json
import os
from pathlib import Path
import resource
import signal
import threading
from typing import Any

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import Answer
from helper_processes import SPARE, SUPERVISOR
from hostile_support import answering, assert_holds, GRACE_SEC, Ground, ground_on, SLACK

from gateway_node.child.process_tree import descendants, read_entry

MORE_MEMORY_MB = 8
"""What a gateway may hold more after all of this; the floods alone wrote 2 GB."""
DEFAULT_FILE_SIZE_MB = 2.5
MANAGED = {
    'missing_interpreter': '#!/nowhere/python9\n',
    'no_first_line': 'echo no first line\n',
    'not_executable': '#!/bin/sh\necho never\n',
}


@pytest.fixture(scope='module', params=[True, pytest.param(False, marks=pytest.mark.slow)])
def ground(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    """Serve one gateway to all tests of this file; in the end its memory is back.

    Python scripts start warm; in the long form all is done again with those that start cold.
    """
    folder = tmp_path_factory.mktemp('gateway')
    parameters = {
        'python.warm': request.param,
        'scripts.manifest': managed_scripts(folder),
        'default_limits.file_size_mb': DEFAULT_FILE_SIZE_MB,
    }
    with ground_on(folder, parameters) as ground:
        # The largest answers that there are, as many as there are threads that read them: what
        # Python keeps for them is no leak.
        href = ground.started('yes | head -c 9000000; yes | head -c 9000000 >&2\n')
        ground.ended(href)
        with ThreadPoolExecutor(max_workers=8) as clients:
            list(clients.map(ground.api.body, [href] * 64))
        before = ground.resident_mb()
        yield ground
        wait_for(
            ground.resident_mb,
            lambda after: after < before + MORE_MEMORY_MB,
            what=f'resident memory is back at {before:.1f} MiB',
        )


def managed_scripts(folder: Path) -> str:
    """Write a manifest of executables that cannot be executed; return its path."""
    entries = []
    for name, content in MANAGED.items():
        (folder / name).write_text(content, encoding='utf-8')
        (folder / name).chmod(0o700)
        entries.append(
            {'id': name, 'path': name, 'kind': 'executable', 'entities': 'components/*'}
        )
    manifest = folder / 'scripts.yaml'
    manifest.write_text(json.dumps({'scripts': entries}), encoding='utf-8')
    return str(manifest)


@pytest.fixture(autouse=True)
def watched(ground: Ground, record_property: Any) -> Iterator[None]:
    """Ask for /health throughout; afterwards nothing is left of the test's scripts."""
    with answering(ground.api) as prober:
        yield
    record_property('health', prober.story)
    ground.wait_settled()
    ground.check_world()


@pytest.mark.parametrize(
    ('name', 'number'),
    [
        ('double_forked_daemon.sh', signal.SIGTERM),
        ('daemon_without_environment.py', signal.SIGTERM),
        ('ignores_sigterm.sh', signal.SIGKILL),
        ('stops_itself.sh', signal.SIGTERM),
        ('stops_its_supervisor.sh', signal.SIGTERM),
    ],
)
def test_a_stop_reaches_everything(ground: Ground, name: str, number: int) -> None:
    """Daemons, the deaf and the stopped: `terminated`, and none of the tree lives."""
    href = ground.up(name)
    answer = ground.stop(href)
    assert answer['status'] == 'terminated' or answer['terminating']
    ended = ground.ended(href)
    assert_holds(ended, {'status': 'terminated', 'signal': int(number)})
    assert_holds(ended, {'stop_trigger': {'type': 'manual', 'setting': 'stop'}})
    assert 'error' not in ended
    assert ended['output']['stdout'] == 'up\n'


def test_a_stopped_script_is_continued_to_hear_of_its_end(ground: Ground) -> None:
    """SIGCONT follows SIGTERM: long before the grace period is over it has ended in its way."""
    content = 'trap "echo bye; exit 3" TERM\necho up\nkill -STOP $$\nsleep 60 &\nwait\n'
    href = ground.up(content)
    ground.stop(href)
    assert_holds(ground.ended(href), {'status': 'terminated', 'output': {'stdout': 'up\nbye\n'}})


def test_a_result_that_no_client_could_read_is_said_and_told_as_text(ground: Ground) -> None:
    """Nested 985 deep, given and printed: the execution is completed, and readable for ever."""
    content = (
        'many() { head -c 985 /dev/zero | tr "\\0" "$1"; }\n'
        'deep() { printf \'{"a":\'; many "["; many "]"; printf "}"; }\n'
        'deep > "$GATEWAY_RESULT"\n'
        'deep\n'
    )
    ended = ground.ended(ground.started(content))
    text = '{"a":' + '[' * 985 + ']' * 985 + '}'
    parameters = {'stdout': text, 'stderr': '', 'exit_code': 0}
    assert_holds(ended, {'status': 'completed', 'parameters': parameters})
    given, printed = ended['warnings']
    assert given.startswith("the script's result is nested deeper than 64 levels, at /a/0/0")
    assert printed.startswith('the JSON object on stdout is nested deeper than 64 levels, at /a/0')
    assert printed.endswith('; it is told as text')


@pytest.mark.parametrize(
    ('name', 'number'), [('waits.sh', signal.SIGTERM), ('ignores_sigterm.sh', signal.SIGKILL)]
)
def test_a_script_does_not_outlast_its_timeout(ground: Ground, name: str, number: int) -> None:
    """`failed`, with the limit, who stopped it, and what it wrote."""
    ended = ground.ended(ground.started(name, timeout_sec=0.4))
    assert_holds(ended, {'status': 'failed', 'signal': int(number)})
    assert_holds(ended, {'stop_trigger': {'type': 'system', 'setting': 'timeout'}})
    assert_holds(
        ended,
        {
            'error': {
                'error_code': 'vendor-error',
                'vendor_code': 'x-gateway-timeout',
                'parameters': {'timeout_sec': 0.4, 'signal': int(number)},
            }
        },
    )
    assert 400 <= ended['duration_ms'] < SLACK * (0.4 + GRACE_SEC) * 1000


def test_a_start_may_give_a_shorter_timeout(ground: Ground) -> None:
    """The script sets none; a start that gives more than it may have is refused with the limit."""
    script_id = ground.upload('waits.sh')
    ended = ground.ended(ground.api.start(ground.entity, script_id, timeout_sec=0.4))
    assert_holds(ended, {'status': 'failed', 'timeout_sec': 0.4})
    assert_holds(ended, {'error': {'vendor_code': 'x-gateway-timeout'}})
    refused = ground.api.request(
        'POST',
        f'/{ground.entity}/scripts/{script_id}/executions',
        json_body={'execution_type': 'now', 'timeout_sec': 60.5},
    )
    assert_holds(refused.body, {'error_code': 'invalid-parameter'})
    reason = 'is 60.5; allowed: at most 60 (scripts.default_timeout_sec)'
    assert refused.body['parameters'] == {
        'violations': [{'path': '/body/timeout_sec', 'reason': reason}]
    }


def test_a_script_that_closes_its_output_is_waited_for(ground: Ground) -> None:
    """The end of a pipe is not the end of a script."""
    ended = ground.ended(ground.started('closes_its_output.sh'))
    assert_holds(ended, {'status': 'failed', 'exit_code': 5, 'leftover_processes': 0})
    assert_holds(ended, {'error': {'vendor_code': 'x-gateway-script-failed'}})
    assert ended['duration_ms'] >= 1000


@pytest.mark.parametrize(
    ('name', 'leftovers'),
    [
        ('leaves_a_child_with_the_pipe.sh', 1),
        ('leaves_orphans.py', 300),
        ('leaves_zombies.py', 0),
    ],
)
def test_what_outlives_a_script_is_ended_and_counted(
    ground: Ground, name: str, leftovers: int
) -> None:
    """The end of a script is not the end of its pipe; zombies need no end."""
    ended = ground.ended(ground.started(name))
    assert_holds(ended, {'status': 'completed', 'exit_code': 0, 'leftover_processes': leftovers})


def test_two_gigabytes_of_output_cost_no_memory(ground: Ground) -> None:
    """Head and tail are kept, on disk and in the supervisor's memory nothing grows."""
    href = ground.started('floods_stdout.sh')
    ground.api.wait_for_status(href, 'running')
    (supervisor,) = (e.pid for e in descendants(ground.api.process.pid) if e.name == SUPERVISOR)
    pages: list[int] = []

    def is_through() -> bool:
        entry = read_entry(supervisor)
        if entry is not None:
            pages.append(entry.resident_pages)
        return entry is None or entry.name == SPARE

    wait_for(is_through, bool, what='the supervisor is through')
    ended = ground.ended(href)
    assert_holds(ended, {'status': 'completed', 'exit_code': 0})
    dropped, shown = 2_000_000_000 - 2 * 65536, 'y\n' * 32768
    assert ended['output']['dropped_bytes'] == dropped
    assert ended['output']['stdout'] == f'{shown}\n[... {dropped} bytes dropped ...]\n{shown}'
    assert 0 < max(pages) * resource.getpagesize() < 64 * 1024 * 1024
    folder = ground.state / 'executions' / ended['id']
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4 * 1024 * 1024


@pytest.mark.parametrize(
    ('name', 'said'),
    [
        ('floods_progress.py', {'progress': 77}),
        ('chats.py', {'progress': 100, 'progress_message': 'done'}),
        ('talks_nonsense.py', {'progress': 42, 'progress_message': 'understood'}),
    ],
)
def test_nothing_on_the_progress_channel_does_harm(
    ground: Ground, name: str, said: dict[str, Any]
) -> None:
    """Floods and nonsense are passed over, what was said last stays."""
    assert_holds(ground.ended(ground.started(name)), {'status': 'completed', **said})


@pytest.mark.parametrize(
    ('name', 'limits', 'vendor_code'),
    [
        ('hogs_memory.py', {'memory_mb': 100}, 'memory'),
        ('hogs_memory_in_eight.py', {'memory_mb': 200}, 'memory'),
        ('burns_cpu_in_children.sh', {'cpu_sec': 1}, 'cpu'),
        ('bombs.py', {'processes': 50}, 'processes'),
        ('opens_all_files.py', {'open_files': 64}, 'open-files'),
        ('writes_a_large_file.sh', {'file_size_mb': 2}, 'file-size'),
        ('writes_a_large_file.py', {'file_size_mb': 2}, 'file-size'),
        ('floods_stdout.sh', {'output_mb': 1}, 'output'),
    ],
)
def test_a_limit_that_is_reached_ends_the_script_and_is_named(
    ground: Ground, name: str, limits: dict[str, float], vendor_code: str
) -> None:
    """The error names the limit, its value and what was used."""
    ended = ground.ended(ground.started(name, limits=limits))
    ((limit, value),) = limits.items()
    assert_holds(
        ended,
        {
            'status': 'failed',
            'error': {
                'error_code': 'vendor-error',
                'vendor_code': f'x-gateway-limit-{vendor_code}',
                'parameters': {'limit': limit, 'value': value},
            },
            'stop_trigger': {'type': 'system', 'setting': limit},
        },
    )
    assert ended['error']['parameters']['used'] >= value
    assert ended['duration_ms'] < SLACK * 3000
    used = ended['resource_use']
    assert used['max_memory_bytes'] >= limits.get('memory_mb', 0) * 1024 * 1024
    assert used['cpu_sec'] >= limits.get('cpu_sec', 0)


def test_a_script_without_a_limit_of_its_own_has_the_default_one(ground: Ground) -> None:
    """A limit of its own takes the default's place, be it lower or higher."""
    content = 'head -c 3M /dev/zero > large\n'
    ended = ground.ended(ground.started(content))
    assert_holds(ended, {'error': {'vendor_code': 'x-gateway-limit-file-size'}})
    assert_holds(ended['error'], {'parameters': {'value': DEFAULT_FILE_SIZE_MB}})
    lower = ground.ended(ground.started(content, limits={'file_size_mb': 2}))
    assert_holds(lower['error'], {'parameters': {'value': 2}})
    higher = ground.ended(ground.started(content, limits={'file_size_mb': 4}))
    assert_holds(higher, {'status': 'completed'})


def test_limits_that_are_not_reached_change_nothing(ground: Ground) -> None:
    """What the whole tree used is recorded, of children too."""
    limits = {'cpu_sec': 60, 'memory_mb': 500, 'processes': 200, 'open_files': 6000}
    limits |= {'file_size_mb': 100, 'output_mb': 10}
    ended = ground.ended(ground.started('writes_a_large_file.py', limits=limits))
    assert_holds(ended, {'status': 'completed', 'exit_code': 0})
    href = ground.up('hogs_memory_in_eight.py', limits=limits)
    (supervisor,) = (e.pid for e in descendants(ground.api.process.pid) if e.name == SUPERVISOR)
    before = times_asleep(supervisor)
    wait_for(
        lambda: times_asleep(supervisor), lambda now: now >= before + 5, what='a look at its use'
    )
    ground.stop(href)
    ended = ground.ended(href)
    assert_holds(ended, {'status': 'terminated'})
    assert ended['resource_use']['max_memory_bytes'] > 400 * 1024 * 1024
    assert ended['resource_use']['cpu_sec'] > 0.05


def times_asleep(supervisor: int) -> int:
    """Return how often it has gone to sleep: beside a script that says nothing, once between two
    looks at what that uses (man 5 proc_pid_status)."""
    status = Path(f'/proc/{supervisor}/status').read_text(encoding='utf-8')
    (line,) = (each for each in status.splitlines() if each.startswith('voluntary_ctxt'))
    return int(line.split()[1])


@pytest.mark.parametrize(
    'name', ['kills_its_supervisor.sh', 'stops_the_spawner.sh', 'kills_spawner_and_supervisor.sh']
)
def test_a_script_that_ends_its_supervisor_does_not_survive_it(ground: Ground, name: str) -> None:
    """Whoever is the next one up ends the tree, the execution says so, and starts work."""
    before = ground.spawner()
    ended = ground.ended(ground.started(name))
    assert_holds(
        ended, {'status': 'failed', 'error': {'vendor_code': 'x-gateway-supervisor-lost'}}
    )
    assert (ground.spawner() == before) is (name != 'kills_spawner_and_supervisor.sh')
    assert ground.ended(start_patiently(ground, 'exit 0\n'))['status'] == 'completed'


def test_a_script_that_kills_the_spawner_goes_on(ground: Ground) -> None:
    """Running supervisors do without the spawner; another one is started, and starts work."""
    before = ground.spawner()
    other = ground.up('echo up\nsleep 1\nexit 8\n')
    ended = ground.ended(ground.started('kills_the_spawner.sh'))
    assert_holds(ended, {'status': 'failed', 'exit_code': 6})
    assert_holds(ended, {'error': {'vendor_code': 'x-gateway-script-failed'}})
    assert_holds(ground.ended(other), {'status': 'failed', 'exit_code': 8})
    assert ground.spawner() != before
    assert ground.ended(start_patiently(ground, 'exit 0\n'))['status'] == 'completed'


def start_patiently(ground: Ground, script: str) -> str:
    """Start a script as soon as the gateway takes it; refusals must say when to come again."""
    answer = wait_for(
        lambda: start(ground, ground.upload(script)),
        lambda answer: answer.status != 503,
        what='a start is taken',
    )
    assert answer.status == 202, answer
    return str(answer.body['href'])


def start(ground: Ground, script_id: str) -> Answer:
    """Start an execution; return the answer, which is well-formed where it is a refusal."""
    path = f'/{ground.entity}/scripts/{script_id}/executions'
    answer = ground.api.request('POST', path, json_body={'execution_type': 'now'})
    if answer.status == 503:
        assert answer.body['vendor_code'] == 'x-gateway-runner-unavailable'
        assert int(answer.headers['retry-after']) > 0
    return answer


def test_without_a_spawner_starts_are_refused_or_work(ground: Ground) -> None:
    """While it is down a start is 503 and leaves no record; what runs is not affected."""
    running = ground.up('echo up\nsleep 600\n')
    script_id = ground.upload('exit 0\n')
    os.kill(ground.spawner(), signal.SIGKILL)
    answers = [start(ground, script_id) for _ in range(20)]
    assert {answer.status for answer in answers} <= {202, 503}
    taken = [answer.body['href'] for answer in answers if answer.status == 202]
    for href in taken:
        ended = ground.ended(href)
        told = ended.get('error', {}).get('vendor_code')
        assert (ended['status'], told) in {
            ('completed', None),
            ('failed', 'x-gateway-spawn-failed'),
        }
    recorded = ground.api.body(f'/{ground.entity}/scripts/{script_id}/executions')['items']
    assert len(recorded) == len(taken)
    ground.ended(start_patiently(ground, 'exit 0\n'))
    assert ground.api.body(running)['status'] == 'running'
    assert ground.stop(running)['status'] == 'terminated'


def test_many_stops_are_one_stop(ground: Ground) -> None:
    """Twenty stops, one after the other and at once: all 200, one end; after the end 409."""
    href = ground.up('ignores_sigterm.sh')
    answers: list[Answer] = []
    stopping = [
        threading.Thread(
            target=lambda: answers.append(
                ground.api.request('PUT', href, json_body={'action': 'stop'})
            )
        )
        for _ in range(20)
    ]
    for thread in stopping:
        thread.start()
    for thread in stopping:
        thread.join()
    assert [answer.status for answer in answers] == [200] * 20
    ended = ground.ended(href)
    assert_holds(ended, {'status': 'terminated', 'signal': 9})
    for action in ('stop', 'forced_termination'):
        late = ground.api.request('PUT', href, json_body={'action': action})
        assert (late.status, late.body['error_code']) == (409, 'invalid-request')
    assert ground.api.body(href) == ended


def test_a_stop_at_once_is_a_stop(ground: Ground) -> None:
    """Right after the start's answer, whatever had begun by then: `terminated`."""
    script_id = ground.upload('waits.sh')
    for action in ('stop', 'forced_termination') * 5:
        href = ground.api.start(ground.entity, script_id)
        ground.stop(href, action)
        assert_holds(ground.ended(href), {'status': 'terminated'})


def test_twenty_at_once_do_not_mix(ground: Ground) -> None:
    """Each has its own output and its own exit code."""
    script_id = ground.upload('echo "$1"; sleep 0.2; exit "$1"\n')
    hrefs = [ground.api.start(ground.entity, script_id, arguments=[str(n)]) for n in range(1, 21)]
    for number, href in enumerate(hrefs, start=1):
        ended = ground.ended(href)
        assert_holds(ended, {'status': 'failed', 'exit_code': number})
        assert ended['output']['stdout'] == f'{number}\n'


def test_output_is_readable_while_the_script_runs(ground: Ground) -> None:
    """Head and tail before the end, and after a kill all the same."""
    href = ground.started('head -c 2000000 /dev/zero; echo end; printf half >&2; sleep 600\n')
    running = ground.api.wait_for(
        href,
        lambda body: (
            body['output']['stdout'].endswith('end\n') and body['output']['stderr'] == 'half'
        ),
        what='the end of the output',
    )
    assert_holds(running, {'status': 'running', 'output': {'dropped_bytes': 2000004 - 131072}})
    ground.stop(href, 'forced_termination')
    assert_holds(ground.ended(href), {'status': 'terminated', 'output': running['output']})


@pytest.mark.parametrize(
    ('name', 'told'),
    [
        ('missing_interpreter', 'the interpreter that its first line names does not exist'),
        ('no_first_line', 'neither a program for this machine nor a script with a first line'),
        ('not_executable', 'Permission denied'),
    ],
)
def test_what_cannot_be_executed_fails_and_says_why(ground: Ground, name: str, told: str) -> None:
    """`failed` without ever running, and nothing is left on disk but its record."""
    if name == 'not_executable':
        (ground.state.parent / name).chmod(0o600)
    ended = ground.ended(ground.api.start(ground.entity, name))
    assert_holds(ended, {'status': 'failed', 'error': {'vendor_code': 'x-gateway-spawn-failed'}})
    assert told in ended['error']['message']
    assert 'started_at' not in ended
    assert not (ground.state / 'executions' / ended['id']).exists()


# A folder of that name, such as the package's own, has a spec without an origin.
LAUNCH = importlib.util.find_spec('launch')


@pytest.mark.skipif(
    LAUNCH is not None and LAUNCH.origin is not None,
    reason='launch is installed: test_runner_launch.py shows that fragments run',
)
def test_a_launch_fragment_without_launch_is_not_implemented(ground: Ground) -> None:
    """501 at the start, and nothing is recorded."""
    script_id = ground.api.upload(ground.entity, '<launch/>', name='empty.launch.xml')
    path = f'/{ground.entity}/scripts/{script_id}/executions'
    answer = ground.api.request('POST', path, json_body={'execution_type': 'now'})
    assert (answer.status, answer.body['error_code']) == (501, 'not-implemented')
    assert 'launch' in answer.body['message']
    assert ground.api.body(path)['items'] == []
