# SPDX-License-Identifier: Apache-2.0
"""The command that shows codes beside the robot."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from runner_support import Floor, floor, floor_on, living_scripts
from waiting import wait_until

from gateway_node.executions.proximity import ProximityUnavailable
from gateway_node.process import code_command

__all__ = ['floor']

MESSAGE = '{"code": "481516"}'


async def show(floor: Floor, *argv: str) -> None:
    """Have a command show the message."""
    await floor.runner.code_command(argv).show(MESSAGE)


async def test_the_code_is_on_stdin_and_nowhere_else(floor: Floor, tmp_path: Path) -> None:
    """Neither on a command line nor in an environment, while it is shown; arguments are as given,
    the program is found by PATH."""
    tells = (
        'tr "\\0" "\\n" < /proc/self/environ > "$1/environment";'
        'cat /proc/[0-9]*/cmdline > "$1/lines" 2> "$1/gone"; cat > "$1/stdin"'
    )
    await show(floor, 'sh', '-c', tells, '--', str(tmp_path))
    assert (tmp_path / 'stdin').read_text() == MESSAGE
    assert 'PATH=' in (tmp_path / 'environment').read_text()
    assert '481516' not in (tmp_path / 'environment').read_text()
    assert b'481516' not in (tmp_path / 'lines').read_bytes()


@pytest.mark.parametrize(
    ('argv', 'told'),
    [
        (('sh', '-c', 'exit 3'), "'sh' failed: exit code 3"),
        (('sh', '-c', 'kill -9 $$'), "'sh' failed: signal 9"),
        (('no-such-display', '-x'), "'no-such-display' failed: it is not found"),
        (('/no/such/display',), "'display' failed: it is not found"),
        (('sh', '-c', 'cat; cat >&2; exit 1'), "'sh' failed: exit code 1"),
    ],
)
async def test_a_command_that_fails_is_named(floor: Floor, argv: Sequence[str], told: str) -> None:
    """With how it ended; what it wrote is for nobody, it may be the code."""
    with pytest.raises(ProximityUnavailable, match=r'proximity\.command') as unavailable:
        await show(floor, *argv)
    assert told in str(unavailable.value)
    assert '481516' not in str(unavailable.value)


async def test_a_command_that_takes_too_long_is_ended(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all that it started."""
    monkeypatch.setattr(code_command, 'DEADLINE_SEC', 0.3)
    with pytest.raises(ProximityUnavailable, match=r'did not end within 0\.3 s'):
        await show(floor, 'sh', '-c', 'trap "" TERM; sleep 3600 & sleep 3600')
    await wait_until(lambda: not living_scripts(), what='nothing of it')


async def test_nothing_of_a_command_is_left(floor: Floor) -> None:
    """Neither a process nor a file, and what it wrote least of all."""
    await show(floor, 'sh', '-c', 'cat; sleep 3600 & exec 1>&-')
    await wait_until(lambda: not living_scripts(), what='nothing of it')
    files = [path for path in floor.folder.rglob('*') if path.is_file()]
    assert [path for path in files if b'481516' in path.read_bytes()] == []


async def test_what_a_command_writes_is_on_no_disk(floor: Floor, tmp_path: Path) -> None:
    """Not even while it runs: a power failure would leave it there."""
    go_on, wrote = tmp_path / 'go_on', tmp_path / 'wrote'
    tells = 'cat | tee /dev/stderr; echo > "$1"; until [ -e "$2" ]; do sleep 0.05; done'
    showing = asyncio.ensure_future(show(floor, 'sh', '-c', tells, '--', str(wrote), str(go_on)))
    await wait_until(wrote.exists, what='its output')
    # By the time that a second one has ended, what the first one wrote would have been read.
    await show(floor, 'sh', '-c', 'cat')
    files = [path for path in floor.folder.rglob('*') if path.is_file()]
    assert [path for path in files if b'481516' in path.read_bytes()] == []
    go_on.touch()
    await showing


async def test_a_command_that_hangs_does_not_hold_up_the_end_of_the_gateway(
    tmp_path: Path,
) -> None:
    """It is killed; who waits for its code hears that it is not shown."""
    begun = tmp_path / 'begun'
    async with floor_on(tmp_path) as floor:
        showing = asyncio.ensure_future(
            show(floor, 'sh', '-c', 'echo > "$0"; sleep 3600', str(begun))
        )
        await wait_until(begun.exists, what='the command')
    async with asyncio.timeout(code_command.DEADLINE_SEC / 2):
        with pytest.raises(ProximityUnavailable, match='signal 9'):
            await showing
