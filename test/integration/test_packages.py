# SPDX-License-Identifier: Apache-2.0
"""Scripts of several files: how they lie on the disk, how they change, and that they run."""

import asyncio
from collections.abc import AsyncIterator, Callable
import contextlib
import errno
import hashlib
import io
import os
from pathlib import Path
import stat
import threading
from typing import Any
import zipfile

from api_support import Api, form, serve_api
from fakes import FakeSchemaChecker
import pytest
from runner_support import Floor, floor_on, needs_launch
from small_disks import mounted
from uploads import APP, create_script, replace_script
import versions
from warm_support import warm_floor_on
from zip_files import archive_of

from gateway_node.clock import SystemClock
from gateway_node.executions.runner_ports import EndCause
from gateway_node.scripts import upload
from gateway_node.scripts.archives import Archive
from gateway_node.scripts.errors import LibraryUnavailable, ScriptRefused
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.packages import Package, unpack
from gateway_node.scripts.values import Mending, Script, ScriptKind

FILES = {'bin/check.py': 'import table\nprint(table.ROWS)\n', 'bin/table.py': 'ROWS = 3\n'}
PACKAGE = archive_of(FILES)
ENTRY = {'entry': 'bin/check.py'}


def library_in(directory: Path) -> ScriptLibrary:
    """Return a library."""
    return ScriptLibrary(
        scripts_dir=directory / 'scripts',
        max_file_bytes=20_000,
        schemas=FakeSchemaChecker(),
        clock=SystemClock(),
    )


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[ScriptLibrary]:
    """Give an empty library; afterwards nothing is left in its staging directory."""
    library = library_in(tmp_path)
    await library.open()
    yield library
    await library.close()
    assert not incoming(tmp_path)


def incoming(directory: Path) -> list[str]:
    """Return what lies in the staging directory."""
    return os.listdir(directory / 'scripts' / '.incoming')


async def reopened(directory: Path) -> ScriptLibrary:
    """Return the library after a restart."""
    library = library_in(directory)
    await library.open()
    return library


async def packed(library: ScriptLibrary, content: bytes = PACKAGE, **metadata: Any) -> Script:
    """Upload a package."""
    return await create_script(library, content, file_name='check.zip', metadata=ENTRY | metadata)


async def test_an_archive_is_unpacked_once_a_version(
    library: ScriptLibrary, tmp_path: Path
) -> None:
    """The file that is named runs, of the kind that its name means; the archive is kept too."""
    script = await packed(library)
    assert (script.kind, script.entry, script.name) == (
        ScriptKind.PYTHON,
        'bin/check.py',
        'check.zip',
    )
    assert script.path.read_bytes() == PACKAGE
    assert script.size == len(PACKAGE)
    folder = script.runs_from.parents[1]
    assert (folder / 'bin/table.py').read_text() == FILES['bin/table.py']
    assert stat.S_IMODE(folder.stat().st_mode) == 0o500
    later = await reopened(tmp_path)
    assert await later.list(APP) == (script,)
    assert not incoming(tmp_path)


async def test_a_package_that_is_replaced_leaves_what_is_in_use(library: ScriptLibrary) -> None:
    """The unpacked files go and stay with their version, and count as the disk that it takes."""
    script = await packed(library)
    other = archive_of(FILES | {'data': 'x' * 5000})
    second = await replace_script(library, script, other, in_use=[script.version])
    assert (second.entry, second.path.name) == (script.entry, 'check.zip')
    assert script.runs_from.is_file()
    assert library.versions.old_bytes > len(PACKAGE) + sum(map(len, FILES.values()))
    await library.versions.prune([script.id], versions.in_use(()))
    assert not script.runs_from.parents[1].exists()
    assert library.versions.old_bytes == 0
    assert second.runs_from.is_file()


async def test_the_same_archive_may_have_another_entry(library: ScriptLibrary) -> None:
    """It is the same version, unpacked once; what runs of it is what was said last."""
    script = await packed(library)
    other = await replace_script(library, script, PACKAGE, metadata={'entry': 'bin/table.py'})
    assert other.version == script.version
    assert other.runs_from == script.runs_from.with_name('table.py')
    assert script.runs_from.is_file()


