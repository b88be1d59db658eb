# SPDX-License-Identifier: Apache-2.0
"""Scripts under supervision: how they start, what they find, how they end."""

import asyncio
import json
from pathlib import Path
import signal
import stat
import sys
import time

import pytest
from runner_support import DEADLINE_SEC, Floor, floor, living_scripts

from gateway_node.executions.errors import SpawnFailed
from gateway_node.executions.runner_ports import EndCause
from gateway_node.executions.values import StopAction, Trigger, TriggerType
from gateway_node.process.runner import SupervisedScriptRunner
from gateway_node.scripts.errors import ParametersInvalid
from gateway_node.scripts.values import ArgumentDefinition, ScriptKind
from gateway_node.side_tasks import SideTasks

__all__ = ['floor']


@pytest.mark.parametrize(
    ('kind', 'content'),
    [
        (ScriptKind.PYTHON, 'import sys\nprint("out", sys.argv[1])\nsys.exit(3)\n'),
        (ScriptKind.SH, 'echo out $1\nexit 3\n'),
        (ScriptKind.BASH, '[[ -n $1 ]] && echo out $1\nexit 3\n'),
        (ScriptKind.EXECUTABLE, '#!/bin/sh\necho out $1\nexit 3\n'),
    ],
)
async def test_a_script_of_each_kind_runs_with_its_arguments(
    floor: Floor, kind: ScriptKind, content: str
) -> None:
    """The kind decides the interpreter; arguments are argv, the exit code is the script's."""
    outcome, output = await floor.run(floor.order(floor.script(content, kind), arguments=('a',)))
    assert (outcome.cause, outcome.exit_code, outcome.signal) == (EndCause.EXITED, 3, None)
    assert output.stdout == 'out a\n'


async def test_python_scripts_run_with_the_gateways_python(floor: Floor) -> None:
    """Without set-up files the interpreter is the gateway's own, never a shim."""
    script = floor.script('import sys; print(sys.executable)', ScriptKind.PYTHON)
    _, output = await floor.run(floor.order(script))
    assert output.stdout.strip() == sys.executable


async def test_parameters_arrive_on_stdin_and_in_variables(floor: Floor) -> None:
    """All parameters are JSON on stdin, closed after them; scalars are PARAM_* too."""
    parameters = {'max temp': 90.5, 'verbose': True, 'list': [1, {'a': None}]}
    script = floor.script('cat; echo "$PARAM_MAX_TEMP $PARAM_VERBOSE ${PARAM_LIST-unset}"')
    _, output = await floor.run(floor.order(script, parameters=parameters))
    first, second = output.stdout.splitlines()
    assert json.loads(first) == parameters
    assert second == '90.5 true unset'


async def test_the_parameters_on_stdin_are_a_line(floor: Floor) -> None:
    """`read` succeeds: its line has an end."""
    script = floor.script('read -r line && echo "got $line"; read -r more || echo "no more"')
    outcome, output = await floor.run(floor.order(script, parameters={'a': 1}))
    assert (outcome.exit_code, output.stdout) == (0, 'got {"a": 1}\nno more\n')


