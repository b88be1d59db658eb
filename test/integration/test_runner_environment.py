# SPDX-License-Identifier: Apache-2.0
"""The sourced environment: taken once, taken anew, and what scripts find of it."""

import asyncio
import os
from pathlib import Path
import subprocess
import sys

import pytest
from runner_support import DEADLINE_SEC, floor_on, living_descendants, setup_file
from waiting import wait_until

from gateway_node.scripts.values import ScriptKind


async def test_scripts_run_in_the_sourced_environment(tmp_path: Path) -> None:
    """What the files export is there, line ends included; the shell's own variables are not."""
    first = setup_file(tmp_path, "export ONE=1 LINES_='a\nb'\necho noise\n")
    second = setup_file(tmp_path, 'export TWO=$ONE$ONE\n', 'local.bash')
    async with floor_on(tmp_path, (first, second)) as floor:
        assert floor.runner.environment_warnings == ()
        script = floor.script('echo "$ONE $TWO $LINES_"; env | grep -c __gateway')
        _, output = await floor.run(floor.order(script))
    assert output.stdout == '1 11 a\nb\n0\n'


async def test_a_scripts_own_environment_goes_on_top(tmp_path: Path) -> None:
    """Variables of a managed script win over those of the set-up files."""
    file = setup_file(tmp_path, 'export ONE=1\n')
    async with floor_on(tmp_path, (file,)) as floor:
        script = floor.script('echo "$ONE"', environment={'ONE': 'mine'})
        _, output = await floor.run(floor.order(script))
    assert output.stdout == 'mine\n'


async def test_files_are_sourced_once_and_anew_when_they_change(tmp_path: Path) -> None:
    """No start sources; a changed file is sourced at the next start, once."""
    count = tmp_path / 'count'
    line = f'echo >> {count}\n'
    file = setup_file(tmp_path, line + 'export ONE=1\n')
    async with floor_on(tmp_path, (file,)) as floor:
        script = floor.script('echo "$ONE"')
        for _ in range(3):
            await floor.run(floor.order(script))
        assert count.read_text() == '\n'
        setup_file(tmp_path, line + 'export ONE=22\n')
        _, output = await floor.run(floor.order(script))
        assert output.stdout == '22\n'
        assert count.read_text() == '\n\n'
        await floor.runner.refresh_environment()
        assert count.read_text() == '\n\n\n'


async def test_python_is_the_sourced_environments(tmp_path: Path) -> None:
    """A file that changes PATH changes the interpreter, and it is no shim but what it leads to."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    shim = folder / 'python3'
    shim.write_text(f'#!/bin/sh\necho shim >> {tmp_path}/shim\nexec {sys.executable} "$@"\n')
    shim.chmod(0o700)
    file = setup_file(tmp_path, f'export PATH={folder}:$PATH\n')
    async with floor_on(tmp_path, (file,)) as floor:
        (tmp_path / 'shim').unlink()
        script = floor.script('import sys; print(sys.executable)', ScriptKind.PYTHON)
        _, output = await floor.run(floor.order(script))
    assert output.stdout.strip() == sys.executable
    assert not (tmp_path / 'shim').exists()


async def test_arguments_of_the_gateway_do_not_reach_a_set_up_file(tmp_path: Path) -> None:
    """A file that looks at its positional parameters finds none."""
    file = setup_file(tmp_path, 'export COUNT=$#\n')
    async with floor_on(tmp_path, (file,)) as floor:
        _, output = await floor.run(floor.order(floor.script('echo $COUNT')))
        internal = tmp_path / 'state' / 'internal'
        await wait_until(lambda: not list(internal.iterdir()), what='nothing of it is kept')
    assert output.stdout == '0\n'


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Build a workspace of one Python package with colcon; return its folder."""
    colcon = Path(sys.executable).with_name('colcon')
    if not colcon.exists():
        pytest.skip('colcon is not installed beside this Python')
    package = tmp_path / 'ws' / 'src' / 'brake_checks'
    (package / 'brake_checks').mkdir(parents=True)
    (package / 'brake_checks' / '__init__.py').write_text('WORD = "from the workspace"\n')
    (package / 'setup.py').write_text(
        'from setuptools import setup\n'
        'setup(name="brake_checks", version="1.0", packages=["brake_checks"])\n'
    )
    built = subprocess.run(
        (str(colcon), 'build'),
        cwd=tmp_path / 'ws',
        env={**os.environ, 'PATH': f'{colcon.parent}:{os.environ["PATH"]}'},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return tmp_path / 'ws'


async def test_a_real_workspace_is_sourced(workspace: Path) -> None:
    """A script finds the packages of a workspace that colcon built."""
    async with floor_on(workspace, (workspace / 'install' / 'setup.sh',)) as floor:
        assert floor.runner.environment_warnings == ()
        script = floor.script(
            'import brake_checks, gateway_node.script\nprint(brake_checks.WORD)\n',
            ScriptKind.PYTHON,
        )
        outcome, output = await floor.run(floor.order(script))
    assert (outcome.exit_code, output.stdout) == (0, 'from the workspace\n'), output.stderr


async def test_a_start_that_is_given_up_ends_the_sourcing_that_it_waits_for(
    tmp_path: Path,
) -> None:
    """Nothing of it lives on, and the next start sources anew, beside nobody."""
    file = setup_file(tmp_path, 'export ONE=1\n')
    async with floor_on(tmp_path, (file,)) as floor:
        order = floor.order(floor.script('echo "$ONE"'))
        hanging = tmp_path / 'hanging'
        setup_file(tmp_path, f'touch {hanging}; sleep 600\n')
        starting = asyncio.create_task(floor.start(order))
        await wait_until(hanging.exists, what='it is being sourced')
        starting.cancel()
        async with asyncio.timeout(DEADLINE_SEC):
            with pytest.raises(asyncio.CancelledError):
                await starting
        assert 'sleep' not in {entry.name for entry in living_descendants()}
        setup_file(tmp_path, 'export ONE=22\n')
        _, output = await floor.run(floor.order(floor.script('echo "$ONE"')))
    assert output.stdout == '22\n'
