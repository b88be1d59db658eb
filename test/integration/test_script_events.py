# SPDX-License-Identifier: Apache-2.0
"""The log tells of every change of a script: by whom, and what is different now."""

import asyncio
import contextlib
import os
from pathlib import Path
import random
import subprocess
import sys
from typing import Any

from clients import CLIENT
from fakes import whole_log
from import_path import IMPORT_PATH
from lives import APP, Life, Robot
import pytest

from gateway_node.executions import script_log
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.documents import evolved
from gateway_node.executions.errors import StoreUnavailable
from gateway_node.executions.events import Event, EventKind, Happening, script_subject
from gateway_node.executions.values import ExecutionType
from gateway_node.scripts.errors import ScriptNotFound
from gateway_node.scripts.metadata import Metadata, parse_metadata
from gateway_node.scripts.script_summaries import script_summary

UPLOADED = EventKind.SCRIPT_UPLOADED
REPLACED = EventKind.SCRIPT_REPLACED
DELETED = EventKind.SCRIPT_DELETED

CHANGES_WITHOUT_END = """
import asyncio, pathlib, sys
from lives import Robot
from test_script_events import delete, replace, upload

async def main(state_dir):
    async with Robot(state_dir).gateway() as life:
        kept = []
        for number in range(1_000_000):
            kept.append(await upload(life, b'true\\n', tags=[str(number)]))
            tell(life)
            await replace(life, kept[number % len(kept)], b'false %d\\n' % number)
            tell(life)
            if number % 2:
                await delete(life, kept.pop(number % len(kept)))
                tell(life)

def tell(life):
    event = life.listener.events[-1]
    print(event.sequence, event.kind.value, event.subject, flush=True)

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""
"""Says each change of a script once it was made."""


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    return Robot(tmp_path)


async def upload(life: Life, content: bytes = b'true\n', **metadata: Any) -> str:
    """Upload a script as a client; return its id."""
    async with await life.script_changes.begin_upload() as new:
        await new.write(content)
        script = await life.script_changes.upload(
            APP, new, 'check.sh', parse_metadata(metadata), actor=CLIENT
        )
    return script.id


async def replace(
    life: Life, script_id: str, content: bytes = b'false\n', metadata: Metadata | None = None
) -> None:
    """Replace a script as a client."""
    async with await life.script_changes.begin_upload(replacing=True) as new:
        await new.write(content)
        await life.script_changes.replace(
            APP, script_id, new, file_name='check.sh', metadata=metadata, actor=CLIENT
        )


async def delete(life: Life, script_id: str) -> None:
    """Delete a script as a client."""
    await life.script_changes.delete(APP, script_id, actor=CLIENT)


async def rebuilt(life: Life) -> dict[str, dict[str, Any]]:
    """Return the scripts as a follower has them who knows nothing but the log."""
    scripts: dict[str, dict[str, Any]] = {}
    for event in await whole_log(life.store):
        before = scripts.pop(event.subject, None)
        if event.kind in (UPLOADED, REPLACED):
            assert (event.kind is UPLOADED) is (before is None)
            scripts[event.subject] = evolved(before or {}, event.changes)
        elif event.kind is DELETED:
            assert before is not None
    return scripts


async def present(life: Life) -> dict[str, dict[str, Any]]:
    """Return the scripts as the library has them."""
    scripts = await life.library.list(APP)
    return {script_subject(APP, each.id): script_summary(each) for each in scripts}


def of_scripts(life: Life) -> list[Event]:
    """Return what this gateway told of scripts."""
    return [each for each in life.listener.events if each.kind in (UPLOADED, REPLACED, DELETED)]


async def test_each_change_is_told_with_what_is_different(robot: Robot) -> None:
    """An upload tells all, a replacement what it changed, a deletion that it is gone."""
    async with robot.gateway() as life:
        script_id = await upload(life, tags=['battery'], timeout_sec=5)
        summary = script_summary(await life.library.get(APP, script_id))
        await replace(life, script_id, b'exit 3\n', parse_metadata({'tags': []}))
        replaced = script_summary(await life.library.get(APP, script_id))
        await delete(life, script_id)
        told = of_scripts(life)
        assert [event.kind for event in told] == [UPLOADED, REPLACED, DELETED]
        assert {event.subject for event in told} == {f'apps/temp_sensor/scripts/{script_id}'}
        assert {(event.actor, event.cause) for event in told} == {(CLIENT, None)}
        assert told[0].changes == summary
        assert told[1].changes == {'version': replaced['version'], 'size': 7, 'tags': []}
        assert told[2].changes == {}


async def test_a_deletion_is_told_before_what_it_leads_to(robot: Robot) -> None:
    """First the script is gone, then its schedules fail."""
    async with robot.gateway() as life:
        script_id = await upload(life)
        await life.start(script_id, ExecutionType.ON_RESTART)
        await delete(life, script_id)
        kinds = [event.kind for event in life.listener.events]
        assert kinds[-2:] == [DELETED, EventKind.SCHEDULE_REMOVED]


async def test_a_start_tells_nothing_where_all_was_told(robot: Robot) -> None:
    """Scripts that did not change are no news, however often the gateway starts."""
    async with robot.gateway() as life:
        await upload(life, timeout_sec=2.5, tags=['a', 'b'], limits={'cpu_sec': 1.5})
    for _ in range(2):
        async with robot.gateway() as life:
            assert of_scripts(life) == []


async def test_what_a_dead_gateway_did_not_tell_is_found(robot: Robot) -> None:
    """The files had changed and the gateway died: its next start tells so, in its own name."""
    async with robot.gateway() as life:
        replaced, deleted = await upload(life), await upload(life)
        uploaded = await life.upload()
        async with life.library.begin_upload(replacing=True) as new:
            await new.write(b'false\n')
            await life.library.replace(APP, replaced, new)
        await life.library.delete(APP, deleted)
    async with robot.gateway() as life:
        told = {event.subject.rpartition('/')[2]: event for event in of_scripts(life)}
        kinds = {script_id: event.kind for script_id, event in told.items()}
        assert kinds == {uploaded: UPLOADED, replaced: REPLACED, deleted: DELETED}
        assert {(event.actor, event.cause) for event in told.values()} == {(GATEWAY, 'found')}
        assert await rebuilt(life) == await present(life)


async def test_scripts_that_are_turned_off_are_not_gone(robot: Robot) -> None:
    """Without a scripts directory nobody knows which scripts there are, and nothing is told."""
    async with robot.gateway() as life:
        await upload(life)
    async with robot.gateway(scripts=False) as life:
        assert of_scripts(life) == []
    async with robot.gateway() as life:
        assert of_scripts(life) == []


async def test_a_change_holds_though_the_log_takes_nothing(
    robot: Robot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is made, and told in its order and by its actor once the log can be told."""
    async with robot.gateway() as life:
        record = life.store.record

        async def refuse(news: Any) -> tuple[Event, ...]:
            if any(isinstance(each, Happening) for each in news):
                raise StoreUnavailable('disk full')
            return await record(news)

        monkeypatch.setattr(life.store, 'record', refuse)
        script_id = await upload(life)
        await replace(life, script_id)
        assert of_scripts(life) == []
        assert f'cannot record a change of apps/temp_sensor/scripts/{script_id}' in caplog.text
        monkeypatch.setattr(life.store, 'record', record)
        other = await upload(life)
        kinds = [(event.kind, event.subject.rpartition('/')[2]) for event in of_scripts(life)]
        assert kinds == [(UPLOADED, script_id), (REPLACED, script_id), (UPLOADED, other)]
        assert await rebuilt(life) == await present(life)


