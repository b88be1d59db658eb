# SPDX-License-Identifier: Apache-2.0
"""Launch fragments as diagnostic sequences, with the launch of a ROS distribution."""

from dataclasses import replace
import importlib.util
from pathlib import Path
import time

import pytest
from runner_support import Floor, floor, living_scripts, needs_launch
from waiting import wait_until

from gateway_node.executions.errors import KindNotAvailable
from gateway_node.executions.runner_ports import EndCause
from gateway_node.executions.values import Progress, StopAction
from gateway_node.process import launch_fragments
from gateway_node.scripts.errors import ParametersInvalid
from gateway_node.scripts.values import Script, ScriptKind

__all__ = ['floor']

FRAGMENTS = Path(__file__).parent.parent / 'launch_fragments'


async def test_without_launch_a_fragment_is_refused(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the environment's Python has no launch, the kind is not available."""
    monkeypatch.setattr('gateway_node.process.sourcing.PROBED_MODULES', ())
    await floor.runner.refresh_environment()
    with pytest.raises(KindNotAvailable, match='finds no module launch'):
        await floor.runner.vet(floor.order(floor.script('', ScriptKind.LAUNCH)))


@needs_launch
async def test_a_sequence_completes_with_the_end_of_each_process(floor: Floor) -> None:
    """Each process that ends moves progress on; the result tells how each ended."""
    heard: list[Progress] = []
    order = floor.order(
        floor.script(FRAGMENTS / 'sequence.launch.py'), parameters={'text': 'hello', 'code': 0}
    )
    process = await floor.start(order, heard.append)
    outcome = await process.ended()
    output = await floor.runner.outputs.of(order.execution_id)
    assert (outcome.cause, outcome.exit_code) == (EndCause.EXITED, 0), output
    assert 'text is hello' in output.stdout + output.stderr
    assert outcome.result is not None
    first, second = outcome.result['processes']
    assert first['name'].startswith('first')
    assert first['command'] == ['echo', 'text is', 'hello']
    assert [p['exit_code'] for p in (first, second)] == [0, 0]
    assert isinstance(second['pid'], int)
    assert second['duration_sec'] >= 0
    assert heard[-1] == Progress(percent=100, message='2 of 2 processes have ended')


@needs_launch
async def test_one_process_that_fails_fails_the_execution(floor: Floor) -> None:
    """A non-zero exit of any process is a non-zero exit of the execution, and is named."""
    order = floor.order(
        floor.script(FRAGMENTS / 'sequence.launch.py'), parameters={'text': 5, 'code': 3}
    )
    outcome, output = await floor.run(order)
    assert outcome.exit_code == 1
    assert 'exit code 3' in output.stderr
    assert outcome.result is not None
    assert outcome.result['processes'][1]['exit_code'] == 3


@needs_launch
@pytest.mark.parametrize('form', ['xml', 'yaml'])
async def test_fragments_in_xml_and_yaml_run(floor: Floor, form: str) -> None:
    """All three forms are run, their arguments filled in."""
    if importlib.util.find_spec(f'launch_{form}') is None:
        pytest.skip(f'launch_{form} is not installed')
    order = floor.order(
        floor.script(FRAGMENTS / f'greets.launch.{form}'), parameters={'text': True}
    )
    outcome, output = await floor.run(order)
    assert outcome.exit_code == 0, output
    assert f'{form} true' in output.stdout + output.stderr


@needs_launch
@pytest.mark.parametrize(
    'name', ['greets_launch.xml', 'launch.xml', 'greets.launch', 'greets_launch.yml', 'greets.yml']
)
async def test_launch_reads_every_name_that_makes_a_fragment(floor: Floor, name: str) -> None:
    """What the name promises, launch keeps."""
    form = 'yaml' if name.endswith('yml') else 'xml'
    if importlib.util.find_spec(f'launch_{form}') is None:
        pytest.skip(f'launch_{form} is not installed')
    path = floor.folder / name
    path.write_bytes((FRAGMENTS / f'greets.launch.{form}').read_bytes())
    script = floor.script(path, ScriptKind.LAUNCH)
    outcome, output = await floor.run(floor.order(script, parameters={'text': 'hello'}))
    assert outcome.exit_code == 0, output
    assert f'{form} hello' in output.stdout


@needs_launch
@pytest.mark.parametrize(
    ('parameters', 'complaint'),
    [
        ({}, "'text' is required"),
        ({'text': None}, "'text' is required"),
        ({'text': 'bye'}, "'bye' is not allowed; allowed: hello"),
    ],
    ids=['missing', 'null', 'not among the choices'],
)
async def test_parameters_must_fit_the_declared_arguments(
    floor: Floor, parameters: dict[str, object], complaint: str
) -> None:
    """Missing and disallowed arguments are refused before anything is recorded."""
    order = floor.order(floor.script(FRAGMENTS / 'sequence.launch.py'), parameters=parameters)
    with pytest.raises(ParametersInvalid, match=complaint):
        await floor.runner.vet(order)


def including(floor: Floor, action: str) -> Script:
    """Return a fragment that does `action`, in which CHILD is a file that requires `text`."""
    child = floor.folder / 'child.launch.py'
    child.write_text(
        'from launch import LaunchDescription\n'
        'from launch.actions import DeclareLaunchArgument, ExecuteProcess\n'
        'from launch.substitutions import LaunchConfiguration as Value\n'
        'def generate_launch_description():\n'
        '    return LaunchDescription([\n'
        '        DeclareLaunchArgument("text", choices=["hello"]),\n'
        '        ExecuteProcess(cmd=["echo", "text is", Value("text")], output="screen"),\n'
        '    ])\n'
    )
    path = floor.folder / 'parent.launch.py'
    path.write_text(
        'from launch import LaunchDescription\n'
        'from launch.actions import *\n'
        'from launch.conditions import IfCondition\n'
        'from launch.substitutions import LaunchConfiguration as Value\n'
        f'CHILD = {str(child)!r}\n'
        'def generate_launch_description():\n'
        f'    return LaunchDescription([{action}])\n'
    )
    return floor.script(path)


PASSES = 'IncludeLaunchDescription(CHILD, launch_arguments=[("text", "hello")])'


@needs_launch
@pytest.mark.parametrize(
    ('action', 'parameters'),
    [
        (PASSES, {}),
        (PASSES, {'text': 'overridden by the fragment'}),
        (f'GroupAction([{PASSES}])', {}),
    ],
    ids=['passes it', 'passes another', 'in a group'],
)
async def test_what_an_include_passes_need_not_be_given(
    floor: Floor, action: str, parameters: dict[str, object]
) -> None:
    """A fragment that ros2 launch takes is not refused for what it gives itself."""
    script = including(floor, action)
    outcome, output = await floor.run(floor.order(script, parameters=parameters))
    assert outcome.exit_code == 0, output
    assert 'text is hello' in output.stdout


@needs_launch
async def test_an_argument_that_is_not_declared_reaches_who_reads_it(floor: Floor) -> None:
    """As with ros2 launch; the execution carries a warning, for most often it is mistyped."""
    action = (
        'DeclareLaunchArgument("text", default_value=""), '
        'ExecuteProcess(cmd=["echo", "sim is", Value("use_sim_time", default="false")])'
    )
    order = floor.order(including(floor, action), parameters={'use_sim_time': True})
    await floor.runner.vet(order)
    outcome, output = await floor.run(order)
    assert outcome.exit_code == 0, output
    assert 'sim is true' in output.stdout
    assert outcome.warnings == (
        "the launch argument 'use_sim_time' is not declared by the fragment; declared: text",
    )


CHOOSES = 'DeclareLaunchArgument("mode", default_value="a", choices=["a", "b"]'
NEVER = 'condition=IfCondition("false")'


@needs_launch
@pytest.mark.parametrize(
    'action',
    [
        f'{CHOOSES}, {NEVER})',
        f'GroupAction([{CHOOSES})], {NEVER})',
        f'GroupAction([GroupAction([{CHOOSES})])], {NEVER})',
        f'UnsetLaunchConfiguration("mode"), {CHOOSES})',
    ],
    ids=['on a condition', 'in a group on a condition', 'in a group in that', 'unset before'],
)
async def test_choices_count_only_where_they_are_declared_in_any_case(
    floor: Floor, action: str
) -> None:
    """Whether a condition holds shows while the fragment runs."""
    order = floor.order(including(floor, action), parameters={'mode': 'c'})
    await floor.runner.vet(order)
    outcome, output = await floor.run(order)
    assert outcome.exit_code == 0, output


@needs_launch
async def test_choices_in_a_group_without_a_condition_count(floor: Floor) -> None:
    """Launch refuses the value in every case."""
    script = including(floor, f'GroupAction([{CHOOSES})])')
    with pytest.raises(ParametersInvalid, match="'c' is not allowed; allowed: a, b"):
        await floor.runner.vet(floor.order(script, parameters={'mode': 'c'}))


@needs_launch
async def test_what_shows_only_while_it_runs_is_launchs_to_say(floor: Floor) -> None:
    """An include that passes an argument by a name that is not known yet may pass any."""
    passes = 'IncludeLaunchDescription(CHILD, launch_arguments=[(Value("name"), "hello")])'
    await floor.runner.vet(floor.order(including(floor, passes)))


@needs_launch
@pytest.mark.parametrize(
    'action',
    ['IncludeLaunchDescription(CHILD)', f'DeclareLaunchArgument("text"), {PASSES}'],
    ids=['nothing is passed', 'required by the fragment itself'],
)
async def test_what_no_include_passes_has_to_be_given(floor: Floor, action: str) -> None:
    """As ros2 launch has it, and told before anything is recorded."""
    with pytest.raises(ParametersInvalid, match="'text' is required and not given"):
        await floor.runner.vet(floor.order(including(floor, action)))


@needs_launch
async def test_an_included_file_that_changes_is_read_anew(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No start is refused for what a file demanded that asks for something else now."""
    monkeypatch.setattr(launch_fragments, '_REFUSES_SEC', 0.0)
    order = floor.order(including(floor, 'IncludeLaunchDescription(CHILD)'))
    with pytest.raises(ParametersInvalid):
        await floor.runner.vet(order)
    child = floor.folder / 'child.launch.py'
    child.write_text(child.read_text().replace('choices', 'default_value="hello", choices'))
    outcome, output = await floor.run(order)
    assert outcome.exit_code == 0, output


@needs_launch
async def test_a_fragment_that_cannot_be_read_fails_clearly(floor: Floor) -> None:
    """A broken fragment is let through to its execution, which says what is wrong."""
    path = floor.folder / 'broken.launch.py'
    path.write_text('raise RuntimeError("this fragment is broken")\n')
    outcome, output = await floor.run(floor.order(floor.script(path)))
    assert outcome.exit_code not in (0, None)
    assert 'this fragment is broken' in output.stderr
    (warning,) = outcome.warnings
    assert 'could not be read: ' in warning
    assert 'this fragment is broken' in warning


@needs_launch
async def test_a_fragment_that_hangs_says_why_its_start_took_so_long(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up after a while, let through, and the execution carries a warning."""
    monkeypatch.setattr('gateway_node.process.internal_programs.READING_TIMEOUT_SEC', 1.0)
    path = floor.folder / 'hangs_once.launch.py'
    path.write_text(
        'import pathlib, time\n'
        'from launch import LaunchDescription\n'
        f'witness = pathlib.Path({str(floor.folder / "witness")!r})\n'
        'def generate_launch_description():\n'
        '    if not witness.exists():\n'
        '        witness.touch()\n'
        '        time.sleep(600)\n'
        '    return LaunchDescription([])\n'
    )
    order = floor.order(floor.script(path))
    await floor.runner.vet(order)
    outcome, output = await floor.run(order)
    assert outcome.exit_code == 0, output
    (warning,) = outcome.warnings
    assert 'could not be read: that took longer than' in warning


@needs_launch
@pytest.mark.parametrize('ending', ['', 'raise RuntimeError("this fragment is broken")\n'])
async def test_a_fragment_is_executed_once_to_be_read(floor: Floor, ending: str) -> None:
    """However many starts ask, and whether it can be read or not."""
    path, witness = floor.folder / 'signs_in.launch.py', floor.folder / 'witness'
    path.write_text(
        'from launch import LaunchDescription\n'
        f'open({str(witness)!r}, "a").write("read\\n")\n{ending}'
        'def generate_launch_description():\n'
        '    return LaunchDescription([])\n'
    )
    order = floor.order(floor.script(path))
    for _ in range(3):
        await floor.runner.vet(order)
    assert witness.read_text() == 'read\n'


@needs_launch
async def test_a_program_that_does_not_exist_fails_the_execution(floor: Floor) -> None:
    """What launch only logs is a failed process too, whenever it was asked for."""
    path = floor.folder / 'missing.launch.py'
    path.write_text(
        'from launch import LaunchDescription\n'
        'from launch.actions import ExecuteProcess, TimerAction\n'
        'def generate_launch_description():\n'
        '    later = TimerAction(period=0.3, actions=[ExecuteProcess(cmd=["/does/not/exist"])])\n'
        '    return LaunchDescription([later, ExecuteProcess(cmd=["true"])])\n'
    )
    outcome, output = await floor.run(floor.order(floor.script(path)))
    assert outcome.exit_code == 1
    assert 'could not be started' in output.stderr
    assert outcome.result is not None
    ends = {p['command'][0]: p['exit_code'] for p in outcome.result['processes']}
    assert ends == {'true': 0, '/does/not/exist': None}


@needs_launch
@pytest.mark.parametrize(
    ('parameters', 'exit_code', 'status'),
    [
        ({}, 143, 0),
        ({'end_all': False}, 143, 0),
        ({'on_sigterm': 'exit 1'}, 1, 0),
        ({'on_sigterm': ''}, -9, 1),
    ],
    ids=['by a shutdown', 'by itself', 'in its own way', 'and it had to be killed'],
)
async def test_a_node_that_the_fragment_itself_ends_has_not_failed(
    floor: Floor, parameters: dict[str, object], exit_code: int, status: int
) -> None:
    """Launch escalates from SIGINT to SIGTERM to SIGKILL; only the last one is a failure."""
    script = floor.script(FRAGMENTS / 'ends_its_node.launch.py')
    outcome, output = await floor.run(floor.order(script, parameters=parameters))
    assert outcome.result is not None
    ends = {p['name'].split('-')[0]: p['exit_code'] for p in outcome.result['processes']}
    assert ends == {'check': 0, 'node': exit_code}, output
    assert outcome.exit_code == status, output


@needs_launch
async def test_what_processes_say_is_the_output(floor: Floor) -> None:
    """Both streams of each, under the name that launch gives it, whatever `output` says."""
    script = floor.script(FRAGMENTS / 'ends_its_node.launch.py')
    _, output = await floor.run(floor.order(script))
    lines = output.stdout.splitlines()
    assert {'[node-1] up', '[node-1] amiss'} <= set(lines)


@needs_launch
async def test_a_fragment_leaves_no_log(floor: Floor) -> None:
    """Neither where the gateway logs, nor in the home directory, nor in its own state."""
    script = floor.script(FRAGMENTS / 'sequence.launch.py')
    order = floor.order(script, parameters={'text': 'hello'})
    outcome, output = await floor.run(order)
    assert outcome.exit_code == 0, output
    assert f'log files can be found below {floor.folder}/state/' in output.stdout
    await wait_until(lambda: floor.ros_logs() == [], what='no log is left')


@needs_launch
@pytest.mark.parametrize('is_set', [False, True], ids=['by default', 'with a TMPDIR'])
async def test_launchs_own_temporary_files_go_with_the_working_directory(
    floor: Floor, tmp_path: Path, is_set: bool
) -> None:
    """launch_ros leaves one for each node with parameters; a TMPDIR of somebody's is kept to."""
    path, told = floor.folder / 'notes.launch.py', floor.folder / 'told'
    path.write_text(
        'import tempfile\n'
        'from launch import LaunchDescription\n'
        'from launch.actions import OpaqueFunction\n'
        'def note(context):\n'
        '    with tempfile.NamedTemporaryFile(delete=False) as file:\n'
        f'        open({str(told)!r}, "w").write(file.name)\n'
        'def generate_launch_description():\n'
        '    return LaunchDescription([OpaqueFunction(function=note)])\n'
    )
    script = floor.script(path)
    if is_set:
        script = replace(script, environment={'TMPDIR': str(tmp_path)})
    outcome, output = await floor.run(floor.order(script))
    assert outcome.exit_code == 0, output
    file = Path(told.read_text())
    if is_set:
        assert file.parent == tmp_path
    else:
        assert file.is_relative_to(floor.folder / 'state')
        await wait_until(lambda: not file.exists(), what='it is removed')


@needs_launch
@pytest.mark.parametrize('timeout_sec', [None, 3.0], ids=['stop', 'time limit'])
async def test_healthy_processes_of_a_sequence_that_is_ended_have_not_failed(
    floor: Floor, timeout_sec: float | None
) -> None:
    """SIGINT reaches them without launch's doing; who had failed before stays named."""
    path = floor.folder / 'stopped.launch.py'
    path.write_text(
        'from launch import LaunchDescription\n'
        'from launch.actions import ExecuteProcess\n'
        'from launch.event_handlers import OnProcessExit\n'
        'def generate_launch_description():\n'
        '    healthy = ["sh", "-c", "echo up; exec sleep 600"]\n'
        '    return LaunchDescription([\n'
        '        ExecuteProcess(cmd=["sh", "-c", "exit 7"], name="faulty", on_exit=[\n'
        '            ExecuteProcess(cmd=healthy, name="healthy")])])\n'
    )
    order = floor.order(floor.script(path), timeout_sec=timeout_sec or 60.0)
    process = await floor.start(order)
    await floor.written(order, 'up\n')
    if timeout_sec is None:
        process.stop(StopAction.STOP)
    outcome = await process.ended()
    output = await floor.runner.outputs.of(order.execution_id)
    assert output.stderr == 'processes failed: faulty-1 (exit code 7)\n'
    assert outcome.result is not None
    ends = {p['name']: p['exit_code'] for p in outcome.result['processes']}
    assert ends == {'faulty-1': 7, 'healthy-2': -2}


@needs_launch
@pytest.mark.parametrize(
    ('body', 'cause'),
    [
        ('raise RuntimeError("no battery")', 'no battery'),
        ('return LaunchDescription([', "'[' was never closed"),
        ('return LaunchDescription([OpaqueFunction(function=lambda _: 1 / 0)])', 'by zero'),
        ('return LaunchDescription([IncludeLaunchDescription("/no/such.launch.py")])', 'No such'),
        (
            'from launch_ros.actions import Node\n'
            '    return LaunchDescription([Node(package="no_such_package", executable="x")])',
            'no_such_package',
        ),
    ],
    ids=['raises', 'syntax', 'function', 'include', 'package'],
)
async def test_what_makes_launch_itself_fail_is_on_stderr(
    floor: Floor, body: str, cause: str
) -> None:
    """The error of an execution has the end of stderr; launch tells its own only on stdout."""
    if 'launch_ros' in body and importlib.util.find_spec('launch_ros') is None:
        pytest.skip('launch_ros is not installed')
    path = floor.folder / 'fails.launch.py'
    path.write_text(
        'from launch import LaunchDescription\n'
        'from launch.actions import IncludeLaunchDescription, OpaqueFunction\n'
        f'def generate_launch_description():\n    {body}\n'
    )
    outcome, output = await floor.run(floor.order(floor.script(path)))
    assert outcome.exit_code == 1
    assert 'Caught exception in launch' in output.stderr
    assert cause in output.stderr


@needs_launch
async def test_a_stopped_sequence_leaves_nothing(floor: Floor) -> None:
    """SIGINT first, so that launch ends its processes; daemons and the deaf are ended too."""
    order = floor.order(floor.script(FRAGMENTS / 'waits.launch.py'), grace_sec=1.0)
    process = await floor.start(order)
    await floor.written(order, 'up\n')
    asked = time.monotonic()
    process.stop(StopAction.STOP)
    outcome = await process.ended()
    # launch itself kills what is deaf: SIGTERM after 5 s, SIGKILL after 10 s.
    assert 9 < time.monotonic() - asked < 13
    assert outcome.exit_code is not None
    await wait_until(lambda: living_scripts() == [], what='no script is left')


@needs_launch
async def test_a_fragment_and_its_processes_leave_files(floor: Floor) -> None:
    """All that was started has the folder in its environment."""
    order = floor.order(floor.script(FRAGMENTS / 'leaves_files.launch.py'))
    outcome, output = await floor.run(order)
    assert outcome.exit_code == 0, output
    kept = await floor.runner.artifacts.of(order.execution_id)
    assert [each.path for each in kept] == ['of_a_process', 'of_the_fragment']
