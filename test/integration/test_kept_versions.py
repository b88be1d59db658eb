# SPDX-License-Identifier: Apache-2.0
"""The script as it ran: versions stay as long as an execution that is kept names them."""

import asyncio
from collections.abc import Callable
import contextlib
import errno
import hashlib
import os
from pathlib import Path
import threading
from typing import Any

from api_support import Api, form, serve_api
from clients import CLIENT
from fakes import FakeSchemaChecker
from lives import APP, Life, Robot
import pytest
import versions
from waiting import wait_until

from gateway_node.clock import SystemClock
from gateway_node.executions.values import ExecutionType
from gateway_node.scripts.content import Content
from gateway_node.scripts.errors import LibraryUnavailable, ScriptNotFound, VersionNotFound
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.managed import ManagedScript
from gateway_node.scripts.metadata import Metadata, parse_metadata
from gateway_node.scripts.old_versions import none_in_use
from gateway_node.scripts.script_versions import ScriptVersions
from gateway_node.scripts.values import Script, ScriptKind, ScriptVersion
from gateway_node.scripts.version_folders import VersionFolders

FIRST = hashlib.sha256(b'true\n').hexdigest()
SECOND = hashlib.sha256(b'second\n').hexdigest()
THIRD = hashlib.sha256(b'third\n').hexdigest()
SENSOR = 'apps/temp_sensor'


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    """Return a robot without scripts and executions."""
    return Robot(tmp_path)


async def replace(life: Life, script_id: str, content: bytes, **metadata: Any) -> None:
    """Give a script another content."""
    async with life.library.begin_upload() as upload:
        await upload.write(content)
        await life.script_changes.replace(
            APP,
            script_id,
            upload,
            file_name='check.sh',
            metadata=parse_metadata(metadata),
            actor=CLIENT,
        )


async def ran(life: Life, script_id: str) -> str:
    """Let a script run; return the id of its execution."""
    execution = await life.start(script_id, ExecutionType.NOW)
    return (await life.finish(execution.id)).id


async def there(library: ScriptLibrary, script_id: str) -> list[str]:
    """Return the versions that are there of a script, newest first; each has its bytes."""
    found, more = await library.versions.newest(APP, script_id, limit=100)
    assert not more
    for each in found:
        assert hashlib.sha256(each.path.read_bytes()).hexdigest() == each.version
    return [each.version for each in found]


def on_disk(state_dir: Path) -> set[str]:
    """Return the names of all versions of which anything lies on the disk."""
    scripts = (state_dir / 'scripts').rglob('*')
    return {path.name[:64] for path in scripts if len(path.name) in (64, 64 + len('.json'))}


async def test_a_version_stays_as_long_as_an_execution_names_it(robot: Robot) -> None:
    """Over a restart too; it goes with the last of them, whoever removes it."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        executions = [await ran(life, script_id) for _ in range(2)]
        await replace(life, script_id, b'second\n')
        await replace(life, script_id, b'third\n')
        assert await there(life.library, script_id) == [THIRD, FIRST]
    async with robot.gateway() as life:
        assert await there(life.library, script_id) == [THIRD, FIRST]
        await life.executions.delete(APP, script_id, executions[0], actor=CLIENT)
        assert await there(life.library, script_id) == [THIRD, FIRST]
        await life.executions.delete(APP, script_id, executions[1], actor=CLIENT)
        assert await there(life.library, script_id) == [THIRD]
    assert on_disk(robot.state_dir) == {THIRD}


async def test_retention_takes_a_version_with_its_last_execution(robot: Robot) -> None:
    """One is kept here: the older one goes when the younger one ends."""
    robot.max_kept = 1
    async with robot.gateway() as life:
        script_id = await life.upload()
        await ran(life, script_id)
        await replace(life, script_id, b'second\n')
        await ran(life, script_id)
        while life.library.versions.has(script_id, FIRST):
            await life.store.last_id()  # each turn is a read of the disk
        assert await there(life.library, script_id) == [SECOND]


async def test_what_a_deleted_script_ran_stays_to_be_looked_at(robot: Robot) -> None:
    """Nothing can be started of it; with its last execution nothing is left, a restart or not."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        execution_id = await ran(life, script_id)
        await replace(life, script_id, b'second\n')
        await life.script_changes.delete(APP, script_id, actor=CLIENT)
        with pytest.raises(ScriptNotFound):
            await life.library.get(APP, script_id)
        assert await there(life.library, script_id) == [FIRST]
    async with robot.gateway() as life:
        assert await life.library.list(APP) == ()
        assert await there(life.library, script_id) == [FIRST]
        await life.executions.delete(APP, script_id, execution_id, actor=CLIENT)
        with pytest.raises(ScriptNotFound):
            await life.library.versions.newest(APP, script_id, limit=100)
        assert not life.library.versions.has(script_id, FIRST)
    assert on_disk(robot.state_dir) == set()
    assert os.listdir(robot.state_dir / 'scripts' / '.deleted') == []