async def test_a_package_may_become_a_file_and_a_file_a_package(
    library: ScriptLibrary, tmp_path: Path
) -> None:
    """`null` takes the entry away; what was unpacked goes."""
    script = await packed(library)
    with pytest.raises(ScriptRefused, match="no zip file; without 'entry' in the metadata"):
        await replace_script(library, script, b'pass\n', file_name='a.py')
    single = await replace_script(
        library, script, b'pass\n', file_name='a.py', metadata={'entry': None}
    )
    assert (single.entry, single.runs_from) == (None, single.path)
    again = await replace_script(library, single, PACKAGE, metadata=ENTRY)
    assert again.runs_from.read_text() == FILES['bin/check.py']
    bytes_alone = await replace_script(
        library, again, PACKAGE, file_name='a.py', metadata={'entry': None}
    )
    assert bytes_alone.version == again.version
    assert not again.runs_from.exists()
    assert await (await reopened(tmp_path)).list(APP) == (bytes_alone,)


@pytest.mark.parametrize(
    ('files', 'entry', 'reason'),
    [
        ({'../x.sh': ''}, 'x.sh', "'../x.sh' in the archive leads out of its folder"),
        (FILES, 'check.py', "is 'check.py'; allowed, of the archive: bin/check.py, bin/table.py"),
        (FILES, 'bin/', "is 'bin/'; allowed, of the archive"),
        ({'a.sh': ''}, 'a.sh', 'which is empty'),
        ({'a.txt': 'true'}, 'a.txt', 'no known suffix'),
        ({'a.sh': '#!/usr/bin/perl\n'}, 'a.sh', 'the first line'),
        ({str(n): '' for n in range(30)}, 'x.sh', '18, 19 and 10 more'),
    ],
)
async def test_a_package_that_is_refused_leaves_nothing(
    library: ScriptLibrary, tmp_path: Path, files: dict[str, str], entry: str, reason: str
) -> None:
    """It is told why, in full, and what was unpacked is gone."""
    with pytest.raises(ScriptRefused) as refused:
        await packed(library, archive_of(files), entry=entry)
    assert reason in str(refused.value)
    assert await library.list(APP) == ()
    assert not incoming(tmp_path)


async def test_a_replacement_that_is_refused_changes_nothing(
    library: ScriptLibrary, tmp_path: Path
) -> None:
    """The files of the version before are all there."""
    script = await packed(library)
    for files in ({'../x.py': ''}, {'other.py': 'pass\n'}, {'bin/check.py': '#!/bin/sh\n'}):
        with pytest.raises(ScriptRefused):
            await replace_script(library, script, archive_of(files))
    assert await library.list(APP) == (script,)
    assert script.runs_from.read_text() == FILES['bin/check.py']
    assert not incoming(tmp_path)


async def test_line_ends_are_mended_in_all_that_shells_read(library: ScriptLibrary) -> None:
    """What runs says how it was mended; a file whose name is no shell's is refused to run."""
    windows = '. "${0%/*}/lib.sh"\r\n'
    content = archive_of({'a.sh': windows, 'lib.sh': 'echo\r\n', 'b': windows})
    script = await packed(library, content, entry='a.sh')
    assert script.mended == (Mending.LINE_ENDS,)
    assert script.runs_from.read_text() == windows.replace('\r', '')
    assert script.runs_from.with_name('lib.sh').read_text() == 'echo\n'
    assert script.path.read_bytes() == content
    with pytest.raises(ScriptRefused, match='which no shell reads as it is'):
        await packed(library, content, entry='b', kind='sh')


