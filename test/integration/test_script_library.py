# SPDX-License-Identifier: Apache-2.0
"""The script library on a real disk."""

import asyncio
from collections.abc import AsyncIterator, Callable, Container, Mapping, Sequence
import errno
import hashlib
import json
import logging
import os
from pathlib import Path
import signal
import stat
import subprocess
import sys
import threading
from typing import Any

from import_path import IMPORT_PATH
import pytest
from small_disks import mounted
from uploads import APP, create_script, replace_script
import versions

from gateway_node.clock import SystemClock
from gateway_node.entities.values import EntityRef
from gateway_node.manifest_files import ManifestInvalid
from gateway_node.scripts import arrivals, uploaded_scripts
from gateway_node.scripts.beginning import Beginning, read_beginning
from gateway_node.scripts.errors import (
    LibraryUnavailable,
    NoPlainFile,
    ScriptIsManaged,
    ScriptLimitReached,
    ScriptNotFound,
    ScriptRefused,
    ScriptsTurnedOff,
    ScriptTooLarge,
    UploadsTurnedOff,
)
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.managed import hash_file, ManagedScript
from gateway_node.scripts.mending import mend
from gateway_node.scripts.metadata import Metadata, parse_metadata
from gateway_node.scripts.scripts_manifest import load_scripts_manifest
from gateway_node.scripts.values import EVERY_VERSION, Script, ScriptKind
from gateway_node.threads import Threads
from gateway_node.violations import Violation

COMPONENT = EntityRef.from_path('components/temp_sensor')
MAX_BYTES = 1_000_000
PATIENCE_SEC = 20.0


class Schemas:
    """Refuses a schema that says so; what a real checker decides is tested elsewhere."""

    async def check_schema(self, schema: Mapping[str, Any]) -> None:
        """See `SchemaChecker`."""
        if 'bad' in schema:
            raise ScriptRefused('/bad: no', (Violation(path='/bad', reason='no'),))

    async def check_parameters(
        self, schema: Mapping[str, Any], parameters: Mapping[str, Any]
    ) -> Sequence[str]:
        """See `SchemaChecker`."""
        return ()


def _library(
    directory: Path | None,
    managed: tuple[ManagedScript, ...] = (),
    allow_uploads: bool = True,
    max_scripts: int = 0,
) -> ScriptLibrary:
    return ScriptLibrary(
        scripts_dir=directory,
        max_file_bytes=MAX_BYTES,
        schemas=Schemas(),
        clock=SystemClock(),
        managed=managed,
        allow_uploads=allow_uploads,
        max_scripts=max_scripts,
    )


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[ScriptLibrary]:
    """Give an empty library; afterwards nothing is left in its staging directory."""
    library = _library(tmp_path / 'scripts')
    await library.open()
    yield library
    await library.close()
    assert not _incoming(tmp_path)


async def _reopened(tmp_path: Path, in_use: Container[str] = ()) -> ScriptLibrary:
    library = _library(tmp_path / 'scripts')
    await library.open(versions.in_use(in_use))
    return library


def _incoming(tmp_path: Path) -> list[str]:
    return os.listdir(tmp_path / 'scripts' / '.incoming')


async def test_an_upload_is_a_script_in_its_version(library: ScriptLibrary) -> None:
    """The bytes are kept as they came, for its owner to execute, under the file's own name."""
    content = b'#!/bin/sh\necho \xff\0\r\n' * 30_000
    script = await create_script(library, content, metadata={'tags': ['a'], 'timeout_sec': 3})
    assert script.path.read_bytes() == content
    assert script.version == hashlib.sha256(content).hexdigest()
    assert script.size == len(content)
    assert (script.name, script.kind, script.tags) == ('check.sh', ScriptKind.SH, ('a',))
    assert not script.managed
    assert stat.S_IMODE(script.path.stat().st_mode) == 0o500
    assert script.path.parts[-3:] == (script.id, script.version, 'check.sh')
    assert script.runs_from == script.path
    assert await library.get(APP, script.id) == script
    assert await library.list(APP) == (script,)


