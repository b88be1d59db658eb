# SPDX-License-Identifier: Apache-2.0
"""What was made under a key is found by the next gateway, wherever the one before died."""

import asyncio
from pathlib import Path

from clients import CLIENT
from lives import APP, Life, Robot
import pytest

from gateway_node.executions.errors import IdempotencyKeyReused
from gateway_node.executions.idempotency import IdempotencyKey
from gateway_node.executions.once_only import Made
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.values import Execution, ExecutionType
from gateway_node.scripts.errors import ScriptNotFound
from gateway_node.scripts.metadata import Metadata
from gateway_node.scripts.values import Script
from gateway_node.storage.database import Database

KEY = IdempotencyKey(scope='apps/temp_sensor', name='k', fingerprint='f')
OTHER = IdempotencyKey(scope='apps/temp_sensor', name='k', fingerprint='g')


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    """Return a robot without a gateway."""
    return Robot(tmp_path)


async def start(
    life: Life, script_id: str, execution_type: ExecutionType = ExecutionType.NOW
) -> Made[Execution]:
    """Ask for an execution under the key."""
    request = StartRequest(execution_type=execution_type, key=KEY)
    return await life.once_only.make(
        KEY,
        lambda: life.executions.start(APP, script_id, request, actor=CLIENT),
        life.questions.get_by_id,
    )


async def upload(life: Life, key: IdempotencyKey = KEY) -> Made[Script]:
    """Upload a script under the key."""
    async with await life.script_changes.begin_upload() as file:
        await file.write(b'true\n')
        return await life.once_only.make(
            key,
            lambda: life.script_changes.upload(
                APP, file, 'check.sh', Metadata(), actor=CLIENT, key=key
            ),
            lambda script_id: life.library.get(APP, script_id),
        )


@pytest.mark.parametrize('execution_type', list(ExecutionType))
async def test_a_start_is_found_by_the_next_gateway(
    robot: Robot, execution_type: ExecutionType
) -> None:
    """Of each type: what was answered is on the disk with its key."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        first = await start(life, script_id, execution_type)
    async with robot.gateway() as life:
        again = await start(life, script_id, execution_type)
        assert (again.resource.id, again.replayed) == (first.resource.id, True)


async def test_a_start_whose_record_did_not_reach_the_disk_is_made_anew(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is in the commit of the execution: where there is none, there is no key."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        reached = asyncio.Event()

        async def die(*arguments: object) -> None:
            reached.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(life.store, 'record', die)
        starting = asyncio.create_task(start(life, script_id))
        await reached.wait()
    assert starting.cancelled()
    async with robot.gateway() as life:
        again = await start(life, script_id)
        assert not again.replayed
        assert [each.id for each in await life.all(script_id)] == [again.resource.id]


async def test_an_upload_is_found_by_the_next_gateway(robot: Robot) -> None:
    """And still has the key to itself."""
    async with robot.gateway() as life:
        first = await upload(life)
    async with robot.gateway() as life:
        assert await upload(life) == Made(resource=first.resource, replayed=True)
        with pytest.raises(IdempotencyKeyReused):
            await upload(life, OTHER)
        assert len(await life.library.list(APP)) == 1


async def test_an_upload_that_was_made_and_not_told_is_found_by_the_next_gateway(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway dies between the script on the disk and the log that tells of it."""
    async with robot.gateway() as life:
        told = asyncio.Event()

        async def die(*arguments: object) -> None:
            told.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(life.store, 'record', die)
        uploading = asyncio.create_task(upload(life))
        await told.wait()
        (script,) = await life.library.list(APP)
    assert uploading.cancelled()
    async with robot.gateway() as life:
        assert await upload(life) == Made(resource=script, replayed=True)
        await life.script_changes.delete(APP, script.id, actor=CLIENT)
        with pytest.raises(ScriptNotFound):
            await upload(life)


async def test_an_upload_that_the_gateway_did_not_live_to_make_is_made_anew(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its id was given, and there is no such script: also with other fields, for nothing was
    made."""
    async with robot.gateway() as life:
        reserved, reserve = asyncio.Event(), life.store.keys.reserve

        async def die(key: IdempotencyKey, script_id: str) -> None:
            await reserve(key, script_id)
            reserved.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(life.store.keys, 'reserve', die)
        uploading = asyncio.create_task(upload(life))
        await reserved.wait()
    assert uploading.cancelled()
    async with robot.gateway() as life:
        assert not (await upload(life, OTHER)).replayed
        assert (await upload(life, OTHER)).replayed
        assert len(await life.library.list(APP)) == 1


async def test_a_script_that_was_deleted_is_not_uploaded_again_under_its_key(
    robot: Robot,
) -> None:
    """Over a restart too: it was made once, and it is gone because somebody wanted that."""
    async with robot.gateway() as life:
        first = await upload(life)
        await life.script_changes.delete(APP, first.resource.id, actor=CLIENT)
    async with robot.gateway() as life:
        with pytest.raises(ScriptNotFound):
            await upload(life)
        assert await life.library.list(APP) == ()


async def test_what_takes_no_key_writes_none(robot: Robot) -> None:
    """An execution without one costs what it cost before."""
    async with robot.gateway() as life:
        await life.finish((await life.start(await life.upload(), ExecutionType.NOW)).id)
    database = await Database.open(robot.state_dir)
    keys = await database.read(
        lambda connection: connection.execute('SELECT count(*) FROM idempotency_keys').fetchone()
    )
    await database.close()
    assert keys == (0,)
