# SPDX-License-Identifier: Apache-2.0
"""The process room's rules that need no process."""

import json
import os
from pathlib import Path
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from gateway_node.child.contract import launch_arguments, MAX_PROGRESS_LINE_BYTES
from gateway_node.child.script.launch_sequence import Sequence
from gateway_node.child.supervision.progress_lines import ProgressLines, READ_LINES
from gateway_node.child.supervision.usage import resource_limits
from gateway_node.child.wire import encode, MessageBuffer
from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.runner_ports import EndCause, Outcome, StartOrder
from gateway_node.process.command_line import (
    command_line,
    GATEWAYS_OWN,
    Interpreters,
    wanted_interpreter,
)
from gateway_node.process.containment import probe_containment
from gateway_node.process.environment import (
    MAX_EXPORTED_BYTES,
    parameter_variables,
    script_environment,
    without_secrets,
)
from gateway_node.process.launch_fragments import (
    argument_violations,
    parse_declaration,
    undeclared_warnings,
)
from gateway_node.process.limits import NO_LIMITS, supervisor_limits
from gateway_node.process.sourcing import parse_capture, world_of
from gateway_node.scripts.values import ArgumentDefinition, Limits, Script, ScriptKind

INTERPRETERS = Interpreters(python='/py', python_version='3.12', sh='/sh', bash='/bash')


def order(kind: ScriptKind = ScriptKind.SH, **changes: Any) -> StartOrder:
    """Return an order for a script that is not there."""
    managed = changes.pop('managed', False)
    return StartOrder(
        execution_id='exec_1',
        entity=EntityRef(entity_type=EntityType.COMPONENT, entity_id='host'),
        script=Script(
            id='script_1',
            name='x',
            kind=kind,
            path=Path('/library/x'),
            version='0',
            size=1,
            managed=managed,
            environment={'PARAM_A': 'default', 'OWN': '1', 'GATEWAY_ENTITY': 'forged'},
            argument_definitions=(ArgumentDefinition(name='a', flag='--a'),),
        ),
        parameters=changes.pop('parameters', {}),
        arguments=('-v',),
        timeout_sec=1,
        stop_grace_period_sec=1,
    )


@pytest.mark.parametrize(
    ('kind', 'managed', 'words'),
    [
        (ScriptKind.PYTHON, False, ['/py', '-P']),
        (ScriptKind.PYTHON, True, ['/py']),
        (ScriptKind.SH, False, ['/sh']),
        (ScriptKind.BASH, False, ['/bash']),
        (ScriptKind.EXECUTABLE, True, []),
        (
            ScriptKind.LAUNCH,
            False,
            ['/py', '-P', '-m', 'gateway_node.child.script.launch_sequence', 'execute'],
        ),
    ],
)
def test_the_kind_makes_the_command_line(
    kind: ScriptKind, managed: bool, words: list[str]
) -> None:
    """The interpreter, the script, its defined arguments, then those of the request."""
    start = order(kind, managed=managed, parameters={'a': 2})
    wanted = wanted_interpreter(start.script, INTERPRETERS)
    runs_by = [] if wanted is None else [wanted.program, *wanted.options]
    made = command_line(start, runs_by)
    assert made == [*words, '/library/x', '--a', '2', '-v']


def test_scalars_are_exported_as_parameter_variables() -> None:
    """ASCII letters in upper case, all else becomes `_`; JSON for numbers, true and false."""
    assert parameter_variables(
        {
            'max-temp': 1.5,
            'on': True,
            'off': False,
            'count': 3,
            'Name': 'a b',
            'grün': 'x',
            'straße': 'sz',
            'strasse': 'ss',
            'ﬀ': 'a ligature is one character',
        }
    ) == {
        'PARAM_MAX_TEMP': '1.5',
        'PARAM_ON': 'true',
        'PARAM_OFF': 'false',
        'PARAM_COUNT': '3',
        'PARAM_NAME': 'a b',
        'PARAM_GR_N': 'x',
        'PARAM_STRA_E': 'sz',
        'PARAM_STRASSE': 'ss',
        'PARAM__': 'a ligature is one character',
    }