async def test_a_deleted_script_that_no_execution_names_is_gone(robot: Robot) -> None:
    """With all its versions, as ever."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        await replace(life, script_id, b'second\n')
        await life.script_changes.delete(APP, script_id, actor=CLIENT)
        assert on_disk(robot.state_dir) == set()


async def test_a_version_is_known_as_the_script_was_then(robot: Robot) -> None:
    """With its metadata, when it was uploaded and by whom; newest first whatever the clock."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        await ran(life, script_id)
        uploaded_at = robot.clock.wall
        robot.clock.wall = uploaded_at.replace(year=2020)
        await replace(life, script_id, b'second\n', name='Second', timeout_sec=7, tags=['x'])
        await ran(life, script_id)
        await replace(life, script_id, b'third\n', name='Third', timeout_sec=None)
    async with robot.gateway() as life:
        assert await there(life.library, script_id) == [THIRD, SECOND, FIRST]
        second = await life.library.versions.find(APP, script_id, SECOND)
        assert second.script is not None
        assert (second.script.name, second.script.timeout_sec) == ('Second', 7)
        assert (second.script.tags, second.size, second.current) == (('x',), 7, False)
        assert second.uploaded_at == robot.clock.wall
        assert second.uploaded_by == str(CLIENT)
        assert (await life.library.versions.find(APP, script_id, THIRD)).current
        first = await life.library.versions.find(APP, script_id, FIRST)
        assert first.script is not None
        assert first.script.name == 'check.sh'


async def test_a_version_that_comes_back_is_current_again(robot: Robot) -> None:
    """And old again later, as it was last."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        await ran(life, script_id)
        await replace(life, script_id, b'second\n')
        await ran(life, script_id)
        await replace(life, script_id, b'true\n', name='Back')
        assert await there(life.library, script_id) == [FIRST, SECOND]
        await replace(life, script_id, b'third\n', name='Third')
    async with robot.gateway() as life:
        assert await there(life.library, script_id) == [THIRD, FIRST, SECOND]
        back = await life.library.versions.find(APP, script_id, FIRST)
        assert back.script is not None
        assert back.script.name == 'Back'


async def test_a_version_of_which_nobody_noted_anything_is_there_all_the_same(
    robot: Robot,
) -> None:
    """Version 0.1.0 of the gateway left it for an execution that was open."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        await ran(life, script_id)
        await replace(life, script_id, b'second\n')
    (robot.state_dir / 'scripts' / script_id / f'{FIRST}.json').unlink()
    async with robot.gateway() as life:
        assert await there(life.library, script_id) == [SECOND, FIRST]
        path = robot.state_dir / 'scripts' / script_id / FIRST / 'check.sh'
        known = await life.library.versions.find(APP, script_id, FIRST)
        assert known == ScriptVersion(version=FIRST, path=path, size=5)