async def test_a_script_belongs_to_one_entity(library: ScriptLibrary) -> None:
    """`apps/x` and `components/x` are different entities."""
    script = await create_script(library)
    assert library.has_scripts(APP)
    assert not library.has_scripts(COMPONENT)
    assert library.entities_with_scripts() == {APP}
    assert await library.list(COMPONENT) == ()
    for call in (library.get, library.delete):
        with pytest.raises(ScriptNotFound):
            await call(COMPONENT, script.id)


async def test_scripts_are_there_again_after_a_restart(
    library: ScriptLibrary, tmp_path: Path
) -> None:
    """With all that was said about them, in the order in which they came."""
    metadata = {
        'name': 'N',
        'description': 'D',
        'kind': 'bash',
        'exit_verdicts': {'1': 'FAIL'},
        'retries': {'limit': 2},
        'limits': {'memory_mb': 5},
        'single_execution': True,
        'proximity_proof_required': True,
        'confirmation': 'The arm is free to move.',
        'parameters_schema': {'type': 'object'},
    }
    scripts = [await create_script(library, b'%d' % n, metadata=metadata) for n in range(20)]
    scripts[3] = await replace_script(library, scripts[3], b'x', file_name='b.sh')
    await library.delete(APP, scripts.pop(7).id)
    later = await _reopened(tmp_path)
    assert await later.list(APP) == tuple(scripts)
    assert (await create_script(later)) == (await later.list(APP))[-1]


async def test_a_replacement_is_a_new_version_under_the_same_id(library: ScriptLibrary) -> None:
    """Metadata that the replacement does not name stay; the old version's file goes."""
    first = await create_script(library, b'one', metadata={'description': 'D', 'timeout_sec': 4})
    second = await replace_script(library, first, b'two')
    assert second.id == first.id
    assert second.version == hashlib.sha256(b'two').hexdigest()
    assert (second.name, second.description, second.timeout_sec) == ('check.sh', 'D', 4)
    assert not first.path.exists()
    third = await replace_script(
        library, second, b'three', file_name='new.py', metadata={'timeout_sec': None}
    )
    assert (third.name, third.kind, third.description) == ('new.py', ScriptKind.PYTHON, 'D')
    assert third.timeout_sec is None
    with pytest.raises(ScriptRefused, match='contradicts'):
        await replace_script(library, third, b'four', metadata={'kind': 'sh'})
    assert await library.get(APP, first.id) == third
    assert third.path.read_bytes() == b'three'


async def test_a_version_in_use_stays_until_nobody_uses_it(
    library: ScriptLibrary, tmp_path: Path
) -> None:
    """A running script's file is not pulled away under it, over a restart neither."""
    first = await create_script(library, b'one')
    second = await replace_script(library, first, b'two', in_use=(first.version,))
    assert first.path.read_bytes() == b'one'
    await _reopened(tmp_path, frozenset({first.version}))
    assert first.path.exists()
    await _reopened(tmp_path, EVERY_VERSION)
    assert first.path.exists()
    await _reopened(tmp_path)
    assert not first.path.exists()
    assert second.path.exists()


async def test_versions_that_may_be_in_use_stay_over_a_replacement(
    library: ScriptLibrary, tmp_path: Path
) -> None:
    """What a database that was set aside refers to is known to nobody."""
    first = await create_script(library, b'one')
    later = await _reopened(tmp_path, EVERY_VERSION)
    second = await replace_script(later, first, b'two', in_use=EVERY_VERSION)
    third = await replace_script(later, second, b'three', in_use=EVERY_VERSION)
    assert [s.path.read_bytes() for s in (first, second, third)] == [b'one', b'two', b'three']
    await _reopened(tmp_path)
    assert [s.path.exists() for s in (first, second, third)] == [False, False, True]


async def test_the_same_bytes_again_are_the_same_version(library: ScriptLibrary) -> None:
    """In the same script and in another."""
    first = await create_script(library, b'same')
    again = await replace_script(library, first, b'same', metadata={'name': 'again'})
    other = await create_script(library, b'same')
    assert (again.version, again.path, again.name) == (first.version, first.path, 'again')
    assert other.version == first.version
    await library.delete(APP, first.id)
    assert other.path.read_bytes() == b'same'