async def test_a_disk_that_refuses_a_package_has_nothing_of_it(
    library: ScriptLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named; with room again the same archive is taken."""
    fsync, left = os.fsync, 3

    def refuse(descriptor: int) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, 'fsync', refuse)
    with pytest.raises(LibraryUnavailable, match=r'unpack an upload: .*ENOSPC'):
        await packed(library)
    assert not incoming(tmp_path)
    assert await packed(library) in await library.list(APP)


async def test_a_package_that_does_not_fit_fills_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused before the first file is written, though the archive itself is small."""
    written: list[str] = []
    with mounted(tmp_path / 'scripts', 'size=160k'):
        library = library_in(tmp_path)
        await library.open()
        script = await packed(library)
        large = archive_of(FILES | {str(number): bytes(20_000) for number in range(9)})
        with monkeypatch.context() as patch:
            patch.setattr(Archive, 'write', lambda *_: written.append('a file'))
            with pytest.raises(LibraryUnavailable, match='ENOSPC'):
                await packed(library, large)
        assert await library.list(APP) == (script,)
        assert not incoming(tmp_path)
        await packed(library)
    assert written == []


async def test_who_unpacks_holds_nobody_up(
    library: ScriptLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the loop nor other changes of scripts, be the package new or a replacement."""
    script = await packed(library)
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slowly(*arguments: Any) -> Package:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(20)
        return unpack(*arguments)

    monkeypatch.setattr(upload, 'unpack', slowly)
    for change in (
        packed(library),
        replace_script(library, script, archive_of(FILES | {'x': ''})),
    ):
        begun.clear()
        go_on.clear()
        slow = asyncio.create_task(change)
        await begun.wait()
        other = await packed(library, b'pass\n', entry=None, kind='python')
        await library.delete(APP, other.id)
        assert not slow.done()
        go_on.set()
        await slow


async def test_a_package_whose_files_are_gone_is_damaged(
    library: ScriptLibrary, tmp_path: Path
) -> None:
    """It is set aside at the start, and the others are served."""
    script, other = await packed(library), await packed(library)
    script.runs_from.parent.chmod(0o700)
    script.runs_from.unlink()
    later = await reopened(tmp_path)
    assert await later.list(APP) == (other,)
    assert len(later.set_aside) == 1


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway."""
    async with serve_api(tmp_path) as served:
        yield served


async def test_a_client_uploads_a_package_and_downloads_it_again(api: Api) -> None:
    """The detail and the versions say what runs; the content is the archive."""
    script_id = await api.upload(APP.path, name='check.zip', content=PACKAGE, **ENTRY)
    path = f'/{APP.path}/scripts/{script_id}'
    _, detail = await api.json('GET', path)
    assert (detail['entry'], detail['kind']) == ('bin/check.py', 'python')
    _, there = await api.json('GET', f'{path}/versions')
    assert there['items'][0]['entry'] == 'bin/check.py'
    content = await api.request('GET', f'{path}/content')
    assert await content.read() == PACKAGE
    assert 'check.zip' in content.headers['Content-Disposition']
    other = archive_of(FILES | {'more': ''})
    status, replaced = await api.json('PUT', path, data=form(other, 'check.zip'))
    assert (status, replaced['entry']) == (200, 'bin/check.py')


async def test_a_client_is_told_all_that_is_wrong_with_an_archive(api: Api) -> None:
    """400, each file by its name; a zip file without an entry is told what it lacks."""
    bad = archive_of({'../a.sh': '', 'b': '', 'B': ''})
    status, body = await api.json(
        'POST', f'/{APP.path}/scripts', data=form(bad, 'check.zip', {'entry': 'a.sh'})
    )
    assert (status, body['error_code']) == (400, 'invalid-parameter')
    assert [each['path'] for each in body['parameters']['violations']] == [
        '/file/..~1a.sh',
        '/file/B',
    ]
    status, body = await api.json('POST', f'/{APP.path}/scripts', data=form(PACKAGE, 'check.zip'))
    assert (status, body['error_code']) == (400, 'invalid-parameter')
    assert "'entry'" in body['message']


async def on(floor: Floor, library: ScriptLibrary, files: dict[str, str], entry: str) -> Any:
    """Run a package on a floor; return how it ended and what it wrote."""
    script = await packed(library, archive_of(files), entry=entry)
    outcome, output = await floor.run(floor.order(script, arguments=('a b',)))
    assert (outcome.cause, outcome.exit_code) == (EndCause.EXITED, 0), output
    return output.stdout


PYTHON = {
    'main.py': 'import os, sys\nimport tools.table\n'
    'print(tools.table.ROWS, sys.argv[1:], sys.path[0] == os.path.dirname(__file__))\n',
    'tools/__init__.py': '',
    'tools/table.py': 'ROWS = 3\n',
}


async def test_the_files_of_a_package_find_each_other(
    library: ScriptLibrary, tmp_path: Path
) -> None:
    """Modules beside a Python script, files beside `$0`, and programs; whatever the kind."""
    shell = {
        'run/check.sh': '. "$(dirname "$0")/../lib/words.sh"\n"${0%/*}/../lib/say" "$word" "$1"\n',
        'lib/words.sh': 'word=hello\n',
        'lib/say': '#!/bin/sh\necho "$@"\n',
    }
    async with floor_on(tmp_path / 'floor') as floor:
        assert await on(floor, library, PYTHON, 'main.py') == "3 ['a b'] True\n"
        for kind in ('check.sh', 'check.bash'):
            files = shell | {f'run/{kind}': shell['run/check.sh']}
            assert await on(floor, library, files, f'run/{kind}') == 'hello a b\n'


async def test_a_package_starts_warm_too(library: ScriptLibrary, tmp_path: Path) -> None:
    """With the same path for its modules as in an interpreter of its own."""
    script = await packed(library, archive_of(PYTHON), entry='main.py')
    async with warm_floor_on(tmp_path / 'floor') as floor:
        order = floor.order(script, arguments=('a b',))
        process = await floor.start(order)
        assert process.warm
        assert (await process.ended()).exit_code == 0
        output = await floor.runner.outputs.of(order.execution_id)
    assert output.stdout == "3 ['a b'] True\n"


@needs_launch
async def test_a_fragment_of_a_package_is_read_where_it_lies(
    library: ScriptLibrary, tmp_path: Path
) -> None:
    """What it includes lies beside it."""
    include = (
        '<launch><arg name="text"/><executable cmd="echo $(var text)" output="both"/></launch>'
    )
    files = {
        'top.launch.xml': '<launch><include file="$(dirname)/lib/one.launch.xml">'
        '<arg name="text" value="hi"/></include></launch>',
        'lib/one.launch.xml': include,
    }
    script = await packed(library, archive_of(files), entry='top.launch.xml')
    async with floor_on(tmp_path / 'floor') as floor:
        outcome, output = await floor.run(floor.order(script))
    assert outcome.exit_code == 0, output
    assert 'hi' in output.stdout + output.stderr


class _Crash(BaseException):
    """The end of the process, at any moment."""


def _ending(call: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    def step(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] <= 0:
            raise _Crash
        return call(*arguments, **options)

    return step


async def test_a_crash_at_any_step_leaves_whole_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script is as it was or as it is after, with all files of its version and no others."""
    other = archive_of(FILES | {'more/data': 'x' * 100})
    wholes = {hash_of(each): files_of(each) for each in (PACKAGE, other)}
    step, crashed = 0, True
    while crashed:
        step += 1
        directory = tmp_path / str(step)
        library = library_in(directory)
        await library.open()
        script = await packed(library)
        left = [step]
        with monkeypatch.context() as patch:
            for name in ('rename', 'mkdir', 'open', 'fsync', 'chmod', 'fchmod', 'unlink', 'rmdir'):
                patch.setattr(os, name, _ending(getattr(os, name), left))
            with contextlib.suppress(_Crash):
                await replace_script(library, script, other)
        crashed = left[0] <= 0
        later = await reopened(directory)
        [found] = await later.list(APP)
        folder = found.path.parents[1]
        assert found.version in wholes
        assert crashed or found.version == hash_of(other)
        assert {each.name for each in folder.iterdir() if each.is_dir()} == {
            found.version,
            f'{found.version}.unpacked',
        }
        unpacked = folder / f'{found.version}.unpacked'
        assert {
            str(path.relative_to(unpacked)): path.read_bytes()
            for path in unpacked.rglob('*')
            if path.is_file()
        } == wholes[found.version]
        assert incoming(directory) == []
        assert later.set_aside == ()
    assert step > 30


def hash_of(content: bytes) -> str:
    """Return the version of a file."""
    return hashlib.sha256(content).hexdigest()


def files_of(archive: bytes) -> dict[str, bytes]:
    """Return the files of an archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}
