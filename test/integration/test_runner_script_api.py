# SPDX-License-Identifier: Apache-2.0
"""Progress and results: the channel, its garbage, and what Python scripts import."""

import json
from pathlib import Path
from typing import Any

import pytest
from runner_support import Floor, floor
from waiting import wait_until

from gateway_node.executions.runner_ports import EndCause, Outcome
from gateway_node.executions.values import Output, Progress
from gateway_node.scripts.values import ScriptKind

__all__ = ['floor']


async def run(
    floor: Floor, content: str, kind: ScriptKind = ScriptKind.SH, **parameters: Any
) -> tuple[Outcome, Output, list[Progress]]:
    """Run a script; return its end and all that was heard of its progress."""
    heard: list[Progress] = []
    order = floor.order(floor.script(content, kind), parameters=parameters)
    process = await floor.start(order, heard.append)
    outcome = await process.ended()
    return outcome, await floor.runner.outputs.of(order.execution_id), heard


async def test_a_shell_script_tells_its_progress_on_descriptor_three(floor: Floor) -> None:
    """A number is a percentage; a JSON object may add a message."""
    _, _, heard = await run(
        floor, 'echo 45 >&3; sleep 0.3; echo \'{"progress": 60, "message": "half"}\' >&3'
    )
    assert heard == [Progress(percent=45), Progress(percent=60, message='half')]


async def test_a_grandchild_tells_progress_by_path(floor: Floor) -> None:
    """The same channel has a path, for processes that lost descriptor three."""
    _, _, heard = await run(floor, "exec 3>&-; sh -c 'echo 70 > $GATEWAY_PROGRESS'")
    assert heard == [Progress(percent=70)]


async def test_progress_is_coalesced_and_the_last_is_always_heard(floor: Floor) -> None:
    """At most ten reports a second, the last word among them."""
    outcome, _, heard = await run(
        floor, 'i=0; while [ $i -le 20000 ]; do echo $((i/200)) >&3; i=$((i+1)); done'
    )
    assert heard[-1] == Progress(percent=100)
    assert outcome.duration_sec is not None
    assert len(heard) <= 3 + 10 * outcome.duration_sec


async def test_a_last_line_without_its_end_counts(floor: Floor) -> None:
    """What stands on the channel when the script ends was said."""
    _, _, heard = await run(floor, 'printf 99 >&3')
    assert heard == [Progress(percent=99)]


async def test_python_scripts_get_parameters_and_give_progress_and_a_result(
    floor: Floor,
) -> None:
    """The script API: parameters in, progress and result out, stdout untouched."""
    outcome, output, heard = await run(
        floor,
        'from gateway_node.script import parameters, progress, result\n'
        'progress(50, "half")\n'
        'print("text")\n'
        'result({"given": parameters()})\n',
        ScriptKind.PYTHON,
        limit=5,
    )
    assert outcome.exit_code == 0, output.stderr
    assert outcome.result == {'given': {'limit': 5}}
    assert output.stdout == 'text\n'
    assert heard == [Progress(percent=50, message='half')]


async def test_a_shell_script_gives_a_result_by_path(floor: Floor) -> None:
    """A JSON object in the file that GATEWAY_RESULT names is the result."""
    outcome, _, _ = await run(floor, 'echo \'{"a": 1}\' > "$GATEWAY_RESULT"')
    assert outcome.result == {'a': 1}


@pytest.mark.parametrize(
    ('content', 'complaint'),
    [
        ('[1]', 'no JSON object'),
        ('{"a": NaN}', 'NaN'),
        ('{"a"', 'no JSON'),
        ('{"a":' * 985 + '1' + '}' * 985, 'nested deeper than 64 levels'),
        ('[' * 100_000, 'nested deeper than 64 levels'),
        ('{"a": "' + 'x' * 1024 * 1024 + '"}', 'longer than'),
    ],
    ids=['a list', 'NaN', 'cut off', 'deep', 'very deep', 'too long'],
)
async def test_a_bad_result_is_none_and_said_so(
    floor: Floor, content: str, complaint: str
) -> None:
    """A result that is no JSON object of at most 1 MiB is left out, with the reason."""
    source = floor.folder / 'source'
    source.write_text(content)
    outcome, _, _ = await run(floor, f'cp {source} "$GATEWAY_RESULT"')
    assert outcome.result is None
    (warning,) = outcome.warnings
    assert complaint in warning