async def test_a_deleted_script_is_gone(library: ScriptLibrary, tmp_path: Path) -> None:
    """With all its files, and after a restart."""
    script = await create_script(library)
    await library.delete(APP, script.id)
    with pytest.raises(ScriptNotFound):
        await library.get(APP, script.id)
    with pytest.raises(ScriptNotFound):
        await library.delete(APP, script.id)
    with pytest.raises(ScriptNotFound):
        await replace_script(library, script, b'x')
    assert not script.path.parents[1].exists()
    assert await (await _reopened(tmp_path)).list(APP) == ()


async def test_a_replacement_does_not_bring_back_what_is_being_deleted(
    library: ScriptLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted while it is replaced, and again right after: it is gone, and the second is told."""
    script = await create_script(library)
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slowly(path: Path, kind: ScriptKind) -> Beginning:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(PATIENCE_SEC)
        return read_beginning(path, kind)

    monkeypatch.setattr(arrivals, 'read_beginning', slowly)
    replacing = asyncio.create_task(replace_script(library, script, b'two'))
    await begun.wait()
    deleting = asyncio.create_task(library.delete(APP, script.id))
    go_on.set()
    await replacing
    with pytest.raises(ScriptNotFound):
        await library.delete(APP, script.id)
    await deleting
    assert await library.list(APP) == ()
    assert await (await _reopened(tmp_path)).list(APP) == ()


@pytest.mark.parametrize(
    ('content', 'file_name', 'metadata', 'error'),
    [
        (b'', 'a.sh', {}, ScriptRefused),
        (b'x', '../a.sh', {}, ScriptRefused),
        (b'x', 'a.sh', {'parameters_schema': {'bad': 1}}, ScriptRefused),
        (b'x' * (MAX_BYTES + 1), 'a.sh', {}, ScriptTooLarge),
    ],
)
async def test_a_refused_upload_leaves_nothing(
    library: ScriptLibrary,
    tmp_path: Path,
    content: bytes,
    file_name: str,
    metadata: dict[str, Any],
    error: type[Exception],
) -> None:
    """Neither a script nor a file, and a replacement leaves the script as it was."""
    script = await create_script(library)
    with pytest.raises(error):
        await create_script(library, content, file_name=file_name, metadata=metadata)
    with pytest.raises(error):
        await replace_script(library, script, content, file_name=file_name, metadata=metadata)
    assert await library.list(APP) == (script,)
    assert not _incoming(tmp_path)


async def test_an_unknown_suffix_is_refused_and_in_a_replacement_changes_nothing(
    library: ScriptLibrary,
) -> None:
    """A client that sends the file from a pipe names it `-`."""
    with pytest.raises(ScriptRefused, match='no known suffix'):
        await create_script(library, file_name='-')
    script = await create_script(library)
    replaced = await replace_script(library, script, b'x', file_name='-')
    assert (replaced.name, replaced.kind) == ('-', ScriptKind.SH)
    assert replaced.path.name == '-'


async def test_the_limit_is_the_last_size_that_is_taken(library: ScriptLibrary) -> None:
    """One byte less than too large."""
    script = await create_script(library, b'x' * MAX_BYTES)
    assert script.size == MAX_BYTES


async def test_a_schema_is_refused_by_its_place_in_the_metadata(library: ScriptLibrary) -> None:
    """The checker knows the schema only; a client sees the metadata."""
    with pytest.raises(ScriptRefused) as refused:
        await create_script(library, metadata={'parameters_schema': {'bad': 1}})
    assert [v.path for v in refused.value.violations] == ['/parameters_schema/bad']


async def test_an_upload_that_is_not_taken_leaves_nothing(
    library: ScriptLibrary, tmp_path: Path
) -> None:
    """Also where the request is cancelled while a thread writes."""

    async def receive() -> None:
        async with library.begin_upload() as upload:
            while True:
                await upload.write(b'x' * 10_000)
                await asyncio.sleep(0)
                if upload.size > 700_000:
                    raise KeyError('the client sent nonsense')

    with pytest.raises(KeyError):
        await receive()
    assert not _incoming(tmp_path)
    for turns in range(1, 60, 7):
        receiving = asyncio.ensure_future(receive())
        for _ in range(turns):
            await asyncio.sleep(0)
        receiving.cancel()
        with pytest.raises((asyncio.CancelledError, KeyError)):
            await receiving
    assert await library.list(APP) == ()


async def test_a_cancelled_change_is_finished(library: ScriptLibrary, tmp_path: Path) -> None:
    """Memory and disk agree whenever a client goes away."""
    for turns in range(12):
        creating = asyncio.ensure_future(create_script(library, b'%d' % turns))
        for _ in range(turns):
            await asyncio.sleep(0)
        creating.cancel()
        await asyncio.gather(creating, return_exceptions=True)
    # Changes are made one after the other: after one more the cancelled ones are through.
    last = await create_script(library, b'last')
    known = await library.list(APP)
    assert known[-1] == last
    assert await (await _reopened(tmp_path)).list(APP) == known


@pytest.mark.parametrize('replacing', [False, True])
async def test_an_upload_is_not_removed_under_the_change_that_has_it(
    library: ScriptLibrary, tmp_path: Path, replacing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that goes away while the change waits for its turn: `close` sees the end of it."""
    script = await create_script(library, b'one')
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slowly(path: Path, kind: ScriptKind) -> Beginning:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(PATIENCE_SEC)
        return read_beginning(path, kind)

    monkeypatch.setattr(arrivals, 'read_beginning', slowly)
    change = (
        replace_script(library, script, b'two') if replacing else create_script(library, b'two')
    )
    asked = asyncio.create_task(change)
    await begun.wait()
    asked.cancel()
    await asyncio.wait({asked})
    assert asked.cancelled()
    go_on.set()
    await library.close()
    last = (await library.list(APP))[-1]
    assert last.path.read_bytes() == b'two'
    assert not _incoming(tmp_path)


async def test_a_change_that_fails_unheard_is_told_and_leaves_nothing(
    library: ScriptLibrary,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Who asked is gone: the log says what the answer would have said."""
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def refuse(path: Path, kind: ScriptKind) -> Beginning:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(PATIENCE_SEC)
        raise OSError(errno.EIO, 'broken')

    monkeypatch.setattr(arrivals, 'read_beginning', refuse)
    asked = asyncio.create_task(create_script(library))
    await begun.wait()
    asked.cancel()
    await asyncio.wait({asked})
    go_on.set()
    await library.close()
    assert 'failed, and nobody waits for it: take the upload' in caplog.text
    assert 'EIO' in caplog.text
    assert not _incoming(tmp_path)


async def test_the_end_does_not_wait_for_a_disk_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names what has not ended; the next start removes what is left of it."""
    monkeypatch.setattr(uploaded_scripts, '_CLOSE_PATIENCE_SEC', 0.1)
    begun, go_on = threading.Event(), threading.Event()

    def hang(path: Path, kind: ScriptKind) -> Beginning:
        begun.set()
        go_on.wait(PATIENCE_SEC)
        raise OSError(errno.EIO, 'broken')

    monkeypatch.setattr(arrivals, 'read_beginning', hang)
    library = _library(tmp_path / 'scripts')
    await library.open()
    asked = asyncio.create_task(create_script(library))
    await Threads('waiter', 1).run(begun.wait, PATIENCE_SEC)
    asked.cancel()
    await asyncio.wait({asked})
    await library.close()
    assert 'not ended within 0.1 s: take the upload' in caplog.text
    go_on.set()
    await library.close()


async def test_many_uploads_and_replacements_at_once_do_not_collide(
    library: ScriptLibrary, tmp_path: Path
) -> None:
    """Every creation is a script of its own; the last replacement's file is there."""
    scripts = await asyncio.gather(*(create_script(library, b'%d' % n) for n in range(30)))
    assert len({script.id for script in scripts}) == 30
    await asyncio.gather(*(replace_script(library, scripts[0], b'new %d' % n) for n in range(30)))
    present = await library.get(APP, scripts[0].id)
    assert hashlib.sha256(present.path.read_bytes()).hexdigest() == present.version
    assert sorted(os.listdir(present.path.parents[1])) == sorted([present.version, 'script.json'])
    assert await (await _reopened(tmp_path)).list(APP) == await library.list(APP)


@pytest.mark.parametrize(
    'damage',
    [
        lambda home: (home / 'script.json').write_text('{"half": '),
        lambda home: (home / 'script.json').write_bytes(b''),
        lambda home: (home / 'script.json').write_text('[' * 100_000),
        lambda home: (home / 'script.json').write_text('[]'),
        lambda home: (home / 'script.json').write_text('{"format": 99}'),
        lambda home: (home / 'script.json').unlink(),
        lambda home: _edit(home, entity='hosts/x'),
        lambda home: _edit(home, kind='perl'),
        lambda home: _edit(home, version='../../../etc/passwd'),
        lambda home: _edit(home, version=7),
        lambda home: _edit(home, size='big'),
        lambda home: _edit(home, file_name=None),
        lambda home: _edit(home, metadata={'timeout_sec': -1}),
        lambda home: next(home.glob('*/*.sh')).unlink(),
        lambda home: os.truncate(next(home.glob('*/*.sh')), 2),
        lambda home: _edit(home, first_line=None),
        lambda home: _edit(home, mended=['oil']),
        lambda home: _edit(home, mended=['line-ends']),
        lambda home: _make_directory_of(home / 'script.json'),
    ],
)
async def test_a_damaged_script_is_set_aside_and_named(
    library: ScriptLibrary, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Any
) -> None:
    """The others are served, and a person finds the damaged one where the log says."""
    good, bad = await create_script(library, b'good'), await create_script(library, b'a bad one')
    damage(bad.path.parents[1])
    with caplog.at_level(logging.ERROR):
        later = await _reopened(tmp_path)
    assert await later.list(APP) == (good,)
    [message] = [r.getMessage() for r in caplog.records if bad.id in r.getMessage()]
    [aside] = (tmp_path / 'scripts' / '.damaged').iterdir()
    assert str(aside) in message
    again = await _reopened(tmp_path)
    assert await again.list(APP) == (good,)
    assert (library.set_aside, later.set_aside, again.set_aside) == ((), (aside,), (aside,))


def _edit(home: Path, **changes: Any) -> None:
    path = home / 'script.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _make_directory_of(path: Path) -> None:
    path.unlink()
    path.mkdir()


async def test_what_is_no_script_in_the_directory_is_left_alone(
    library: ScriptLibrary, tmp_path: Path
) -> None:
    """A person's notes and links are neither served nor removed."""
    directory = tmp_path / 'scripts'
    (directory / 'README').write_text('mine')
    (directory / 'script_zz').mkdir()
    (directory / 'script_0123456789abcdef').symlink_to('/etc')
    assert await (await _reopened(tmp_path)).list(APP) == ()
    assert (directory / 'README').read_text() == 'mine'
    assert (directory / 'script_0123456789abcdef').is_symlink()


UPLOADER = """
import asyncio, sys
from pathlib import Path
sys.path[:0] = {folders!r}
from test_script_library import _library
from uploads import APP, create_script, replace_script

async def main():
    library = _library(Path({directory!r}))
    await library.open()
    print('open', flush=True)
    content = b'true\\r\\n' * 30_000
    script = await create_script(library, b'first')
    number = 0
    while True:
        number += 1
        await create_script(library, content + b'%d' % number)
        script = await replace_script(library, script, content + b'r%d' % number)
        print(number, flush=True)

asyncio.run(main())
"""


def _uploader(directory: Path) -> 'subprocess.Popen[bytes]':
    folders = [str(Path(__file__).parent), *IMPORT_PATH.split(os.pathsep)]
    program = UPLOADER.format(folders=folders, directory=str(directory))
    return subprocess.Popen([sys.executable, '-c', program], stdout=subprocess.PIPE)


@pytest.mark.parametrize('delay_ms', [0, 3, 11, 23, 41, 60])
async def test_a_gateway_killed_in_the_middle_leaves_no_half_script(
    tmp_path: Path, delay_ms: int
) -> None:
    """After SIGKILL at any moment every script that is there is whole, and the rest is swept."""
    directory = tmp_path / 'scripts'
    with _uploader(directory) as uploader:
        assert uploader.stdout is not None
        try:
            assert await asyncio.to_thread(uploader.stdout.readline) == b'open\n'
            acknowledged = int(await asyncio.to_thread(uploader.stdout.readline))
            await asyncio.sleep(delay_ms / 1000)
        finally:
            uploader.send_signal(signal.SIGKILL)
        # What the pipe still held was acknowledged too; a torn last line was not.
        lines = uploader.stdout.read().split(b'\n')[:-1]
        acknowledged = int(lines[-1]) if lines else acknowledged
    library = await _reopened(tmp_path)
    scripts = await library.list(APP)
    assert len(scripts) >= 1 + acknowledged
    for script in scripts:
        content = script.path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == script.version
        assert script.runs_from.read_bytes() == mend(content, script.mended)
        home = script.path.parents[1]
        found = {path for path in home.rglob('*') if path.is_file()}
        assert found == {script.path, script.runs_from, home / 'script.json'}
    assert not _incoming(tmp_path)
    assert not (directory / '.damaged').exists()


@pytest.mark.parametrize('step', ['write', 'fsync', 'rename', 'open', 'mkdir'])
@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EROFS])
async def test_a_disk_that_refuses_is_named_and_leaves_everything_as_it_was(
    library: ScriptLibrary,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    number: int,
) -> None:
    """Wherever in the change it happens; once there is room again all goes on."""
    script = await create_script(library, b'before')

    def refuse(*_args: Any, **_options: Any) -> None:
        raise OSError(number, os.strerror(number))

    for change in (create_script(library, b'new'), replace_script(library, script, b'new')):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, refuse)
            try:
                await change
            except LibraryUnavailable as error:
                assert errno.errorcode[number] in str(error)  # noqa: PT017
            else:
                assert step == 'mkdir'
    monkeypatch.undo()
    if step != 'mkdir':
        assert await library.list(APP) == (script,)
        assert script.path.read_bytes() == b'before'
    later = await _reopened(tmp_path)
    assert await later.list(APP) == await library.list(APP)
    await create_script(library, b'after')


