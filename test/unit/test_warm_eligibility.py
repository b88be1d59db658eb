# SPDX-License-Identifier: Apache-2.0
"""Which scripts may be forked from an interpreter that has their modules loaded."""

from pathlib import Path
from typing import Any

import pytest

from gateway_node.child.supervision.usage import UsageMeter
from gateway_node.child.warm.main_module import can_be_warm, CommandLine
from gateway_node.process.command_line import Interpreters
from gateway_node.process.limits import NO_LIMITS
from gateway_node.process.sourcing import ScriptWorld
from gateway_node.process.warm_starts import may_be_warm
from gateway_node.scripts.values import Script, ScriptKind

PATH = '/scripts/check.py'
PYTHON = '/usr/bin/python3'
WORLD = ScriptWorld(
    variables={'RMW_IMPLEMENTATION': 'rmw_fastrtps_cpp', 'LANG': 'C.UTF-8'},
    interpreters=Interpreters(python=PYTHON, python_version='3.12'),
    modules=frozenset(),
)


def script(**fields: Any) -> Script:
    """Return a Python script."""
    given = {'kind': ScriptKind.PYTHON} | fields
    return Script(id='check', name='check', path=Path(PATH), version='0' * 64, size=1, **given)


def test_a_plain_python_script_may() -> None:
    """Uploaded or managed, with arguments, and with variables that act later."""
    assert may_be_warm(script(), [PYTHON, '-P', PATH, '-O'], WORLD)
    assert may_be_warm(script(managed=True), [PYTHON, PATH], WORLD)
    variables = {'ROS_DOMAIN_ID': '7', 'ROS_LOG_DIR': '/log', 'PARAM_PYTHON': 'x'}
    assert may_be_warm(script(environment=variables), [PYTHON, PATH], WORLD)


@pytest.mark.parametrize(
    'argv',
    [
        ['/opt/venv/bin/python3', '-P', PATH],
        [PYTHON, '-P', '-O', PATH],
        [PYTHON, '-u', PATH],
        [PYTHON, '-P', '-I', PATH],
    ],
)
def test_who_asks_for_another_python_or_an_option_may_not(argv: list[str]) -> None:
    """Only a new interpreter can have them."""
    assert not may_be_warm(script(), argv, WORLD)


def test_other_kinds_and_who_does_not_want_it_may_not() -> None:
    """A shell has nothing of it."""
    assert not may_be_warm(script(kind=ScriptKind.SH), ['/bin/sh', PATH], WORLD)
    assert not may_be_warm(script(kind=ScriptKind.EXECUTABLE), [PATH], WORLD)
    launch = [PYTHON, '-P', '-m', 'gateway_node.child.script.launch_sequence', 'execute', PATH]
    assert not may_be_warm(script(kind=ScriptKind.LAUNCH), launch, WORLD)
    assert not may_be_warm(script(warm=False), [PYTHON, PATH], WORLD)


@pytest.mark.parametrize(
    'name',
    [
        *('PYTHONPATH', 'PYTHONHASHSEED', 'PYTHONOPTIMIZE', 'LD_PRELOAD', 'LD_LIBRARY_PATH'),
        *('LC_ALL', 'RMW_IMPLEMENTATION', 'MALLOC_ARENA_MAX', 'AMENT_PREFIX_PATH', 'HOME'),
        'OMP_NUM_THREADS',
    ],
)
def test_a_variable_that_acts_at_the_start_needs_a_new_interpreter(name: str) -> None:
    """Unless it is what the environment has already."""
    assert not may_be_warm(script(environment={name: 'other'}), [PYTHON, PATH], WORLD)


def test_a_variable_that_is_set_as_it_is_changes_nothing() -> None:
    """The loaded rmw is the one that is asked for."""
    same = {'RMW_IMPLEMENTATION': 'rmw_fastrtps_cpp', 'LANG': 'C.UTF-8'}
    assert may_be_warm(script(environment=same), [PYTHON, PATH], WORLD)


def test_a_script_whose_folder_cannot_be_read_may_not(tmp_path: Path) -> None:
    """A new interpreter needs no listing of it; nobody knows what it would find there."""
    assert not can_be_warm(CommandLine([PYTHON, str(tmp_path / 'gone' / 'check.py')]))


def test_memory_that_a_script_shares_is_not_its_own(tmp_path: Path) -> None:
    """Neither in a sample nor in the kernel's account, and never less than nothing."""

    class Use:
        ru_utime = ru_stime = 0.0
        ru_maxrss = 60 * 1024

    meter = UsageMeter(NO_LIMITS, str(tmp_path), 50 << 20)
    meter.sample([])
    assert meter.max_memory_bytes == 0
    meter.account(Use(), is_main=True)  # type: ignore[arg-type]
    assert meter.max_memory_bytes == 10 << 20
