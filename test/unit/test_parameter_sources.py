# SPDX-License-Identifier: Apache-2.0
"""Parameter files and arguments: which concern a node, and which of them wins."""

import itertools
import os
from pathlib import Path

import pytest

from gateway_node.ros.errors import ParameterFileInvalid
from gateway_node.ros.parameter_files import read_parameter_file, Section, sections_for
from gateway_node.ros.parameter_sources import ParameterSources

NODE = '/robot/gateway_node'


def section(node: str, **values: object) -> Section:
    """Return a section of a file."""
    return Section(node=node, values=values)


def decided(folder: Path, *given: str, node: str = '/gateway_node') -> dict[str, object]:
    """Return what wins among `given`: the YAML of files, and arguments of the form `-p …`."""
    args = ['--ros-args']
    for index, source in enumerate(given):
        option, _, rule = source.partition(' ')
        if option == '-p':
            args += [option, rule]
        else:
            file = folder / f'{index}.yaml'
            file.write_text(source)
            args += ['--params-file', str(file)]
    return ParameterSources.read(args).decided(node)


@pytest.mark.parametrize(
    ('name', 'concerns'),
    [
        ('/**', True),
        ('/robot/gateway_node', True),
        ('/robot/*', True),
        ('/*/gateway_node', True),
        ('/**/gateway_node', True),
        ('/**/robot/**', True),
        ('/gateway_node', False),
        ('/*', False),
        ('/robot', False),
        ('/robot/gateway_node/*', False),
        ('/other/gateway_node', False),
        ('/robot/gateway_nod.', False),
    ],
)
def test_a_section_concerns_the_nodes_that_its_name_matches(name: str, concerns: bool) -> None:
    """`*` stands for one name, `**` for any number, none included, as in rcl."""
    assert section(name).concerns(NODE) is concerns


def test_the_section_whose_name_says_more_is_the_more_exact() -> None:
    """A name says most, then `*`, then `**`."""
    rising = ['/**', '/*/*', '/**/gateway_node', '/*/gateway_node', '/robot/gateway_node']
    exactness = [section(name).exactness for name in rising]
    assert exactness == sorted(set(exactness))


ANY = '/**: {ros__parameters: {server: {port: 1}}}'
OWN = 'gateway_node: {ros__parameters: {server.port: 2}}'
ARGUMENT = '-p server.port:=3'
NAMED = '-p gateway_node:server.port:=4'
RISING = [ANY, OWN, ARGUMENT, NAMED]


@pytest.mark.parametrize('given', list(itertools.permutations(RISING)))
def test_what_is_said_most_exactly_wins_in_any_order(
    tmp_path: Path, given: tuple[str, ...]
) -> None:
    """`-p` goes before files, and a node's own name before `/**`."""
    for length in range(2, 5):
        best = max(map(RISING.index, given[:length]))
        assert decided(tmp_path, *given[:length]) == {'server.port': best + 1}


@pytest.mark.parametrize(
    ('given', 'wins'),
    [
        (('-p a:=5', '-p a:=2.5'), 2.5),
        (('-p a:=2.5', '-p a:=5'), 5),
        (('-p a:=true', '-p a:=x'), 'x'),
        (('-p a:=x', "-p a:='5'"), '5'),
        (('-p a:=x', '-p a:=[b, c]'), ['b', 'c']),
        (('-p a:=x', '-p a:=[]'), []),
        (('-p a:=x', '-p a:=1e5'), 100000.0),
        (('-p a:=x', '-p a:=~'), '~'),
        (('-p a:=x', '-p a:=2001-01-01'), '2001-01-01'),
        (('-p a:=x', '-p a:=0x1F'), 31),
        (('-p a:=x', '-p a:=1_000'), '1_000'),
        (('-p a:=x', '-p a:=off'), False),
        (('/**: {ros__parameters: {a: 5}}', '/**: {ros__parameters: {a: 2.5}}'), 2.5),
        (('/**: {ros__parameters: {a: 1, a: 2}}', '/**/*: {ros__parameters: {b: 1}}'), None),
    ],
)
def test_of_the_equally_exact_the_last_wins(
    tmp_path: Path, given: tuple[str, ...], wins: object
) -> None:
    """Whatever its type; values are read as rcl reads them."""
    result = decided(tmp_path, *given)
    assert result == ({} if wins is None else {'a': wins})
    assert type(result.get('a')) is type(wins)


