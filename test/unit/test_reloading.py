# SPDX-License-Identifier: Apache-2.0
"""The manifests are read anew while the gateway runs, and both are taken or none."""

import asyncio
from dataclasses import replace
import os
from pathlib import Path
import threading

from clients import CLIENT
from execution_stage import APP, FAILED, NOW, PREPARED, Stage
import pytest

from gateway_node import start_files
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.values import ExecutionType
from gateway_node.reloading import ManifestReload
from gateway_node.scripts.errors import SchemaCheckUnavailable, ScriptRefused
from gateway_node.start_files import ManifestReader, Manifests

PATIENCE_SEC = 20.0
ON_RESTART = replace(NOW, execution_type=ExecutionType.ON_RESTART)


class Robot:
    """A gateway's rooms, and the files of its manifests."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self.entities = folder / 'entities.yaml'
        self.scripts = folder / 'scripts.yaml'
        for name in 'ab':
            (folder / f'{name}.sh').write_text('true\n')
        self.declare(components=('arm',), scripts=('a',))
        self.reader = ManifestReader(
            entities=self.entities, scripts=self.scripts, max_rate_hz=20.0
        )
        self.manifests = ManifestReload(
            reader=self.reader,
            directory=stage.directory,
            library=stage.library,
            script_changes=stage.script_changes,
        )

    def declare(self, *, components: tuple[str, ...] = (), scripts: tuple[str, ...] = ()) -> None:
        """Write both files; every app has the scripts."""
        rows = ''.join(f'\n- {{id: {each}, nodes: ["/{each}/*"]}}' for each in components)
        self.entities.write_text(f'components:{rows}\n')
        rows = ''.join(
            f'\n- {{id: {each}, path: {each}.sh, entities: apps/*}}' for each in scripts
        )
        self.scripts.write_text(f'scripts:{rows}\n')

    async def taken(self) -> tuple[list[str], list[str]]:
        """Return the ids of what both manifests declare, as it is served now."""
        components = [each.id for each in self.stage.directory.components()[1:] if each.online]
        scripts = [each.id for each in await self.stage.library.list(APP) if each.managed]
        return components, scripts


@pytest.fixture
async def robot(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Robot:
    """Return the rooms with the first manifests taken: a component `arm` and a script `a`."""
    robot = Robot(stage, tmp_path_factory.mktemp('manifests'))
    await robot.manifests.reload()
    assert await robot.taken() == (['arm'], ['a'])
    return robot


async def test_both_manifests_are_taken_as_they_are_now(robot: Robot) -> None:
    """What they declare no more is gone, what they declare anew is there."""
    robot.declare(components=('leg',), scripts=('b',))
    await robot.manifests.reload()
    assert await robot.taken() == (['leg'], ['b'])
    assert robot.manifests.warnings == ()


@pytest.mark.parametrize(
    ('wrong', 'content', 'told'),
    [
        ('entities', 'components: 7', 'components is 7; allowed: a list'),
        ('entities', 'components: [{id: robot, nodes: ["/x"]}]', "'robot', which is the id of"),
        ('scripts', 'scripts: [{id: b, path: none.sh, entities: apps/*}]', 'there is no file'),
    ],
)
async def test_a_mistake_leaves_both_as_they_were(
    robot: Robot, wrong: str, content: str, told: str
) -> None:
    """Whichever it is in; it is said until the manifests are right."""
    robot.declare(components=('leg',), scripts=('b',))
    getattr(robot, wrong).write_text(content)
    await robot.manifests.reload()
    assert await robot.taken() == (['arm'], ['a'])
    (warning,) = robot.manifests.warnings
    assert warning.startswith('what the manifests said before holds: ')
    assert told in warning
    robot.declare(components=('leg',), scripts=('b',))
    await robot.manifests.reload()
    assert await robot.taken() == (['leg'], ['b'])
    assert robot.manifests.warnings == ()


@pytest.mark.parametrize(
    ('error', 'told'),
    [
        (ScriptRefused('no such type'), "parameters_schema of script 'b': no such type"),
        (SchemaCheckUnavailable('no child'), 'no child'),
    ],
)
async def test_a_schema_that_is_not_accepted_leaves_both_as_they_were(
    robot: Robot, error: Exception, told: str
) -> None:
    """Schemas are checked before anything is taken; also where nothing can check them now."""
    robot.declare(components=('leg',))
    robot.scripts.write_text(
        'scripts: [{id: b, path: b.sh, entities: apps/*, parameters_schema: {type: object}}]'
    )
    robot.stage.schemas.schema_error = error
    await robot.manifests.reload()
    assert await robot.taken() == (['arm'], ['a'])
    assert told in robot.manifests.warnings[0]


async def test_a_manifest_that_does_not_answer_leaves_both_as_they_were(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is asked, one thread hangs in it; once it answers it is taken."""
    monkeypatch.setattr(start_files, '_PATIENCE_SEC', 0.1)
    robot.declare(components=('leg',), scripts=('b',))
    content = robot.scripts.read_text()
    robot.scripts.unlink()
    os.mkfifo(robot.scripts)
    try:
        await robot.manifests.reload()
        threads = threading.active_count()
        await robot.manifests.reload()
        assert threading.active_count() == threads
        assert await robot.taken() == (['arm'], ['a'])
        assert f'{robot.scripts} does not answer' in robot.manifests.warnings[0]
        monkeypatch.setattr(start_files, '_PATIENCE_SEC', PATIENCE_SEC)
    finally:
        # Who waits for a writer is let go.
        os.close(os.open(robot.scripts, os.O_RDWR | os.O_NONBLOCK))
        robot.scripts.unlink()
    robot.scripts.write_text(content)
    await robot.manifests.reload()
    assert await robot.taken() == (['leg'], ['b'])