async def test_a_small_disk_that_fills_up_refuses_and_recovers(tmp_path: Path) -> None:
    """The real thing, on a tmpfs of 256 KiB."""
    with mounted(tmp_path / 'scripts', 'size=256k') as directory:
        library = _library(directory)
        await library.open()
        script = await create_script(library, b'before')
        with pytest.raises(LibraryUnavailable, match='ENOSPC'):
            await create_script(library, bytes(900_000))
        assert await library.list(APP) == (script,)
        assert not _incoming(tmp_path)
        await create_script(library, bytes(50_000))


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The start says which directory and why."""
    (tmp_path / 'file').write_text('')
    library = _library(tmp_path / 'file' / 'scripts')
    with pytest.raises(LibraryUnavailable, match='ENOTDIR'):
        await library.open()


async def test_scripts_that_are_turned_off_are_refused_everywhere() -> None:
    """Nothing is pretended, and no entity is held."""
    library = _library(None)
    await library.open()
    for call in (library.list(APP), library.get(APP, 'x'), library.delete(APP, 'x')):
        with pytest.raises(ScriptsTurnedOff):
            await call
    with pytest.raises(ScriptsTurnedOff):
        library.begin_upload()
    with pytest.raises(ScriptsTurnedOff):
        library.check_turned_on()
    assert not library.has_scripts(APP)


async def test_uploads_can_be_turned_off_alone(library: ScriptLibrary, tmp_path: Path) -> None:
    """What is there is served and stays."""
    script = await create_script(library)
    closed = _library(tmp_path / 'scripts', allow_uploads=False)
    await closed.open()
    with pytest.raises(UploadsTurnedOff):
        closed.begin_upload()
    with pytest.raises(UploadsTurnedOff):
        await closed.delete(APP, script.id)
    assert await closed.list(APP) == (script,)


async def test_a_script_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    """Two at the last place cannot both have it; managed ones do not count, new versions go on."""
    (tmp_path / 'a.sh').write_text('a')
    manifest = tmp_path / 'scripts.yaml'
    manifest.write_text('scripts: [{id: a, path: a.sh, entities: [apps/*]}]')
    managed = load_scripts_manifest(manifest)
    library = _library(tmp_path / 'scripts', managed, max_scripts=2)
    await library.open()
    first = await create_script(library)
    uploads = (create_script(library) for _ in range(3))
    results = await asyncio.gather(*uploads, return_exceptions=True)
    assert [isinstance(each, Script) for each in results].count(True) == 1
    (refused, _) = (each for each in results if isinstance(each, ScriptLimitReached))
    assert str(refused) == (
        '2 scripts are uploaded, as many as scripts.max_scripts allows; delete one'
    )
    assert len(await library.list(APP)) == 1 + 2
    with pytest.raises(ScriptLimitReached):
        library.begin_upload()
    await replace_script(library, first, b'false\n')
    await library.delete(APP, first.id)
    await create_script(library)
    assert not _incoming(tmp_path)


async def test_more_scripts_than_the_limit_are_opened(tmp_path: Path) -> None:
    """A limit that was set later removes nothing."""
    earlier = _library(tmp_path / 'scripts')
    await earlier.open()
    scripts = tuple([await create_script(earlier) for _ in range(3)])
    library = _library(tmp_path / 'scripts', max_scripts=2)
    await library.open()
    assert await library.list(APP) == scripts
    with pytest.raises(ScriptLimitReached):
        await create_script(library)


async def _with_managed(tmp_path: Path, manifest: str) -> ScriptLibrary:
    path = tmp_path / 'scripts.yaml'
    path.write_text(manifest)
    library = _library(tmp_path / 'scripts', load_scripts_manifest(path))
    await library.open()
    return library


async def test_managed_scripts_come_first_and_stay_as_they_are(tmp_path: Path) -> None:
    """Globs choose their entities; a client can neither replace nor delete them."""
    (tmp_path / 'b.sh').write_text('b')
    (tmp_path / 'a.sh').write_text('a')
    library = await _with_managed(
        tmp_path,
        'scripts:\n'
        '  - {id: b, path: b.sh, entities: [apps/*]}\n'
        '  - {id: a, path: a.sh, entities: [components/h, apps/temp_sensor]}\n',
    )
    upload = await create_script(library)
    assert [script.id for script in await library.list(APP)] == ['b', 'a', upload.id]
    assert [script.id for script in await library.list(COMPONENT)] == []
    assert library.entities_with_scripts() == {APP, EntityRef.from_path('components/h')}
    managed = await library.get(APP, 'b')
    assert managed.managed
    with pytest.raises(ScriptIsManaged):
        await library.delete(APP, 'b')
    with pytest.raises(ScriptIsManaged):
        await replace_script(library, managed, b'x')
    with pytest.raises(ScriptNotFound):
        await library.get(COMPONENT, 'b')
    with pytest.raises(ScriptNotFound):
        await library.delete(COMPONENT, 'b')


async def test_a_managed_file_that_changes_is_a_new_version(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An update of the robot's software shows; a file that vanished keeps its last version."""
    path = tmp_path / 'b.sh'
    path.write_text('one')
    library = await _with_managed(tmp_path, 'scripts: [{id: b, path: b.sh, entities: apps/*}]')
    first = await library.get(APP, 'b')
    path.write_text('three')
    second = await library.get(APP, 'b')
    assert second.version == hashlib.sha256(b'three').hexdigest() != first.version
    assert second.size == 5
    path.unlink()
    assert await library.list(APP) == (second,)
    assert 'b cannot be read' in caplog.text


