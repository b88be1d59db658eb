# SPDX-License-Identifier: Apache-2.0
"""Who runs a script, and from where."""

import os
from pathlib import Path
import shutil
import sys

import pytest
from runner_support import Floor, floor, floor_on

from gateway_node.executions.errors import ScriptNotRunnable, SpawnFailed
from gateway_node.executions.values import StopAction
from gateway_node.scripts.first_line import asked, first_line_of
from gateway_node.scripts.values import Script, ScriptKind

__all__ = ['floor']

VERSION = f'python{sys.version_info.major}.{sys.version_info.minor}'


def script(
    floor: Floor, content: str, kind: ScriptKind = ScriptKind.SH, *, managed: bool = False
) -> Script:
    """Return a script with what its first line asks for, as the library does."""
    made = floor.script(content, kind, managed=managed)
    interpreter, fault = asked(first_line_of(content.encode()), kind)
    return Script(**{**vars(made), 'interpreter': interpreter, 'fault': fault})


@pytest.mark.parametrize(
    ('content', 'kind', 'exit_code', 'stdout'),
    [
        ('#!/bin/sh -e\nfalse\necho survived\n', ScriptKind.SH, 1, ''),
        ('#!/bin/bash -eu\nfalse\necho survived\n', ScriptKind.BASH, 1, ''),
        ('#!/bin/bash\nfalse &>/dev/null || exit 7\n', ScriptKind.SH, 7, ''),
        ('#!/usr/bin/env bash\necho ${BASH_VERSION:+bash}\n', ScriptKind.SH, 0, 'bash\n'),
        ('#!/usr/bin/env -S bash -e -u\nfalse\necho survived\n', ScriptKind.SH, 1, ''),
        ('#!/bin/sh\necho "$#$1"\n', ScriptKind.BASH, 0, '1-x\n'),
        ('echo ${BASH_VERSION:+bash}\n', ScriptKind.BASH, 0, 'bash\n'),
    ],
)
async def test_a_shell_script_runs_as_its_first_line_wants(
    floor: Floor, content: str, kind: ScriptKind, exit_code: int, stdout: str
) -> None:
    """With its options, so that a script that is to fail fails; else by the kind's own shell."""
    outcome, output = await floor.run(floor.order(script(floor, content, kind), arguments=('-x',)))
    assert (outcome.exit_code, output.stdout) == (exit_code, stdout)


@pytest.mark.parametrize('program', ['env python3', 'python3', 'env python', f'env {VERSION}'])
async def test_a_first_line_of_python_means_the_environments(floor: Floor, program: str) -> None:
    """Whichever the machine has besides; options are kept, and an upload's folder is no path."""
    start = '/usr/bin/env -S ' + program[4:] if program.startswith('env') else f'/bin/{program}'
    content = (
        f'#!{start} -I\n'
        'import sys; print(sys.executable, sys.flags.isolated, sys.flags.safe_path)\n'
    )
    _, output = await floor.run(floor.order(script(floor, content, ScriptKind.PYTHON)))
    assert output.stdout == f'{sys.executable} 1 True\n'


async def test_a_python_of_the_authors_own_runs_where_it_is_asked_for(
    floor: Floor, tmp_path: Path
) -> None:
    """A virtual environment has packages that no other Python has."""
    own = tmp_path / 'venv' / 'python3'
    own.parent.mkdir()
    own.write_text(f'#!/bin/sh\necho "own $*"\nexec {sys.executable} "$@"\n')
    own.chmod(0o700)
    made = script(floor, f'#!{own} -u\nprint("ran")\n', ScriptKind.PYTHON, managed=True)
    _, output = await floor.run(floor.order(made))
    assert output.stdout == f'own -u {made.path}\nran\n'