async def test_what_is_asked_for_meanwhile_is_done_once_afterwards(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been read before what is to be seen was there; and no reading is for nothing."""
    begun, go_on, readings = asyncio.Event(), asyncio.Event(), 0
    read = ManifestReader.read

    async def held_up(reader: ManifestReader) -> Manifests:
        nonlocal readings
        readings += 1
        manifests = await read(reader)
        begun.set()
        await go_on.wait()
        return manifests

    monkeypatch.setattr(ManifestReader, 'read', held_up)
    first = asyncio.create_task(robot.manifests.reload())
    async with asyncio.timeout(PATIENCE_SEC):
        await begun.wait()
        robot.declare(components=('leg',), scripts=('b',))
        for _ in range(3):
            await robot.manifests.reload()
        go_on.set()
        await first
    assert await robot.taken() == (['leg'], ['b'])
    assert readings == 2


async def test_a_running_execution_goes_on_without_its_script(robot: Robot) -> None:
    """It keeps what it was started with, and ends as itself."""
    execution, script = await robot.stage.running('a')
    robot.declare()
    await robot.manifests.reload()
    script.exit(0)
    ended = await robot.stage.listener.wait_for(execution.id)
    assert ended.failure is None
    assert (await robot.stage.get(execution)).id == execution.id


@pytest.mark.parametrize('entities', ['', 'scripts: [{id: a, path: a.sh, entities: apps/lidar}]'])
async def test_a_schedule_whose_script_is_gone_fails(robot: Robot, entities: str) -> None:
    """As with a script that was deleted, also where its entity alone lost it; others stay."""
    uploaded = await robot.stage.upload()
    stays = await robot.stage.service.start(APP, uploaded, ON_RESTART, actor=CLIENT)
    fails = await robot.stage.service.start(APP, 'a', ON_RESTART, actor=CLIENT)
    robot.scripts.write_text(entities)
    await robot.manifests.reload()
    ended = await robot.stage.get(fails)
    assert ended.status is FAILED
    assert ended.failure is not None
    assert ended.failure.reason is FailureReason.SCRIPT_GONE
    assert (await robot.stage.get(stays)).status is PREPARED
    await robot.stage.stop(stays)