@pytest.mark.parametrize(
    ('surplus', 'metadata'),
    [(40_000 * b'#', {}), (b'', {'parameters_schema': {'description': 40_000 * 'x'}})],
    ids=['its file', 'its schema'],
)
async def test_old_versions_count_for_the_bound_on_the_disk(
    robot: Robot, surplus: bytes, metadata: dict[str, Any]
) -> None:
    """They are kept for the sake of executions: those go, and the versions with them."""
    robot.max_disk_bytes = 200_000
    async with robot.gateway() as life:
        script_id = await life.upload()
        kept = []
        for number in range(8):
            await replace(life, script_id, b'# %d\n' % number + surplus, **metadata)
            kept.append(await ran(life, script_id))
        while life.library.versions.old_bytes > robot.max_disk_bytes:
            await life.store.last_id()  # each turn is a read of the disk
        left = [each.id for each in await life.all(script_id)]
        assert 0 < len(left) < len(kept)
        assert left == kept[-len(left) :]


class _Crash(BaseException):
    """The end of the process, at any moment."""


def _failing(call: Callable[..., Any], after: list[int], error: BaseException) -> Any:
    def step(*arguments: Any, **options: Any) -> Any:
        after[0] -= 1
        if after[0] == 0:
            raise error
        return call(*arguments, **options)

    return step


def _opened(directory: Path) -> ScriptLibrary:
    return ScriptLibrary(
        scripts_dir=directory,
        max_file_bytes=1_000_000,
        schemas=FakeSchemaChecker(),
        clock=SystemClock(),
    )


@pytest.mark.parametrize('error', [_Crash(), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))])
@pytest.mark.parametrize('change', ['replace', 'delete'])
async def test_a_version_in_use_outlives_a_change_that_is_cut_off_at_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, change: str
) -> None:
    """The script is as before or as after, nothing is damaged, and no other version stays."""
    in_use = versions.in_use({FIRST})
    step = 0
    while True:
        step += 1
        directory = tmp_path / str(step)
        library = _opened(directory)
        await library.open(in_use)
        async with library.begin_upload() as upload:
            await upload.write(b'true\n')
            script = await library.create(APP, upload, 'check.sh', Metadata())
        after = [step]
        with monkeypatch.context() as patch, contextlib.suppress(_Crash, LibraryUnavailable):
            async with library.begin_upload() as upload:
                await upload.write(b'second\n')
                await upload.finish()
                for name in ('rename', 'mkdir', 'open', 'fsync', 'unlink', 'rmdir'):
                    patch.setattr(os, name, _failing(getattr(os, name), after, error))
                if change == 'replace':
                    await library.replace(APP, script.id, upload, versions_in_use=in_use)
                else:
                    await library.delete(APP, script.id, versions_in_use=in_use)
        later = _opened(directory)
        await later.open(in_use)
        there_now = await there(later, script.id)
        assert there_now in ([[FIRST], [SECOND, FIRST]] if change == 'replace' else [[FIRST]])
        assert not (directory / '.damaged').exists()
        assert os.listdir(directory / '.incoming') == []
        if after[0] > 0:
            break
    assert step > 3


