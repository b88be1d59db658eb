# SPDX-License-Identifier: Apache-2.0
"""Types are imported by name, from packages of others."""

from collections.abc import Iterator
from pathlib import Path
import sys

import pytest

from gateway_node.ros.message_types import interface_class, TypeMissing


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that packages are imported from, and forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def package(folder: Path, name: str, text: str) -> None:
    """Make a package with messages."""
    (folder / name / 'msg').mkdir(parents=True)
    (folder / name / '__init__.py').touch()
    (folder / name / 'msg' / '__init__.py').write_text(text)


def test_a_type_is_found_in_its_package(packages: Path) -> None:
    """By the name that the graph has for it."""
    package(packages, 'arm_msgs', 'class Grip:\n    pass\n')
    assert interface_class('arm_msgs/msg/Grip').__name__ == 'Grip'


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
def test_a_package_that_is_broken_is_told_by_name(packages: Path, text: str, told: str) -> None:
    """Whatever it raises, it goes no further."""
    package(packages, 'leg_msgs', text)
    with pytest.raises(TypeMissing) as caught:
        interface_class('leg_msgs/msg/Step')
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ('name', 'told'),
    [
        ('no_such_msgs/msg/Step', 'the package no_such_msgs of the type no_such_msgs/msg/Step is'),
        ('std_msgs/String', 'is no type; allowed: such as std_msgs/msg/String'),
        ('../msg/String', 'is no type'),
        ('String', 'is no type'),
        ('std_msgs/action/String', 'is no type'),
    ],
)
def test_what_is_not_there_or_no_name_is_told(name: str, told: str) -> None:
    """With what is missing."""
    with pytest.raises(TypeMissing, match=told.split(';')[0]):
        interface_class(name)