def test_what_is_given_once_is_left_to_ros(tmp_path: Path) -> None:
    """So is what concerns other nodes, what is no argument of ROS, and what rcl will refuse."""
    assert decided(tmp_path, ANY, '-p other:server.port:=3') == {}
    args = ['-p', 'a:=1', '--ros-args', '-p', 'a:=2', '-p', 'a:=[', '-p', f'a:={2000 * "["}']
    args += ['-p', 'a', '--', '-p', 'a:=3']
    assert ParameterSources.read(args).decided('/gateway_node') == {}


def test_a_node_in_a_namespace_has_its_own_section(tmp_path: Path) -> None:
    """Nested and written in one name."""
    nested = 'robot: {gateway_node: {ros__parameters: {a: 6}}}'
    assert decided(tmp_path, ANY, nested, '/robot/gateway_node: {ros__parameters: {a: 7}}') == {}
    assert decided(
        tmp_path, '/robot/gateway_node: {ros__parameters: {a: 7}}', nested, node=NODE
    ) == {'a': 6}


def test_a_file_without_a_section_for_the_node_is_told(tmp_path: Path) -> None:
    """The sentence names the file, what it has, and what it should have."""
    file = tmp_path / 'shared.yaml'
    file.write_text('gateway: {ros__parameters: {a: 1}}\nx: {"*": {ros__parameters: {a: 1}}}')
    sources = ParameterSources.read(['--ros-args', '--params-file', str(file)])
    assert list(sources.warnings('/gateway_node')) == [
        f"parameter file '{file}' has no section for /gateway_node or /**; it has /gateway, /x/*"
    ]
    assert list(sources.warnings('/gateway')) == []


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (None, 'cannot be read: No such file or directory'),
        (b'', 'has no section for /gateway_node or /**; it has nothing'),
        (b'# all of it\n', 'has no section for /gateway_node or /**; it has nothing'),
        (b'other: {ros__parameters: {a: 1}}', 'it has /other'),
        (b'/robot/gateway_node: {ros__parameters: {a: 1}}', 'it has /robot/gateway_node'),
        (b'gateway_node: {server: {port: 1}}', 'line 1: gateway_node/server/port is no mapping'),
        (b'gateway_node:\n', 'line 1: gateway_node is no mapping'),
        (b'gateway_node:\n  ros__parameters:\n', 'line 2: ros__parameters is no mapping'),
        (b'ros__parameters: {a: 1}', 'ros__parameters stands below no name of a node'),
        (b'[1, 2]', 'the document is no mapping'),
        (b'gateway_node: {[1]: 2}', 'a key is no text'),
        (b'gateway_node:\n\tros__parameters: 1', 'is no YAML: '),
        (b'\xff\xfe\xfa', 'is no YAML: '),
        (b'{a: ' * 5000, 'nests too deep'),
        (b'gateway_node: {ros__parameters: {a: &x 1, b: *x}}', 'an alias is not allowed'),
    ],
)
def test_a_file_that_says_nothing_for_the_node_is_refused(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    """The message is one line with the file and the reason."""
    file = tmp_path / 'gateway.yaml'
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ParameterFileInvalid) as refused:
        sections_for(file, '/gateway_node')
    assert str(refused.value).startswith(f"parameter file '{file}' ")
    assert reason in refused.value.reason
    assert '\n' not in str(refused.value)


def test_pipes_and_devices_are_left_to_ros(tmp_path: Path) -> None:
    """What was read from a pipe would be missing for rcl."""
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    args = ['--ros-args', '--params-file', str(pipe), '--params-file', '/dev/null']
    assert ParameterSources.read(args).files == ()


def test_a_file_that_cannot_be_looked_at_is_refused() -> None:
    """Before anything is known of it, such as that it is no pipe."""
    with pytest.raises(ParameterFileInvalid, match='cannot be read: File name too long'):
        ParameterSources.read(['--ros-args', '--params-file', f'/{300 * "a"}'])


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """Launch would start the node without it."""
    with pytest.raises(ParameterFileInvalid, match='is no regular file'):
        read_parameter_file(tmp_path)