def test_what_a_variable_cannot_hold_is_not_exported() -> None:
    """Null, arrays, objects, NUL, lone surrogates, long values and clashing names."""
    assert (
        parameter_variables(
            {
                'null': None,
                'list': [1],
                'object': {},
                'nul': 'a\0b',
                'surrogate': '\ud800',
                'long': 'x' * (MAX_EXPORTED_BYTES + 1),
                'a-b': 1,
                'a.b': 2,
            }
        )
        == {}
    )
    fits = 'é' * (MAX_EXPORTED_BYTES // 2)
    assert parameter_variables({'fits': fits}) == {'PARAM_FITS': fits}


def test_later_layers_of_the_environment_win() -> None:
    """Sourced, then the script's own, then parameters, then what the gateway says."""
    made = script_environment(
        {'OWN': '0', 'BASE': 'b', 'PYTHONPATH': '/ws'},
        order(parameters={'a': 'given'}),
        Path('/p'),
    )
    found = made.base | made.own
    assert (found['BASE'], found['OWN'], found['PARAM_A']) == ('b', '1', 'given')
    assert found['GATEWAY_ENTITY'] == 'components/host'
    assert found['PYTHONPATH'] == '/ws:/p'


def test_only_what_differs_from_the_sourced_environment_is_told_with_each_order() -> None:
    """A supervisor holds the rest, of some KB; paths in its folder it knows best."""
    base = {'BASE': 'b', 'PATH': '/bin'}
    made = script_environment(base, order(), Path('/p'))
    assert made.base == base
    assert not base.keys() & made.own.keys()
    assert made.of_folder == {
        'PWD': 'work',
        'ROS_LOG_DIR': 'work/.ros_log',
        'GATEWAY_ARTIFACTS': 'artifacts',
        'GATEWAY_PROGRESS': 'progress',
        'GATEWAY_RESULT': 'given_result.json',
    }


def test_what_ros_logs_of_a_script_goes_with_its_working_directory() -> None:
    """Unless a set-up file, or the script's own environment, says where it goes."""
    made = script_environment({}, order(), Path('/p'))
    assert made.of_folder['ROS_LOG_DIR'] == 'work/.ros_log'
    made = script_environment({'ROS_LOG_DIR': '/fleet'}, order(), Path('/p'))
    assert 'ROS_LOG_DIR' not in made.own | made.of_folder


@pytest.mark.parametrize(
    ('name', 'kept'),
    [
        ('API_TOKEN', False),
        ('fleet_password', False),
        ('AWS_SECRET_ACCESS_KEY', False),
        ('SSH_PRIVATE_KEY', False),
        ('CREDENTIALS_DIRECTORY', False),
        ('PGPASSWORD', False),
        ('MYSQL_PWD', False),
        ('SSHPASS', False),
        ('GITHUB_PAT', False),
        ('OPENAI_KEY', False),
        ('AUTHTOKEN', False),
        ('REDISCLI_AUTH', False),
        ('DATABASE_URL', False),
        ('SENTRY_DSN', False),
        ('PWD', False),
        ('OLDPWD', False),
        ('SHLVL', False),
        ('_', False),
        ('COMPASS_DEVICE', True),
        ('SSH_AUTH_SOCK', True),
        ('XAUTHORITY', True),
        ('NOTIFY_SOCKET', False),
        ('LISTEN_FDS', False),
        ('GATEWAY_EXECUTION_ID', False),
        ('ROS_LOG_DIR', False),
        ('ROS_HOME', True),
        ('PATH', True),
        ('ROS_SECURITY_KEYSTORE', True),
        ('TOKENIZER_PATH', True),
        ('ROS_DOMAIN_ID', True),
    ],
)
def test_what_is_the_gateways_own_is_left_out(name: str, kept: bool) -> None:
    """Names say what a secret is; words that only contain such a word are none."""
    assert (name in without_secrets({name: 'x'})) is kept


@pytest.mark.parametrize(
    ('value', 'kept'),
    [
        ('amqp://robot:secret@host/queue', False),
        ('https://:secret@host', False),
        ('see http://u:p@h/ x', False),
        ('--proxy=HTTP://u:p@h', False),
        ('http://one:80/,git+ssh://u:p:q@two/', False),
        ('{"url":"redis://:p@h:6379"}', False),
        ('http://proxy:3128', True),
        ('http://host/a:b@c', True),
        ('ssh://git@host:22/a and b@c', True),
        ('http://one:80 http://two@three', True),
        ('udp://:14540@127.0.0.1:14557', True),
        ('udp-b://:14555@', True),
        ('://' * 50_000, True),
        ('a' * 130_000, True),
        ('http://' + 'a:' * 50_000, True),
        ('tcp/192.168.0.1:7447', True),
    ],
)
def test_a_url_with_a_password_is_left_out(value: str, kept: bool) -> None:
    """Whatever the variable is called, and stands around it: the password is the gateway's."""
    assert ('BROKER' in without_secrets({'BROKER': value})) is kept


@pytest.mark.parametrize(
    ('line', 'percent', 'message'),
    [
        (b'45', 45, None),
        (b'45.9', 45, None),
        (b' 45% ', 45, None),
        (b'45 reading sensors', 45, 'reading sensors'),
        (b'-5', 0, None),
        (b'1e999', None, None),
        (b'250', 100, None),
        (b'{"progress": 45, "message": "m"}', 45, 'm'),
        (b'\xef\xbb\xbf45', 45, None),
        (b'\xef\xbb\xbf{"progress": 45}', 45, None),
        (b'{"message": "m"}', None, 'm'),
    ],
)
def test_progress_lines_are_understood(
    line: bytes, percent: int | None, message: str | None
) -> None:
    """A number, a number and a text, or an object; clamped to 0 to 100."""
    lines = ProgressLines()
    news = lines.feed(line + b'\n')
    assert (lines.percent, lines.message) == (percent, message)
    assert news is (lines.garbage == 0)


@pytest.mark.parametrize(
    'line',
    [
        b'\xff',
        b'NaN',
        b'{',
        b'{}',
        b'[]',
        b'true',
        b'{"progress": "1"}',
        b'{"progress": true}',
        b'{"progress": NaN}',
        b'{"progress": 1e999}',
        b'{"progress": 1, "progress": 2}',
        b'{"progress": 1, "message": "\\ud800"}',
        b'{"progress": 1, "a": ' + b'[' * 64 + b']' * 64 + b'}',
        b'{"progress": 1, "message": 2}',
        b'{"a": ' * 600,
        b'{"progress": ' + b'[' * 2000,
        b'1' * (MAX_PROGRESS_LINE_BYTES + 1),
    ],
)
def test_garbage_is_counted_and_forgotten(line: bytes) -> None:
    """What is not understood changes nothing, and the next line counts again."""
    lines = ProgressLines()
    assert not lines.feed(b'7\n' + line + b'\n') or lines.percent == 7
    assert lines.garbage == 1
    assert lines.feed(b'8\n')
    assert lines.percent == 8


@given(
    content=st.lists(
        st.sampled_from([b'1\n', b'22\n', b'\n', b'x' * 5000, b'{}\n']), max_size=READ_LINES - 1
    ),
    size=st.integers(min_value=1, max_value=6000),
)
def test_where_reads_cut_the_progress_channel_does_not_matter(
    content: list[bytes], size: int
) -> None:
    """However the bytes arrive, the same is understood."""
    stream = b''.join(content) + b'\n'
    whole, pieces = ProgressLines(), ProgressLines()
    whole.feed(stream)
    for start in range(0, len(stream), size):
        pieces.feed(stream[start : start + size])
    assert pieces.percent == whole.percent
    assert pieces.garbage == whole.garbage


def test_of_a_flood_of_progress_the_last_lines_are_read() -> None:
    """A read of tens of thousands of lines costs no more than its last ones."""
    flood = b'1\n' * 32_000 + b'77 last\n5'
    lines = ProgressLines()
    lines.feed(b'x' * (MAX_PROGRESS_LINE_BYTES + 1))
    started = time.process_time()
    for _ in range(16):
        assert lines.feed(flood)
    assert time.process_time() - started < 0.2
    assert (lines.percent, lines.message) == (77, 'last')
    assert lines.finish()
    assert (lines.percent, lines.message, lines.garbage) == (5, None, 1)


@given(
    messages=st.lists(st.dictionaries(st.text(), st.integers())),
    size=st.integers(min_value=1, max_value=50),
)
def test_messages_arrive_whole_however_they_are_cut(
    messages: list[dict[str, int]], size: int
) -> None:
    """A stream of messages is the messages."""
    stream = b''.join(map(encode, messages))
    buffer = MessageBuffer()
    arrived = [
        message
        for start in range(0, len(stream), size)
        for message in buffer.feed(stream[start : start + size])
    ]
    assert arrived == messages


def test_a_stream_of_anything_else_is_refused() -> None:
    """A length beyond reason is an error, not an allocation."""
    with pytest.raises(ValueError, match='bytes'):
        MessageBuffer().feed(b'\xff\xff\xff\xff')


def test_a_scripts_limits_come_before_the_defaults() -> None:
    """What a script does not set is the gateway's default; None is no limit."""
    made = supervisor_limits(Limits(cpu_sec=1), Limits(cpu_sec=5, processes=10))
    assert (made['cpu_sec'], made['processes'], made['memory_mb']) == (1, 10, None)


def test_the_kernel_keeps_what_it_can_by_itself() -> None:
    """No limits set nothing; file size and open files are one above, so that it shows."""
    assert resource_limits(NO_LIMITS) == {}
    kept = resource_limits(supervisor_limits(Limits(open_files=9, file_size_mb=0.5), Limits()))
    assert sorted(kept.values()) == [10, 512 * 1024 + 1]


def test_launch_arguments_are_text() -> None:
    """Strings as they are, everything else as JSON, null not at all."""
    assert launch_arguments({'a': 'x y', 'b': True, 'c': 1.5, 'd': [1], 'e': None}) == [
        ('a', 'x y'),
        ('b', 'true'),
        ('c', '1.5'),
        ('d', '[1]'),
    ]


def test_launch_arguments_must_fit_the_declared_ones() -> None:
    """Missing and disallowed ones are named together; of what nobody declares none is refused."""
    description = {
        'arguments': [
            {'name': 'text', 'required': True, 'choices': None},
            {'name': 'mode', 'required': False, 'choices': ['fast', 'slow']},
        ],
        'complete': True,
    }
    declaration = parse_declaration(description)
    assert argument_violations(declaration, [('text', 'x'), ('mode', 'fast')]) == []
    found = argument_violations(declaration, [('other', 'x'), ('mode', 'sly')])
    assert [violation.path for violation in found] == ['', '/mode']
    assert argument_violations(declaration, [('text', 'x'), ('other', 'x')]) == []
    assert argument_violations(None, [('text', 'x')]) == []


def test_launch_arguments_that_nobody_declares_are_warned_of_where_all_is_known() -> None:
    """By name, with those that are declared: most often it is mistyped."""
    description = {
        'arguments': [{'name': 'text', 'required': True, 'choices': None}],
        'complete': True,
    }
    given = [('text', 'x'), ('txet', 'x')]
    assert undeclared_warnings(parse_declaration(description), given) == (
        "the launch argument 'txet' is not declared by the fragment; declared: text",
    )
    none = parse_declaration({'arguments': [], 'complete': True})
    assert undeclared_warnings(none, given[:1]) == (
        "the launch argument 'text' is not declared by the fragment; declared: none",
    )
    partly = parse_declaration({**description, 'complete': False})
    assert undeclared_warnings(partly, given) == ()


def test_a_sequence_tells_how_its_processes_ended() -> None:
    """Each process has its name, command, pid, exit code and duration."""
    sequence = Sequence()
    sequence.note_start('first', ['true'], 11)
    sequence.note_start('second', ['false'], 12)
    sequence.note_exit(11, 0)
    sequence.note_exit(12, 3)
    first, second = sequence.result['processes']
    assert (first['name'], first['command'], first['exit_code']) == ('first', ['true'], 0)
    assert (second['pid'], second['exit_code']) == (12, 3)
    assert sequence.failures == ['second (exit code 3)']


def test_a_process_that_never_began_has_failed() -> None:
    """What launch was asked for and never started is told; what a shutdown prevented is not."""
    sequence = Sequence()
    sequence.note_start('first', ['true'], 11)
    sequence.note_exit(11, 0)
    sequence.note_finish('first', ['true'])
    sequence.note_finish('second', ['missing'])
    sequence.shutting_down = True
    sequence.note_finish('third', ['missing'])
    sequence.conclude()
    assert [p['name'] for p in sequence.result['processes']] == ['first', 'second']
    assert sequence.failures == ['second (could not be started)']


@pytest.mark.parametrize(
    ('exit_code', 'failed'),
    [
        (0, False),
        (1, False),
        (-2, False),
        (130, False),
        (-15, False),
        (143, False),
        (255, False),
        (-9, True),
        (137, True),
        (-11, True),
        (134, True),
    ],
)
def test_a_process_that_its_own_sequence_ends_has_not_failed(exit_code: int, failed: bool) -> None:
    """However it ends when it is asked to; one that had to be killed, or crashed, has."""
    sequence = Sequence()
    sequence.note_start('asked', ['x'], 1)
    sequence.note_start('not asked', ['x'], 2)
    sequence.note_asked_to_end(1)
    sequence.note_exit(1, exit_code)
    assert sequence.failures == ([f'asked (exit code {exit_code})'] if failed else [])
    sequence.note_exit(2, -2)
    assert sequence.failures[-1] == 'not asked (exit code -2)'


def test_a_shutdown_asks_every_process_to_end() -> None:
    """What failed before it has failed; after it only what had to be killed, or crashed."""
    sequence = Sequence()
    for pid, name in enumerate(('broken', 'interrupted', 'ended in its own way', 'killed'), 1):
        sequence.note_start(name, ['x'], pid)
    sequence.note_exit(1, 3)
    sequence.shutting_down = True
    for pid, exit_code in ((2, -2), (3, 1), (4, -9)):
        sequence.note_exit(pid, exit_code)
    assert sequence.failures == ['broken (exit code 3)', 'killed (exit code -9)']


def test_a_capture_is_the_variables_without_the_shells_own() -> None:
    """Values keep their line ends and bytes that are no UTF-8."""
    capture = b'A=1\nb=2\0_=/usr/bin/env\0SHLVL=1\0PWD=/x\0B=\xff\0'
    assert parse_capture(capture) == {'A': '1\nb=2', 'B': '\udcff'}


@pytest.mark.parametrize(
    ('probe', 'python', 'modules'),
    [
        ('["/ws/python3", "3.12", ["rclpy"]]', '/ws/python3', {'rclpy'}),
        ('["/ws/python3", "3.12", [["rclpy"], {}, "os"]]', '/ws/python3', set()),
        ('', '', set()),
        ('null', '', set()),
        ('3', '', set()),
        ('{}', '', set()),
        ('["/ws/python3", "3.12"]', '', set()),
        ('["", "3.12", []]', '', set()),
        ('[null, "3.12", []]', '', set()),
        ('["/ws/python3", 3.12, []]', '', set()),
        ('["/ws/python3", "3.12", null]', '', set()),
        ('[' * 100_000, '', set()),
    ],
    ids=lambda given: str(given)[:30],
)
def test_whatever_calls_itself_python_makes_an_environment(
    tmp_path: Path, probe: str, python: str, modules: set[str]
) -> None:
    """Where it does not answer as Python does, the gateway's own runs the scripts."""
    (tmp_path / 'probe').write_text(probe)
    (tmp_path / 'environment').write_bytes(b'A=1\0')
    ended_well = Outcome(cause=EndCause.EXITED, exit_code=0)
    world = world_of(tmp_path, [], ended_well, '')
    assert world.interpreters.python == (python or GATEWAYS_OWN.python)
    assert world.modules == modules
    assert world.variables == {'A': '1'}


@pytest.mark.parametrize('delegated', [False, True])
def test_only_a_delegated_cgroup_is_used_and_only_own_processes_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, delegated: bool
) -> None:
    """A user may write the scope of his session; the programs in it are not the gateway's."""
    mounts, membership, own = tmp_path / 'mountinfo', tmp_path / 'cgroup', tmp_path / 'own'
    mounts.write_text(f'24 1 0:22 / {tmp_path} rw - cgroup2 cgroup2 rw\n')
    membership.write_text('0::/own\n')
    own.mkdir()
    stranger = 2**22  # above the greatest pid that Linux gives
    (own / 'cgroup.procs').write_text(f'{os.getpid()}\n{os.getppid()}\n{stranger}\n')
    (own / 'cgroup.controllers').write_text('')

    def getxattr(path: Path, name: str) -> bytes:
        if delegated and name == 'user.delegate':
            return b'1'
        raise OSError

    monkeypatch.setattr('os.getxattr', getxattr)
    moved: list[int] = []
    write_text = Path.write_text

    def note(path: Path, content: str) -> int:
        if path.parent.name == 'service':
            moved.append(int(content))
        return write_text(path, content)

    monkeypatch.setattr('pathlib.Path.write_text', note)
    monkeypatch.setattr('os.geteuid', lambda: 1000)
    probe_containment(mounts, membership)
    assert (own / 'service').exists() is delegated
    assert sorted(moved) == (sorted([os.getpid(), os.getppid()]) if delegated else [])


def test_without_cgroups_the_supervisor_holds_by_itself(tmp_path: Path) -> None:
    """A machine without cgroup v2 is described as such; the description is JSON."""
    mounts = tmp_path / 'mountinfo'
    mounts.write_text('24 1 0:22 / /proc rw - proc proc rw\n')
    containment = probe_containment(mounts, tmp_path / 'none')
    assert containment.folder is None
    described = json.loads(json.dumps(containment.describe()))
    assert described['mechanism'] == 'supervisor'
    assert described['limits']['memory_mb'] == 'sampling'
