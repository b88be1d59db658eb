# SPDX-License-Identifier: Apache-2.0
"""How much of the disk is taken by what stays of an execution, as `du` counts it."""

from pathlib import Path
import subprocess

import pytest
from runner_support import Floor, floor_on
from waiting import wait_until

from gateway_node.executions.runner_ports import EndCause, StartOrder

LEAVES_FILES = """
mkdir -p deep/deeper
head -c 100000 /dev/zero > deep/deeper/file
ln -s / link
truncate -s 1G hole
head -c 200000 /dev/zero
"""


def taken(folder: Path) -> int:
    """Return what `du` finds."""
    if not folder.exists():
        return 0
    du = subprocess.run(
        ['du', '-s', '--block-size=1', str(folder)], check=True, capture_output=True, text=True
    )
    return int(du.stdout.split()[0])


def folder_of(floor: Floor, order: StartOrder) -> Path:
    """Return where the execution keeps what it keeps."""
    return floor.folder / 'state' / 'executions' / order.execution_id


async def put_away(floor: Floor, order: StartOrder) -> int:
    """Take note of an end; return what stays of it takes."""
    floor.runner.acknowledge([order.execution_id])
    end = folder_of(floor, order) / 'end.json'
    await wait_until(lambda: not end.exists(), what='the end is put away')
    return taken(folder_of(floor, order))


@pytest.mark.parametrize('keep', [False, True], ids=['output', 'output and working directory'])
async def test_what_an_execution_keeps_is_known_at_its_end(tmp_path: Path, keep: bool) -> None:
    """Before its end is recorded, and whatever of it goes after that."""
    async with floor_on(tmp_path, keep_working_directories=keep) as floor:
        order = floor.order(floor.script(LEAVES_FILES))
        outcome, _ = await floor.run(order)
        kept = await put_away(floor, order)
        assert outcome.kept_bytes == kept
        assert await floor.runner.kept_bytes([order.execution_id, 'unknown']) == [kept, 0]
        assert (128 if not keep else 228) * 1024 <= kept < 400 * 1024


async def test_an_execution_without_output_keeps_nothing(tmp_path: Path) -> None:
    """What its record holds is removed with its folder."""
    async with floor_on(tmp_path) as floor:
        order = floor.order(floor.script('echo \'{"a": 1}\' > "$GATEWAY_RESULT"; touch file'))
        outcome, _ = await floor.run(order)
        assert (outcome.kept_bytes, await put_away(floor, order)) == (0, 0)


@pytest.mark.parametrize('keep', [False, True])
async def test_what_a_lost_execution_keeps_is_known(tmp_path: Path, keep: bool) -> None:
    """Its supervisor was killed: the tail is written by the gateway."""
    async with floor_on(tmp_path, keep_working_directories=keep) as floor:
        order = floor.order(floor.script(f'{LEAVES_FILES}echo; kill -9 $PPID; sleep 600'))
        outcome, _ = await floor.run(order)
        assert outcome.cause is EndCause.SUPERVISOR_LOST
        assert outcome.kept_bytes == await put_away(floor, order)


@pytest.mark.parametrize('keep', [False, True])
async def test_what_a_recovered_execution_keeps_is_known(tmp_path: Path, keep: bool) -> None:
    """The gateway died, or ended before it could record the end."""
    async with floor_on(tmp_path, keep_working_directories=keep) as first:
        order = first.order(first.script(LEAVES_FILES))
        await first.run(order)
    async with floor_on(tmp_path, keep_working_directories=keep) as later:
        outcome = (await later.runner.recover())[order.execution_id]
        assert outcome.kept_bytes == await put_away(later, order)