async def test_garbage_on_the_channel_harms_nobody(floor: Floor) -> None:
    """No UTF-8, no JSON, NaN, too deep, too long: counted, and what follows is heard."""
    outcome, _, heard = await run(
        floor,
        'import json, os\n'
        'for line in (b"\\xff\\xfe", b"{oops", b"NaN", b"{\\"progress\\": NaN}", b"[" * 2000,\n'
        '             b"{\\"progress\\": " + b"[" * 3000, b"x" * 100_000, b"true", b"null"):\n'
        '    os.write(3, line + b"\\n")\n'
        'os.write(3, b"120\\n")\n',
        ScriptKind.PYTHON,
    )
    assert outcome.exit_code == 0
    assert heard == [Progress(percent=100)]


async def test_a_script_of_rclpy_leaves_no_log(floor: Floor) -> None:
    """What ROS logs goes with the working directory, and not to where the gateway logs."""
    pytest.importorskip('rclpy', reason='ROS is not installed')
    script = floor.script(
        'import os, rclpy\n'
        'rclpy.init()\n'
        'rclpy.create_node("talks").get_logger().info("hello")\n'
        'rclpy.shutdown()\n'
        'folder = os.environ["ROS_LOG_DIR"]\n'
        'print(os.path.dirname(folder) == os.environ["PWD"], len(os.listdir(folder)))\n',
        ScriptKind.PYTHON,
    )
    outcome, output = await floor.run(floor.order(script))
    assert outcome.exit_code == 0, output
    assert output.stdout == 'True 1\n'
    await wait_until(lambda: floor.ros_logs() == [], what='no log is left')


async def test_a_ros_node_is_given_ready_hidden_and_torn_down(floor: Floor) -> None:
    """`ros_node` gives a node whose name starts with `_`; a stop tears it down."""
    pytest.importorskip('rclpy', reason='ROS is not installed')
    outcome, output, _ = await run(
        floor,
        'import json, rclpy\n'
        'from gateway_node.script import result, ros_node\n'
        'with ros_node() as node:\n'
        '    rclpy.spin_once(node, timeout_sec=0.01)\n'
        '    name = node.get_name()\n'
        'result({"name": name, "ok": rclpy.ok()})\n',
        ScriptKind.PYTHON,
    )
    assert outcome.exit_code == 0, output.stderr
    assert outcome.result is not None
    assert outcome.result['name'].startswith('_script_exec_')
    assert outcome.result['ok'] is False


async def test_a_stopped_script_with_a_node_ends_by_itself(floor: Floor) -> None:
    """SIGTERM ends the block with the node, also while it spins, and the teardown runs."""
    pytest.importorskip('rclpy', reason='ROS is not installed')
    from gateway_node.executions.values import StopAction

    script = floor.script(
        'import rclpy\n'
        'from gateway_node.script import ros_node\n'
        'try:\n'
        '    with ros_node() as node:\n'
        '        print("up")\n'
        '        rclpy.spin(node)\n'
        'finally:\n'
        '    print("down", rclpy.ok())\n',
        ScriptKind.PYTHON,
    )
    order = floor.order(script)
    process = await floor.start(order)
    await floor.written(order, 'up\n')
    process.stop(StopAction.STOP)
    outcome = await process.ended()
    output = await floor.runner.outputs.of(order.execution_id)
    assert output.stdout == 'up\ndown False\n', output.stderr
    assert outcome.signal is None


def test_the_script_api_works_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Outside of a gateway progress is nobody's and the result is printed."""
    from gateway_node import script

    for name in ('GATEWAY_PROGRESS', 'GATEWAY_RESULT'):
        monkeypatch.delenv(name, raising=False)
    script.progress(50)
    script.result({'a': 1})
    assert json.loads(capsys.readouterr().out) == {'a': 1}
    with pytest.raises(ValueError, match='NaN'):
        script.progress(float('nan'))


async def test_whoever_hears_of_progress_and_fails_ends_nothing(
    floor: Floor, caplog: pytest.LogCaptureFixture
) -> None:
    """The script ends as it would, all of it is told, and the failure is logged once."""
    heard: list[Progress] = []

    def fail(progress: Progress) -> None:
        heard.append(progress)
        raise ValueError('a defect')

    order = floor.order(floor.script('echo 1 >&3; sleep 0.3; echo 2 >&3; sleep 0.3; echo 3 >&3'))
    process = await floor.start(order, fail)
    outcome = await process.ended()
    assert (outcome.cause, outcome.exit_code) == (EndCause.EXITED, 0)
    assert [each.percent for each in heard] == [1, 2, 3]
    assert [r.getMessage() for r in caplog.records if r.exc_info] == [
        f'a listener failed; this is logged once: {fail!r}'
    ]