async def test_the_version_of_a_managed_script_is_shown_as_it_was_a_moment_ago(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever shows many executions asks the disk once; whoever starts one asks it each time, and
    again where its checks took their time."""
    path = tmp_path / 'b.sh'
    path.write_text('one')
    library = await _with_managed(tmp_path, 'scripts: [{id: b, path: b.sh, entities: apps/*}]')
    monkeypatch.setattr('gateway_node.scripts.managed_scripts.SHOWN_SEC', 3600.0)
    asked = [(APP, 'b'), (APP, 'nobody')]
    one = hashlib.sha256(b'one').hexdigest()
    assert await library.versions_of(asked) == {asked[0]: one, asked[1]: None}
    path.write_text('three')
    assert (await library.versions_of(asked))[asked[0]] == one
    assert (await library.get(APP, 'b', within_sec=3600)).version == one
    three = (await library.get(APP, 'b')).version
    assert (await library.versions_of(asked))[asked[0]] == three != one
    monkeypatch.setattr('gateway_node.scripts.managed_scripts.SHOWN_SEC', 0.0)
    await library.get(APP, 'b')
    path.write_text('one')
    assert (await library.versions_of(asked))[asked[0]] == one


async def test_managed_files_that_hang_hold_nothing_else_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a mount that does not answer: the last version is shown, uploads and others go on."""
    monkeypatch.setattr('gateway_node.scripts.managed.LOOK_PATIENCE_SEC', 0.2)
    files = [tmp_path / f'{letter}.sh' for letter in 'abcde']
    for file in files:
        file.write_text('true')
    rows = ''.join(f'  - {{id: {file.stem}, path: {file}, entities: apps/*}}\n' for file in files)
    library = await _with_managed(tmp_path, f'scripts:\n{rows}')
    before = await library.list(APP)
    answers = threading.Event()

    def hash_slowly(path: Path) -> tuple[str, int]:
        if path != files[-1]:
            answers.wait(PATIENCE_SEC)
        return hash_file(path)

    monkeypatch.setattr('gateway_node.scripts.managed.hash_file', hash_slowly)
    for file in files:
        file.write_text('false')
    try:
        async with asyncio.timeout(PATIENCE_SEC):
            for _ in range(50):
                *hanging, answering = await library.list(APP)
                assert hanging == list(before[:-1])
                assert answering.size == len('false')
            names = [f'managed script {file.stem} does not answer: {file}' for file in files[:-1]]
            assert list(library.warnings) == [f'the file of {name}' for name in names]
            assert [caplog.text.count(name) for name in names] == [1, 1, 1, 1]
            with pytest.raises(LibraryUnavailable, match='managed script a does not answer'):
                await library.content(before[0])
            content = await library.content(answering)
            assert [piece async for piece in content.pieces()] == [b'false']
            upload = await create_script(library)
            assert await library.get(APP, upload.id) == upload
    finally:
        answers.set()
    async with asyncio.timeout(PATIENCE_SEC):
        while library.warnings:
            await library.list(APP)
        assert {script.size for script in (await library.list(APP))[:-1]} == {len('false')}


@pytest.mark.parametrize('make', [os.mkfifo, lambda path: path.symlink_to('/dev/zero')])
async def test_a_managed_file_that_became_something_else_is_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, make: Callable[[Path], None]
) -> None:
    """Neither a pipe, which would hold its reader for ever, nor a device, which has no end."""
    path = tmp_path / 'b.sh'
    path.write_text('one')
    library = await _with_managed(tmp_path, 'scripts: [{id: b, path: b.sh, entities: apps/*}]')
    path.unlink()
    make(path)
    async with asyncio.timeout(PATIENCE_SEC):
        script = await library.get(APP, 'b')
        assert script.size == len('one')
        assert library.warnings == ()
        with pytest.raises(NoPlainFile):
            await library.content(script)
    assert 'managed script b cannot be read: ' in caplog.text
    assert 'it is no plain file' in caplog.text


async def test_a_managed_schema_that_is_refused_stops_the_start(tmp_path: Path) -> None:
    """The line names the script."""
    (tmp_path / 'b.sh').write_text('b')
    with pytest.raises(ManifestInvalid, match="parameters_schema of script 'b'"):
        await _with_managed(
            tmp_path,
            'scripts: [{id: b, path: b.sh, entities: apps/*, parameters_schema: {bad: 1}}]',
        )


def test_metadata_of_nothing_is_the_default() -> None:
    """What the HTTP room hands in where there is no such part."""
    assert Metadata() == parse_metadata({})