async def test_what_could_not_be_told_is_tried_again(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although no other script changes."""
    monkeypatch.setattr(script_log, 'RETRY_SEC', 0.01)
    async with robot.gateway() as life:
        record, refusals = life.store.record, [StoreUnavailable('disk full')] * 3

        async def refuse(news: Any) -> tuple[Event, ...]:
            if refusals:
                raise refusals.pop()
            return await record(news)

        monkeypatch.setattr(life.store, 'record', refuse)
        await upload(life)
        async with asyncio.timeout(30):
            event = await life.listener.wait_for_kind(UPLOADED)
        assert (event.actor, refusals) == (CLIENT, [])


async def test_many_changes_that_could_not_be_told_are_tried_by_one(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that takes nothing for long is asked no more often than for a single change."""
    monkeypatch.setattr(script_log, 'RETRY_SEC', 0.05)
    async with robot.gateway() as life:
        attempts: asyncio.Queue[None] = asyncio.Queue()
        record, refusing = life.store.record, True

        async def refuse(news: Any) -> tuple[Event, ...]:
            if refusing:
                attempts.put_nowait(None)
                raise StoreUnavailable('disk full')
            return await record(news)

        monkeypatch.setattr(life.store, 'record', refuse)
        for _ in range(10):
            await upload(life)
        while not attempts.empty():
            attempts.get_nowait()
        begun = asyncio.get_running_loop().time()
        async with asyncio.timeout(30):
            for _ in range(10):
                await attempts.get()
        assert asyncio.get_running_loop().time() - begun > 0.4
        refusing = False
        async with asyncio.timeout(30):
            while await rebuilt(life) != await present(life):
                await life.listener.wait_for_kind(UPLOADED)


async def test_changes_at_once_are_told_in_the_order_in_which_they_were_made(
    robot: Robot,
) -> None:
    """Uploads, replacements and deletions of the same scripts, some given up by their clients."""
    chance = random.Random(3)
    async with robot.gateway() as life:
        script_ids = [await upload(life) for _ in range(3)]

        async def change(number: int) -> None:
            script_id = chance.choice(script_ids)
            with contextlib.suppress(ScriptNotFound, asyncio.CancelledError):
                match chance.randrange(6):
                    case 0:
                        script_ids.append(await upload(life))
                    case 1:
                        await delete(life, script_id)
                    case _:
                        await replace(life, script_id, b'exit %d\n' % number)

        for _ in range(10):
            tasks = [asyncio.create_task(change(number)) for number in range(12)]
            await asyncio.sleep(0)
            for task in chance.sample(tasks, 3):
                task.cancel()
            await asyncio.gather(*tasks)
    async with robot.gateway() as life:
        assert of_scripts(life) == []
        assert await rebuilt(life) == await present(life)


async def test_a_gateway_that_is_killed_at_any_moment_tells_every_change_once(
    robot: Robot, tmp_path: Path
) -> None:
    """What was answered is in the log, and whoever follows it ends up with what the disk has."""
    answered = set()
    moments = random.Random(7)
    for _ in range(5):
        with changing(tmp_path) as process:
            assert process.stdout is not None
            for _ in range(moments.randrange(1, 40)):
                answered.add(process.stdout.readline())
            process.kill()
            answered |= {line for line in process.stdout if line.endswith('\n')}
        async with robot.gateway() as life:
            log = await whole_log(life.store)
            told = [f'{each.sequence} {each.kind.value} {each.subject}\n' for each in log]
            assert answered <= set(told)
            assert await rebuilt(life) == await present(life)


def changing(state_dir: Path) -> subprocess.Popen[str]:
    """Start a process that changes scripts until it is killed."""
    path = os.pathsep.join((IMPORT_PATH, str(Path(__file__).parent)))
    env = {**os.environ, 'PYTHONPATH': path}
    command = [sys.executable, '-c', CHANGES_WITHOUT_END, str(state_dir)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