async def test_a_script_is_told_where_it_is(
    tmp_path: Path, floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PWD is the working directory; what a shell said of itself to the gateway goes no further."""
    for name, value in {'PWD': '/', 'OLDPWD': '/usr', 'SHLVL': '7', '_': '/bin/gateway'}.items():
        monkeypatch.setenv(name, value)
    script = floor.script(
        'import os\nnames = ("OLDPWD", "SHLVL", "_")\n'
        'print(os.environ["PWD"] == os.getcwd(), [os.environ.get(name) for name in names])\n',
        ScriptKind.PYTHON,
    )
    runner = SupervisedScriptRunner(
        tmp_path / 'other', own_processes=floor.own_processes, side_tasks=SideTasks()
    )
    await runner.start_up()
    outcome, output = await Floor(runner, tmp_path, floor.own_processes).run(floor.order(script))
    await runner.close()
    assert (outcome.exit_code, output.stdout) == (0, 'True [None, None, None]\n')


async def test_parameters_of_megabytes_arrive_whole(floor: Floor) -> None:
    """Stdin takes parameters of any size, also where the script never reads them."""
    parameters = {'blob': 'x' * 8_000_000}
    _, output = await floor.run(floor.order(floor.script('wc -c'), parameters=parameters))
    assert int(output.stdout) == len(json.dumps(parameters) + '\n')
    outcome, _ = await floor.run(floor.order(floor.script('exit 0'), parameters=parameters))
    assert outcome.exit_code == 0


async def test_the_script_knows_who_it_is(floor: Floor) -> None:
    """The execution, the entity and the script are in the environment."""
    script = floor.script('echo $GATEWAY_EXECUTION_ID $GATEWAY_ENTITY $GATEWAY_SCRIPT_ID')
    order = floor.order(script)
    _, output = await floor.run(order)
    assert output.stdout == f'{order.execution_id} apps/temp_sensor script_1\n'


async def test_the_script_knows_where_the_gateway_is(floor: Floor) -> None:
    """Once that serves; before, the variable is not there."""
    script = floor.script('echo ${GATEWAY_URL-none}')
    _, output = await floor.run(floor.order(script))
    assert output.stdout == 'none\n'
    floor.runner.serve_at('http://127.0.0.1:8080/api/v1')
    _, output = await floor.run(floor.order(script))
    assert output.stdout == 'http://127.0.0.1:8080/api/v1\n'


async def test_secrets_of_the_gateway_do_not_reach_a_script(
    tmp_path: Path, floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that name secrets are the gateway's own; the script's own variables stay."""
    script = floor.script('env', environment={'SENSOR': 'left'})
    monkeypatch.setenv('FLEET_API_TOKEN', 'hidden')
    runner = SupervisedScriptRunner(
        tmp_path / 'other', own_processes=floor.own_processes, side_tasks=SideTasks()
    )
    await runner.start_up()
    _, output = await Floor(runner, tmp_path, floor.own_processes).run(floor.order(script))
    await runner.close()
    assert 'SENSOR=left' in output.stdout
    assert 'hidden' not in output.stdout


async def test_definitions_make_arguments_of_parameters(floor: Floor) -> None:
    """A managed script's definitions come before the request's arguments."""
    script = floor.script(
        '#!/bin/sh\necho "$@"\n',
        ScriptKind.EXECUTABLE,
        managed=True,
        argument_definitions=(ArgumentDefinition(name='limit', flag='--limit'),),
    )
    order = floor.order(script, parameters={'limit': 5}, arguments=('-v',))
    _, output = await floor.run(order)
    assert output.stdout == '--limit 5 -v\n'


async def test_a_parameter_that_cannot_be_an_argument_is_refused(floor: Floor) -> None:
    """NUL cannot be in an argument: refused before anything is recorded."""
    script = floor.script('', argument_definitions=(ArgumentDefinition(name='name'),))
    with pytest.raises(ParametersInvalid, match='NUL'):
        await floor.runner.vet(floor.order(script, parameters={'name': 'a\0b'}))


async def test_a_scripts_world_is_clean(floor: Floor) -> None:
    """Own empty working directory, umask 077, no core dumps, first to go when memory is short."""
    script = floor.script('pwd; ls -A | wc -l; umask; ulimit -c; cat /proc/self/oom_score_adj')
    order = floor.order(script)
    _, output = await floor.run(order)
    folder, entries, umask, cores, oom = output.stdout.split()
    assert Path(folder).parent.parent == floor.folder / 'state' / 'supervisors'
    assert (entries, umask, cores, oom) == ('0', '0077', '0', '800')


async def test_signals_have_their_default_meaning_in_a_script(floor: Floor) -> None:
    """Python ignores SIGPIPE and SIGXFSZ; a script finds no signal ignored or blocked."""
    script = floor.script('grep -E "^Sig(Blk|Ign):" /proc/self/status')
    _, output = await floor.run(floor.order(script))
    # Signals 32 and 33 are the C library's own (man 7 nptl): no program can set them, and what
    # started the tests may have left them ignored.
    own = ~(1 << 31 | 1 << 32)
    assert [int(line.split()[1], 16) & own for line in output.stdout.splitlines()] == [0, 0]


async def test_a_script_holds_only_its_own_descriptors(floor: Floor) -> None:
    """Stdin, stdout, stderr and the progress channel; nothing of gateway or supervisor."""
    script = floor.script(
        'import os\nprint(sorted(os.listdir("/proc/self/fd")))\n', ScriptKind.PYTHON
    )
    _, output = await floor.run(floor.order(script))
    # 4 is the listing's own.
    assert output.stdout == "['0', '1', '2', '3', '4']\n"


async def test_a_signal_that_ends_the_script_is_reported(floor: Floor) -> None:
    """A script that dies of a signal has that signal and no exit code."""
    outcome, _ = await floor.run(floor.order(floor.script('kill -SEGV $$')))
    assert (outcome.cause, outcome.exit_code) == (EndCause.EXITED, None)
    assert outcome.signal == signal.SIGSEGV


@pytest.mark.parametrize(
    ('content', 'mode', 'reason'),
    [
        ('#!/no/such/interpreter\n', 0o700, 'interpreter'),
        ('#!/bin/sh\n', 0o600, 'Permission denied'),
        ('no first line', 0o700, 'neither a program'),
    ],
    ids=['missing interpreter', 'no x bit', 'bad shebang'],
)
async def test_what_cannot_be_executed_fails_at_the_start(
    floor: Floor, content: str, mode: int, reason: str
) -> None:
    """A start that fails says why and leaves nothing behind."""
    script = floor.script(content, ScriptKind.EXECUTABLE)
    script.path.chmod(mode)
    order = floor.order(script)
    with pytest.raises(SpawnFailed, match=reason):
        await floor.start(order)
    assert not (floor.folder / 'state' / 'executions' / order.execution_id).exists()


async def test_arguments_beyond_the_systems_bound_fail_at_the_start(floor: Floor) -> None:
    """An argument list that the kernel refuses is a failed start with a clear message."""
    with pytest.raises(SpawnFailed, match='larger than the system takes'):
        await floor.start(floor.order(floor.script('exit 0'), arguments=('x' * 200_000,)))


async def test_a_time_limit_ends_the_tree(floor: Floor) -> None:
    """Past its time limit the whole tree is ended, by SIGTERM where that suffices."""
    order = floor.order(floor.script('sleep 600 & sleep 600'), timeout_sec=0.3)
    outcome, _ = await floor.run(order)
    assert (outcome.cause, outcome.signal) == (EndCause.TIMED_OUT, signal.SIGTERM)
    assert outcome.duration_sec is not None
    assert 0.3 <= outcome.duration_sec < 1.5


async def test_a_stop_lets_the_script_finish_its_business(floor: Floor) -> None:
    """A stop is SIGTERM first: a script that handles it ends in its own way."""
    order = floor.order(floor.script('trap "echo bye; exit 7" TERM; echo up; sleep 600 & wait'))
    process = await floor.start(order)
    await floor.written(order, 'up\n')
    process.stop(StopAction.STOP)
    outcome = await process.ended()
    assert (outcome.cause, outcome.exit_code) == (EndCause.EXITED, 7)
    assert (await floor.runner.outputs.of(order.execution_id)).stdout == 'up\nbye\n'


async def test_an_end_says_who_asked_for_it(floor: Floor) -> None:
    """The last one counts; the supervisor writes it down too, for a gateway that dies."""
    order = floor.order(floor.script('trap "" TERM; echo up; while :; do sleep 0.1; done'))
    process = await floor.start(order)
    await floor.written(order, 'up\n')
    client = Trigger(type=TriggerType.MANUAL, setting='stop', username='ada')
    process.stop(StopAction.STOP, Trigger(type=TriggerType.SYSTEM, setting='shutdown'))
    process.stop(StopAction.FORCED_TERMINATION, client)
    outcome = await process.ended()
    assert (outcome.end_asked, outcome.end_asked_by) == (True, client)


async def test_a_script_that_resists_is_killed_after_the_grace_period(floor: Floor) -> None:
    """SIGKILL follows when the grace period is over, not before."""
    order = floor.order(
        floor.script('trap "" TERM; echo up; while :; do sleep 0.1; done'),
        timeout_sec=600.0,
        grace_sec=0.5,
    )
    process = await floor.start(order)
    await floor.written(order, 'up\n')
    asked = time.monotonic()
    process.stop(StopAction.STOP)
    process.stop(StopAction.STOP)
    outcome = await process.ended()
    assert outcome.signal == signal.SIGKILL
    assert 0.5 <= time.monotonic() - asked < DEADLINE_SEC


async def test_a_forced_termination_follows_a_stop_at_once(floor: Floor) -> None:
    """A kill may follow a stop and does not wait for the grace period."""
    script = floor.script('trap "" TERM; echo up; while :; do sleep 0.1; done')
    order = floor.order(script, grace_sec=600.0, timeout_sec=600.0)
    process = await floor.start(order)
    await floor.written(order, 'up\n')
    process.stop(StopAction.STOP)
    process.stop(StopAction.FORCED_TERMINATION)
    async with asyncio.timeout(DEADLINE_SEC):
        outcome = await process.ended()
    assert outcome.signal == signal.SIGKILL


async def test_what_outlives_the_main_process_is_ended_and_counted(floor: Floor) -> None:
    """After a second of linger leftovers are ended; the exit code stays the script's."""
    outcome, _ = await floor.run(floor.order(floor.script('sleep 600 & sleep 600 & exit 5')))
    assert (outcome.cause, outcome.exit_code, outcome.leftover_processes) == (
        EndCause.EXITED,
        5,
        2,
    )
    assert outcome.duration_sec is not None
    assert 1.0 <= outcome.duration_sec < DEADLINE_SEC


async def test_what_ends_in_time_is_no_leftover(floor: Floor) -> None:
    """A child that ends by itself within the linger is waited for and not counted."""
    outcome, output = await floor.run(floor.order(floor.script('(sleep 0.3; echo late) & exit 0')))
    assert (outcome.exit_code, outcome.leftover_processes) == (0, 0)
    assert output.stdout == 'late\n'


async def test_output_keeps_the_first_and_the_last(floor: Floor) -> None:
    """64 KiB of each end of each stream are shown and what lies between is counted."""
    script = floor.script(
        'import sys\n'
        'sys.stdout.write("a" * 65536 + "-" * 3_000_000 + "z" * 65536)\n'
        'sys.stderr.write("e" * 70000)\n',
        ScriptKind.PYTHON,
    )
    _, output = await floor.run(floor.order(script))
    assert output.stdout.startswith('a' * 65536 + '\n[... 3000000 bytes dropped ...]\n')
    assert output.stdout.endswith('\n' + 'z' * 65536)
    assert output.stderr == 'e' * 70000
    assert output.dropped_bytes == 3_000_000


@pytest.mark.parametrize(('surplus', 'is_result'), [(0, True), (1, False)])
async def test_a_json_object_of_up_to_one_mebibyte_on_stdout_is_told(
    floor: Floor, surplus: int, is_result: bool
) -> None:
    """It arrives whole, however little of it is shown; of a larger one a warning tells."""
    text = 'x' * (1048576 - len('{"a": ""}') + surplus)
    content = f"import json; print(json.dumps({{'a': 'x' * {len(text)}}}), end='')"
    script = floor.script(content, ScriptKind.PYTHON)
    outcome, _ = await floor.run(floor.order(script))
    assert outcome.printed == ({'a': text} if is_result else None)
    told = 'stdout begins as a JSON object and is longer than 1048576 bytes: it was not taken as '
    assert outcome.printed_warning == ('' if is_result else f'{told}the result')
    assert outcome.warnings == ()


async def test_output_is_readable_while_the_script_runs(floor: Floor) -> None:
    """Head and tail can be read before the end, the tail a moment late."""
    order = floor.order(floor.script('head -c 2000000 /dev/zero; echo end; sleep 600'))
    process = await floor.start(order)
    await floor.written(order, 'end\n')
    process.stop(StopAction.FORCED_TERMINATION)
    await process.ended()
    assert (await floor.runner.outputs.of(order.execution_id)).stdout.endswith('end\n')


async def test_bytes_that_are_no_text_are_replaced(floor: Floor) -> None:
    """Undecodable bytes show as replacement characters."""
    _, output = await floor.run(floor.order(floor.script(r'printf "a\377b"')))
    assert output.stdout == 'a\N{REPLACEMENT CHARACTER}b'


async def test_discarded_output_is_gone(floor: Floor) -> None:
    """After `discard` nothing of the execution is on disk, and its output is empty."""
    order = floor.order(floor.script('echo hello'))
    await floor.run(order)
    await floor.runner.discard(order.execution_id)
    assert (await floor.runner.outputs.of(order.execution_id)).stdout == ''
    assert list((floor.folder / 'state' / 'executions').iterdir()) == []


async def test_a_cancelled_wait_changes_nothing(floor: Floor) -> None:
    """Who waits for the end may give up; the script goes on."""
    order = floor.order(floor.script('sleep 0.5; echo done'))
    process = await floor.start(order)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await process.ended()
    await process.ended()
    assert (await floor.runner.outputs.of(order.execution_id)).stdout == 'done\n'


async def test_a_killed_supervisor_takes_its_tree_along(floor: Floor) -> None:
    """The spawner inherits the tree of a lost supervisor, ends it and says so."""
    order = floor.order(floor.script('setsid sleep 600 & echo up; kill -9 $PPID; sleep 600'))
    process = await floor.start(order)
    outcome = await process.ended()
    assert outcome.cause is EndCause.SUPERVISOR_LOST
    # Several can be lost at once: whose the orphans are, and which were left over, nobody knows.
    assert outcome.leftover_processes is None
    assert living_scripts() == []
    assert (await floor.runner.outputs.of(order.execution_id)).stdout in {'', 'up\n'}


async def test_a_stopped_supervisor_is_continued(floor: Floor) -> None:
    """A script that stops its supervisor does not escape its limits."""
    order = floor.order(floor.script('kill -STOP $PPID; sleep 600'), timeout_sec=0.5)
    outcome, _ = await floor.run(order)
    assert outcome.cause is EndCause.TIMED_OUT
    assert outcome.duration_sec is not None
    assert outcome.duration_sec < DEADLINE_SEC


async def test_twenty_at_once_do_not_mix(floor: Floor) -> None:
    """Each of many executions has its own output and its own exit code."""
    orders = [floor.order(floor.script(f'echo {n}; exit {n}')) for n in range(20)]
    ends = await asyncio.gather(*(floor.run(order) for order in orders))
    assert [(o.exit_code, out.stdout) for o, out in ends] == [(n, f'{n}\n') for n in range(20)]


async def test_nobody_else_reads_what_an_execution_left(floor: Floor) -> None:
    """Files of an execution are its gateway's user's only."""
    order = floor.order(floor.script('echo secret'))
    await floor.run(order)
    folder = floor.folder / 'state' / 'executions' / order.execution_id
    for path in (folder, *folder.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