async def test_nothing_of_a_version_outlives_a_removal_that_is_cut_off_at_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start removes the rest, of its file and of what was noted of it."""
    step, after = 0, [0]
    while after[0] <= 0:
        step += 1
        state_dir = tmp_path / str(step)
        library, script_id = await _one_script(state_dir / 'scripts')
        async with library.begin_upload() as upload:
            await upload.write(b'second\n')
            in_use = versions.in_use({FIRST})
            await library.replace(APP, script_id, upload, versions_in_use=in_use)
        after = [step]
        with monkeypatch.context() as patch, contextlib.suppress(_Crash):
            for name in ('unlink', 'rmdir'):
                patch.setattr(os, name, _failing(getattr(os, name), after, _Crash()))
            await library.versions.prune([script_id], none_in_use)
        await _opened(state_dir / 'scripts').open()
        assert on_disk(state_dir) == {SECOND}
    assert step > 2


async def _one_script(directory: Path) -> tuple[ScriptLibrary, str]:
    library = _opened(directory)
    await library.open()
    async with library.begin_upload() as upload:
        await upload.write(b'true\n')
        script = await library.create(APP, upload, 'check.sh', Metadata())
    return library, script.id


async def test_a_version_is_there_while_its_script_is_being_deleted(tmp_path: Path) -> None:
    """Who asks in that moment is answered with where it is then."""
    library, script_id = await _one_script(tmp_path)
    asked, go = asyncio.Event(), asyncio.Event()

    async def in_use(script_id: str) -> set[str]:
        asked.set()
        await go.wait()
        return {FIRST}

    deleting = asyncio.create_task(library.delete(APP, script_id, versions_in_use=in_use))
    await asked.wait()
    assert library.versions.has(script_id, FIRST)
    finding = asyncio.create_task(library.versions.find(APP, script_id, FIRST))
    listing = asyncio.create_task(there(library, script_id))
    await asyncio.sleep(0)
    go.set()
    await deleting
    assert (await finding).path.read_bytes() == b'true\n'
    assert await listing == [FIRST]


async def test_a_version_that_is_put_elsewhere_while_it_is_looked_at_is_found_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a list, and by itself: what has begun to look for it looks once more."""
    library, script_id = await _one_script(tmp_path)
    describe = VersionFolders.describe
    looking, put_away = [threading.Event(), threading.Event()], threading.Event()

    def late(*arguments: Any, deleted: bool) -> ScriptVersion:
        if begun := [each for each in looking if not each.is_set()]:
            begun[0].set()
            put_away.wait(30)
        return describe(*arguments, deleted=deleted)

    async with library.begin_upload() as upload:
        await upload.write(b'second\n')
        in_use = versions.in_use({FIRST})
        await library.replace(APP, script_id, upload, versions_in_use=in_use)
    monkeypatch.setattr(VersionFolders, 'describe', late)
    finding = asyncio.create_task(library.versions.find(APP, script_id, FIRST))
    listing = asyncio.create_task(there(library, script_id))
    await wait_until(lambda: all(each.is_set() for each in looking), what='both look')
    await library.delete(APP, script_id, versions_in_use=in_use)
    put_away.set()
    assert (await finding).path.read_bytes() == b'true\n'
    assert await listing == [FIRST]


async def _replace(api: Api, script_id: str, content: bytes) -> None:
    path = f'/{SENSOR}/scripts/{script_id}'
    response = await api.request('PUT', path, data=form(content, 'new.sh', {'name': 'New'}))
    assert response.status == 200


