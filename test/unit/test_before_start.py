# SPDX-License-Identifier: Apache-2.0
"""What the entry point checks before anything is imported."""

import ast
from pathlib import Path

import pytest
from syntax import parsed

from gateway_node.before_start import answer_to, LEAST_PYTHON, LEAST_VERSIONS, too_old

SETUP = parsed((Path(__file__).parents[2] / 'setup.py').read_text(encoding='utf-8'))


def setup_argument(name: str) -> object:
    """Return what setup.py passes to `setup` under a name."""
    (value,) = [
        node.value
        for node in ast.walk(SETUP)
        if isinstance(node, ast.keyword) and node.arg == name
    ]
    return ast.literal_eval(value)


def test_the_least_versions_are_those_of_setup_py() -> None:
    """What pip installs and what the gateway accepts agree."""
    required = [f'{name}>={version}' for name, version in LEAST_VERSIONS.items()]
    assert setup_argument('install_requires') == required
    assert setup_argument('python_requires') == '>=' + '.'.join(map(str, LEAST_PYTHON))


def test_what_is_installed_here_is_new_enough() -> None:
    """The check itself accepts what the tests run with."""
    assert list(too_old()) == []


@pytest.mark.parametrize(
    ('found', 'least', 'is_too_old'),
    [
        ('3.9.1', '3.9.1', False),
        ('3.10.0', '3.9.1', False),
        ('3.9', '3.9.1', True),
        ('4.9.1', '4.10.3', True),
        ('4.11.0rc1', '4.10.3', False),
        ('6', '6.0.1', True),
    ],
)
def test_versions_are_compared_as_numbers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    found: str,
    least: str,
    is_too_old: bool,
) -> None:
    """Not as texts; the sentence names what is there and what is needed."""
    metadata = tmp_path / f'measured-{found}.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text(f'Name: measured\nVersion: {found}\n')
    monkeypatch.syspath_prepend(tmp_path)
    told = f'measured {found} is too old; at least {least} is needed'
    assert list(too_old(least_versions={'measured': least})) == ([told] if is_too_old else [])


def test_python_itself_is_checked() -> None:
    """3.9 is less than 3.11."""
    assert list(too_old((3, 9), {})) == ['Python 3.9 is too old; at least 3.11 is needed']
    assert list(too_old((3, 11), {})) == []


def test_what_is_not_installed_is_left_to_the_import() -> None:
    """Which says what is missing."""
    assert list(too_old(least_versions={'no-such-distribution': '1'})) == []


def test_what_does_not_tell_its_version_is_left_to_the_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without METADATA is what an interrupted installation can leave."""
    (tmp_path / 'measured-1.0.dist-info').mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert list(too_old(least_versions={'measured': '2'})) == []


@pytest.mark.parametrize('asked', ['--help', '-h', '--version'])
@pytest.mark.parametrize(
    'arguments',
    ['{}', 'x {}', '--ros-args {}', '--ros-args -p a:=1 -- {}', '--ros-args -- {} --ros-args'],
)
def test_help_and_version_are_answered_outside_of_what_is_ross(arguments: str, asked: str) -> None:
    """Wherever they stand there, and where `ros2 run` puts them: right after `--ros-args`."""
    answer = answer_to(arguments.format(asked).split())
    assert answer is not None
    assert answer.startswith('gateway_node ' if asked == '--version' else 'usage: gateway_node ')


@pytest.mark.parametrize(
    'arguments', ['', '--', 'x', '--ros-args -p a:=1 --help', '-- --ros-args -r --version']
)
def test_any_other_command_line_starts(arguments: str) -> None:
    """What comes after `--ros-args` is ROS's."""
    assert answer_to(arguments.split()) is None