async def test_an_interpreter_that_is_not_installed_is_refused_before_the_start(
    floor: Floor, tmp_path: Path
) -> None:
    """With words that name it; once it is there, the script starts."""
    missing = tmp_path / 'bash'
    order = floor.order(script(floor, f'#!{missing}\necho fine\n'))
    with pytest.raises(ScriptNotRunnable, match=f"'{missing}', which is not installed here"):
        await floor.runner.vet(order)
    with pytest.raises(SpawnFailed, match='not installed'):
        await floor.runner.start(order, lambda _: None)
    missing.symlink_to('/bin/bash')
    _, output = await floor.run(order)
    assert output.stdout == 'fine\n'


async def test_a_name_is_found_on_the_path_of_the_scripts_environment(tmp_path: Path) -> None:
    """That of the set-up files; a relative folder in it is nobody's."""
    (tmp_path / 'bin').mkdir()
    for name in ('env', 'python3', 'rm', 'tail'):
        (tmp_path / 'bin' / name).symlink_to(shutil.which(name) or sys.executable)
    setup = tmp_path / 'setup.bash'
    setup.write_text(f'export PATH=:.:{tmp_path}/bin\n')
    async with floor_on(tmp_path, [setup]) as floor:
        order = floor.order(script(floor, '#!/usr/bin/env dash\necho fine\n'))
        with pytest.raises(ScriptNotRunnable, match="'dash', which is not installed"):
            await floor.runner.vet(order)
        (tmp_path / 'bin' / 'dash').symlink_to('/bin/sh')
        _, output = await floor.run(order)
    assert output.stdout == 'fine\n'


async def test_a_script_with_a_fault_is_refused_with_its_words(floor: Floor) -> None:
    """As a managed file that has changed, or an upload of an earlier gateway."""
    faulty = script(floor, '#!/usr/bin/perl\nprint 1\n')
    with pytest.raises(ScriptNotRunnable, match=r"'script_1' cannot run here: .*perl"):
        await floor.runner.vet(floor.order(faulty))


async def test_a_script_runs_where_it_lies(floor: Floor) -> None:
    """It finds its neighbours by its own path, and shows its own name."""
    (floor.folder / 'lib.sh').write_text('greet() { echo "hello from $(basename "$0")"; }\n')
    made = script(floor, '. "$(dirname "$0")/lib.sh"\ngreet\ntr "\\0" " " </proc/$$/cmdline\n')
    _, output = await floor.run(floor.order(made, arguments=('-a',)))
    assert output.stdout == f'hello from {made.path.name}\n/bin/sh {made.path} -a '


@pytest.mark.parametrize('name', ['-c.sh', '--version.py', 'prüf bremse.sh', '$(id)*.py'])
async def test_a_file_name_is_nothing_but_a_name(floor: Floor, name: str) -> None:
    """No interpreter takes it for an option, and nobody for a pattern or a command."""
    path = floor.folder / name
    path.write_text('echo "$0"\n' if name.endswith('.sh') else 'import sys; print(sys.argv[0])\n')
    _, output = await floor.run(floor.order(floor.script(path)))
    assert output.stdout == f'{path}\n'


async def test_a_script_that_locks_itself_excludes_its_twin(floor: Floor) -> None:
    """Both have the very same file open."""
    made = script(floor, 'exec 9<"$0"\nflock -n 9 || exit 75\necho locked\nexec sleep 60\n')
    first, second = floor.order(made), floor.order(made)
    process = await floor.start(first)
    await floor.written(first, 'locked')
    outcome, _ = await floor.run(second)
    assert outcome.exit_code == 75
    process.stop(StopAction.FORCED_TERMINATION)
    await process.ended()


async def test_a_script_whose_file_is_gone_fails_with_words(floor: Floor) -> None:
    """Not with the exit status that its interpreter has for that."""
    made = script(floor, 'echo never\n')
    made.path.unlink()
    with pytest.raises(SpawnFailed, match=rf'{made.path} could not be executed: No such file'):
        await floor.start(floor.order(made))
    assert os.listdir(floor.folder / 'state' / 'executions') == []