async def test_clients_read_the_script_as_it_ran(tmp_path: Path) -> None:
    """By the list of its versions, or by the execution's own link, after its deletion too."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(SENSOR, description='The first', parameters_schema={})
        execution_id, script = await api.running(SENSOR, script_id)
        script.exit(0)
        await api.listener.wait_for(execution_id)
        await _replace(api, script_id, b'second\n')
        path = f'/{SENSOR}/scripts/{script_id}'
        status, body = await api.json('GET', f'{path}/versions')
        assert status == 200
        second, first = body['items']
        content = f'/api/v1{path}/content?version='
        known = {
            'version': SECOND,
            'href': content + SECOND,
            'current': True,
            'file_name': 'new.sh',
            'size': 7,
            'executions': 0,
            'name': 'New',
            'kind': 'sh',
            'uploaded_by': '127.0.0.1',
        }
        assert second | known == second
        known = {
            'version': FIRST,
            'href': content + FIRST,
            'current': False,
            'file_name': 'check.sh',
            'executions': 1,
            'description': 'The first',
            'parameters_schema': {},
        }
        assert first | known == first
        for change in (None, 'DELETE'):
            if change is not None:
                assert (await api.request(change, path)).status == 204
            _, detail = await api.json('GET', f'{path}/executions/{execution_id}')
            assert detail['script_content'] == content + FIRST
            async with api.client.get(detail['script_content']) as response:
                assert (response.status, await response.read()) == (200, b'true\n')
                assert 'check.sh' in response.headers['Content-Disposition']
        _, body = await api.json('GET', f'{path}/versions')
        assert [(each['version'], each['current']) for each in body['items']] == [(FIRST, False)]


async def test_a_version_that_is_put_elsewhere_before_it_is_opened_is_read_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its script is deleted between the two."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(SENSOR)
        execution_id, script = await api.running(SENSOR, script_id)
        script.exit(0)
        await api.listener.wait_for(execution_id)
        path = f'/{SENSOR}/scripts/{script_id}'
        opened = ScriptVersions.content

        async def late(*arguments: Any) -> Content:
            await api.request('DELETE', path)
            return await opened(*arguments)

        monkeypatch.setattr(ScriptVersions, 'content', late)
        response = await api.request('GET', f'{path}/content?version={FIRST}')
        assert (response.status, await response.read()) == (200, b'true\n')


async def test_a_version_that_is_not_there_is_refused_with_those_that_are(
    tmp_path: Path,
) -> None:
    """What cannot be a version is another matter."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(SENSOR)
        path = f'/{SENSOR}/scripts/{script_id}/content'
        status, body = await api.json('GET', f'{path}?version={THIRD}')
        assert (status, body['error_code']) == (404, 'resource-not-found')
        assert THIRD in body['message']
        assert f'there are: {FIRST}' in body['message']
        status, body = await api.json('GET', f'{path}?version=latest')
        assert (status, body['error_code']) == (400, 'invalid-parameter')
        assert 'SHA-256' in body['message']


async def test_of_a_managed_script_the_version_of_its_file_is_there(tmp_path: Path) -> None:
    """An older one is gone: its file is not the gateway's to keep."""
    file = tmp_path / 'self_test.sh'
    file.write_bytes(b'true\n')
    script = Script(
        id='self_test', name='Self test', kind=ScriptKind.SH, path=file, version='0', size=5
    )
    managed = (ManagedScript(script=script, entities=('*',)),)
    path = f'/{SENSOR}/scripts/self_test'
    async with serve_api(tmp_path, managed=managed) as api:
        execution_id, process = await api.running(SENSOR, 'self_test')
        process.exit(0)
        await api.listener.wait_for(execution_id)
        _, detail = await api.json('GET', f'{path}/executions/{execution_id}')
        assert detail['script_content'] == f'/api/v1{path}/content?version={FIRST}'
        file.write_bytes(b'second\n')
        _, body = await api.json('GET', f'{path}/versions')
        assert [each['version'] for each in body['items']] == [SECOND]
        response = await api.request('GET', f'{path}/content?version={SECOND}')
        assert await response.read() == b'second\n'
        assert (await api.json('GET', f'{path}/content?version={FIRST}'))[0] == 404
        _, detail = await api.json('GET', f'{path}/executions/{execution_id}')
        assert 'script_content' not in detail


async def test_a_refusal_names_the_newest_versions_and_how_many_more(tmp_path: Path) -> None:
    """At most twenty by name."""
    library = _opened(tmp_path)
    await library.open()
    async with library.begin_upload() as upload:
        await upload.write(b'0\n')
        script = await library.create(APP, upload, 'check.sh', Metadata())
    names = [script.version]
    for number in range(1, 23):
        async with library.begin_upload() as upload:
            await upload.write(b'%d\n' % number)
            script = await library.replace(
                APP, script.id, upload, versions_in_use=versions.in_use(set(names))
            )
            names.append(script.version)
    with pytest.raises(VersionNotFound, match=f'{names[-1]}, .*{names[3]} and 3 more'):
        await library.versions.find(APP, script.id, THIRD)
    found, more = await library.versions.newest(APP, script.id, limit=5)
    assert ([each.version for each in found], more) == (names[:-6:-1], True)
