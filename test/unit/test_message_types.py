# SPDX-License-Identifier: Apache-2.0
"""Types are imported by name, from packages of others."""

from collections.abc import Iterator
from pathlib import Path
import sys

import pytest

from gateway_node.ros.message_types import interface_class, TypeMissing


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where packages are installed, and imported from; they are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'{tmp_path / "underlay"}:{tmp_path}')
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def module(prefix: Path, name: str, text: str) -> Path:
    """Make a package of Python with messages; return its folder."""
    folder = prefix / name
    (folder / 'msg').mkdir(parents=True)
    (folder / '__init__.py').touch()
    (folder / 'msg' / '__init__.py').write_text(text)
    return folder


def package(prefix: Path, name: str, text: str, *types: str) -> None:
    """Make a package of ROS with these messages, as rosidl installs it."""
    folder = module(prefix, name, text)
    (folder / f'{name}_s__rosidl_typesupport_c.cpython-312-x86_64-linux-gnu.so').touch()
    listed(prefix, name, *types)


def listed(prefix: Path, name: str, *types: str) -> None:
    """Have the index of a prefix tell that a package has these messages."""
    index = prefix / 'share/ament_index/resource_index/rosidl_interfaces'
    index.mkdir(parents=True, exist_ok=True)
    lines = [f'msg/{each}.{suffix}' for each in types for suffix in ('idl', 'msg')]
    (index / name).write_text('\n'.join(lines))


def test_a_type_is_found_in_its_package(prefix: Path) -> None:
    """By the name that the graph has for it."""
    package(prefix, 'arm_msgs', 'class Grip:\n    pass\n', 'Grip', 'Turn')
    assert interface_class('arm_msgs/msg/Grip').__name__ == 'Grip'


def test_what_is_no_package_of_interfaces_is_never_imported(prefix: Path) -> None:
    """Whatever the type of a topic is called, which is up to whoever publishes it; it would be
    executed."""
    harm = 'open(__file__ + ".executed", "w").close()\nclass Run:\n    pass\n'
    module(prefix, 'evil', harm)
    with pytest.raises(TypeMissing, match='no prefix lists it as a package of interfaces'):
        interface_class('evil/msg/Run')
    listed(prefix, 'evil', 'Walk')
    with pytest.raises(TypeMissing, match='the package evil here has no type evil/msg/Run'):
        interface_class('evil/msg/Run')
    listed(prefix, 'evil', 'Run')
    with pytest.raises(TypeMissing, match=f'not made by rosidl: {prefix / "evil"}'):
        interface_class('evil/msg/Run')
    assert not list(prefix.rglob('*.executed'))
    assert not [each for each in sys.modules if each.partition('.')[0] == 'evil']


def test_an_overlay_tells_which_types_its_package_has(prefix: Path) -> None:
    """As Python imports the package from there."""
    package(prefix, 'hip_msgs', 'class Turn:\n    pass\n', 'Turn')
    listed(prefix / 'underlay', 'hip_msgs', 'Other')
    with pytest.raises(TypeMissing, match='has no type hip_msgs/msg/Turn'):
        interface_class('hip_msgs/msg/Turn')


@pytest.mark.parametrize(
    ('text', 'told'),
    [
        ('', 'the package leg_msgs here has no type leg_msgs/msg/Step'),
        ('raise ZeroDivisionError', 'the type leg_msgs/msg/Step cannot be loaded: ZeroDiv'),
        ('raise SystemExit(3)', 'cannot be loaded: SystemExit(3)'),
        ('this is no Python', 'cannot be loaded: SyntaxError'),
        ('import not_installed_msgs', "is not installed here: No module named 'not_installed_"),
        ('from os import nothing', 'cannot be loaded: ImportError'),
    ],
)
def test_a_package_that_is_broken_is_told_by_name(prefix: Path, text: str, told: str) -> None:
    """Whatever it raises, it goes no further."""
    package(prefix, 'leg_msgs', text, 'Step')
    with pytest.raises(TypeMissing) as caught:
        interface_class('leg_msgs/msg/Step')
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ('name', 'told'),
    [
        ('no_such_msgs/msg/Step', 'the package no_such_msgs of the type no_such_msgs/msg/Step is'),
        ('email/msg/Message', 'the package email of the type email/msg/Message is not installed'),
        ('std_msgs/String', 'is no type; allowed: such as std_msgs/msg/String'),
        ('../msg/String', 'is no type'),
        ('String', 'is no type'),
        ('std_msgs/action/String', 'is no type'),
        ('std_msgs/msg/String/more', 'is no type'),
        ('std_msgs/msg/__class__', 'is no type'),
        ('štd_msgs/msg/String', 'is no type'),
        ('std_msgs.msg/msg/String', 'is no type'),
        (f'std_msgs/msg/{"S" * 300}', 'is no type'),
    ],
)
def test_what_is_not_there_or_no_name_is_told(name: str, told: str) -> None:
    """With what is missing."""
    with pytest.raises(TypeMissing, match=told.split(';')[0]):
        interface_class(name)
