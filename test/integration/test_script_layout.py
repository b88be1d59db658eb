# SPDX-License-Identifier: Apache-2.0
"""How scripts lie on a real disk: under their own names, mended once, and as they lay before."""

from collections.abc import AsyncIterator, Callable
import contextlib
import errno
import hashlib
import json
import os
from pathlib import Path
import stat
from typing import Any

from fakes import FakeSchemaChecker
import pytest
from uploads import APP, create_script, replace_script

from gateway_node.clock import SystemClock
from gateway_node.scripts.errors import LibraryUnavailable, ScriptRefused
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.script_folders import ScriptFolders
from gateway_node.scripts.scripts_manifest import load_scripts_manifest
from gateway_node.scripts.values import Interpreter, Mending

MARK = b'\xef\xbb\xbf'
WINDOWS = MARK + b'#!/bin/bash -e\r\ntail -n +3 "$0"; exit\r\nPAYLOAD\r\n'
MENDED = b'#!/bin/bash -e\ntail -n +3 "$0"; exit\nPAYLOAD\r\n'
BOTH = (Mending.BYTE_ORDER_MARK, Mending.LINE_ENDS)


async def _opened(directory: Path, manifest: Path | None = None) -> ScriptLibrary:
    library = ScriptLibrary(
        scripts_dir=directory,
        max_file_bytes=1_000_000,
        schemas=FakeSchemaChecker(),
        clock=SystemClock(),
        managed=load_scripts_manifest(manifest) if manifest else (),
    )
    await library.open()
    return library


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[ScriptLibrary]:
    """Give an empty library; afterwards nothing is left in its staging directory."""
    yield await _opened(tmp_path / 'scripts')
    assert os.listdir(tmp_path / 'scripts' / '.incoming') == []


def _files(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in home.rglob('*') if path.is_file()}


@pytest.mark.parametrize(
    'file_name', ['-x.sh', 'prüf bremse.sh', '\u5236\u52d5.sh', 'x' * 252 + '.sh', "'$(id)'.sh"]
)
async def test_a_file_lies_under_its_own_name(
    library: ScriptLibrary, tmp_path: Path, file_name: str
) -> None:
    """In UTF-8 whatever the locale, in folders for the gateway's user alone."""
    script = await create_script(library, file_name=file_name)
    home = tmp_path / 'scripts' / script.id
    name = file_name.encode()
    assert os.listdir(os.fsencode(home / script.version)) == [name]
    for folder in (home, home / script.version):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert script.path.is_absolute()
    assert await (await _opened(tmp_path / 'scripts')).list(APP) == (script,)


async def test_the_name_of_the_folder_of_mended_copies_is_taken(library: ScriptLibrary) -> None:
    """It lies beside the file."""
    with pytest.raises(ScriptRefused, match='folder of mended copies'):
        await create_script(library, b'true\r\n', file_name='mended', metadata={'kind': 'sh'})


async def test_a_script_that_no_shell_reads_is_mended_once(
    library: ScriptLibrary, tmp_path: Path
) -> None:
    """The upload stays as it came; what runs lies beside it, and what was mended is named."""
    script = await create_script(library, WINDOWS)
    assert script.path.read_bytes() == WINDOWS
    assert (script.version, script.size) == (hashlib.sha256(WINDOWS).hexdigest(), len(WINDOWS))
    assert script.mended == BOTH
    assert script.interpreter == Interpreter(program='/bin/bash', options=('-e',))
    assert script.runs_from == script.path.parent / 'mended' / 'check.sh'
    assert script.runs_from.read_bytes() == MENDED
    assert stat.S_IMODE(script.runs_from.stat().st_mode) == 0o500
    assert stat.S_IMODE(script.runs_from.parent.stat().st_mode) == 0o700
    before = script.runs_from.stat().st_ino
    later = await _opened(tmp_path / 'scripts')
    assert await later.list(APP) == (script,)
    assert (await replace_script(library, script, WINDOWS, file_name='check.sh')) == script
    assert script.runs_from.stat().st_ino == before


@pytest.mark.parametrize(
    ('content', 'file_name'),
    [
        (b'set -e\ncat <<X >win.txt\r\na\r\nX\r\n', 'a.sh'),
        (MARK + b'import sys\r\n', 'a.py'),
        (MARK + b'launch: []\r\n', 'a.launch.yaml'),
    ],
)
async def test_what_is_read_as_it_is_runs_as_it_is(
    library: ScriptLibrary, content: bytes, file_name: str
) -> None:
    """Literal CR LF in a script of LF, and what Python and launch read themselves."""
    script = await create_script(library, content, file_name=file_name)
    assert (script.mended, script.runs_from) == ((), script.path)
    assert os.listdir(script.path.parent) == [file_name]


async def test_the_same_bytes_under_a_new_name_are_the_same_version(
    library: ScriptLibrary, tmp_path: Path
) -> None:
    """They lie under both names as long as the version is in use, and then under the new one."""
    first = await create_script(library, WINDOWS, file_name='old.sh')
    second = await replace_script(
        library, first, WINDOWS, file_name='new.sh', in_use=(first.version,)
    )
    home = tmp_path / 'scripts' / first.id
    copies = {f'{first.version}/{place}.sh' for place in ('new', 'mended/new')}
    assert second.version == first.version
    assert _files(home) == {
        'script.json', *copies, *(copy.replace('new', 'old') for copy in copies)
    }  # fmt: skip
    await _opened(tmp_path / 'scripts')
    assert _files(home) == {'script.json', *copies}
    assert second.runs_from.read_bytes() == MENDED


async def test_an_interpreter_of_another_kind_is_refused_at_the_upload(
    library: ScriptLibrary,
) -> None:
    """Nothing is made, and a replacement leaves the script as it was."""
    script = await create_script(library)
    for content in (b'#!/usr/bin/perl\n', MARK + b'#!/usr/bin/perl\r\n'):
        with pytest.raises(ScriptRefused, match=r'perl.*allowed: sh, dash, bash'):
            await create_script(library, content)
        with pytest.raises(ScriptRefused, match='perl'):
            await replace_script(library, script, content, file_name='check.sh')
    with pytest.raises(ScriptRefused, match='allowed: python'):
        await replace_script(library, script, b'#!/bin/sh\n', file_name='check.py')
    assert await library.list(APP) == (script,)


async def test_a_managed_script_runs_where_it_lies_or_says_why_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What its first line asks for is read with its bytes, anew when they change."""
    path = tmp_path / 'check.sh'
    manifest = tmp_path / 'scripts.yaml'
    manifest.write_text('scripts: [{id: check, path: check.sh, entities: apps/*}]')
    path.write_bytes(b'#!/bin/bash -e\n')
    library = await _opened(tmp_path / 'scripts', manifest)
    script = await library.get(APP, 'check')
    assert script.runs_from == path
    assert script.interpreter == Interpreter(program='/bin/bash', options=('-e',))
    for content, fault in [
        (b'#!/usr/bin/env perl\n', "asks for 'perl'"),
        (WINDOWS, 'it has a byte order mark, line ends of CR LF, which no shell reads'),
    ]:
        path.write_bytes(content)
        faulty = await library.get(APP, 'check')
        assert fault in faulty.fault
        assert fault in caplog.text
        assert faulty.runs_from == path
    path.write_bytes(b'true\n')
    assert (await library.get(APP, 'check')).fault == ''


OLD = 'script_0123456789abcdef'
ONE, TWO, THREE = b'echo one\n', b'echo two\n', b'import three\n'


def _old_script(
    directory: Path, file_name: str, content: bytes, *others: tuple[str, bytes]
) -> Path:
    """Make a script as the gateway of format 1 did; `others` are other versions' suffixes."""
    home = directory / OLD
    home.mkdir(parents=True, mode=0o700)
    suffix = Path(file_name).suffix
    for end, version in (*others, (suffix, content)):
        path = home / f'{_version(version)}{end}'
        path.write_bytes(version)
        path.chmod(0o400)
    record = {
        'format': 1,
        'entity': 'apps/temp_sensor',
        'sequence': 7,
        'created': '2026-02-14T10:30:00+00:00',
        'file_name': file_name,
        'kind': suffix[1:],
        'version': _version(content),
        'size': len(content),
        'metadata': {'timeout_sec': 4},
    }
    (home / 'script.json').write_text(json.dumps(record, indent=2))
    return home


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


OTHERS = (('.sh', ONE), ('.sh', TWO), ('.py', THREE))
PRESENT = b'#!/bin/bash -e\r\necho present\r\n'


async def test_scripts_of_the_old_layout_are_there_in_the_present_one(tmp_path: Path) -> None:
    """Each version in a folder of its own, until it is looked at which of them are in use."""
    home = _old_script(tmp_path, 'prüf.bash', PRESENT, *OTHERS)
    [record] = ScriptFolders(tmp_path).load()
    version = _version(PRESENT)
    assert _files(home) == {
        'script.json',
        f'{version}/prüf.bash',
        f'{version}/mended/prüf.bash',
        f'{_version(ONE)}/script.sh',
        f'{_version(TWO)}/script.sh',
        f'{_version(THREE)}/script.py',
    }
    assert (home / _version(ONE) / 'script.sh').read_bytes() == ONE
    assert (record.version, record.sequence, record.file_name) == (version, 7, 'prüf.bash')
    library = await _opened(tmp_path)
    [script] = await library.list(APP)
    assert (script.mended, script.timeout_sec) == ((Mending.LINE_ENDS,), 4)
    assert script.path.read_bytes() == PRESENT
    assert script.runs_from.read_bytes() == PRESENT.replace(b'\r', b'')
    assert script.interpreter == Interpreter(program='/bin/bash', options=('-e',))
    assert stat.S_IMODE(script.path.stat().st_mode) == 0o500
    assert _files(home) == {'script.json', f'{version}/prüf.bash', f'{version}/mended/prüf.bash'}


async def test_an_old_script_that_would_be_refused_today_is_kept_and_says_why(
    tmp_path: Path,
) -> None:
    """Nothing is lost; its start is refused, and a person can replace it."""
    _old_script(tmp_path, 'check.sh', b'#!/usr/bin/perl\n')
    [script] = await (await _opened(tmp_path)).list(APP)
    assert "asks for '/usr/bin/perl'" in script.fault


class _Crash(BaseException):
    """The end of the process, at any moment."""


def _failing(call: Callable[..., Any], after: list[int], error: BaseException) -> Any:
    def step(*arguments: Any, **options: Any) -> Any:
        after[0] -= 1
        if after[0] == 0:
            raise error
        return call(*arguments, **options)

    return step


@pytest.mark.parametrize('error', [_Crash(), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))])
def test_the_change_of_the_layout_can_be_cut_off_at_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """The next start goes on; a disk that refuses sets no script aside, and is named."""
    step = 0
    while True:
        step += 1
        directory = tmp_path / str(step)
        home = _old_script(directory, 'check.bash', PRESENT, *OTHERS)
        after = [step]
        (directory / '.incoming').mkdir()
        with monkeypatch.context() as patch:
            for name in ('rename', 'mkdir', 'open', 'fsync', 'chmod', 'fchmod', 'unlink'):
                patch.setattr(os, name, _failing(getattr(os, name), after, error))
            with contextlib.suppress(_Crash, OSError, LibraryUnavailable):
                ScriptFolders(directory).load()
        [record] = ScriptFolders(directory).load()
        assert (home / record.place).read_bytes() == PRESENT
        version = record.version
        assert _files(home) == {
            'script.json',
            f'{version}/check.bash',
            f'{version}/mended/check.bash',
            f'{_version(ONE)}/script.sh',
            f'{_version(TWO)}/script.sh',
            f'{_version(TWO)}/script.sh',
            f'{_version(THREE)}/script.py',
        }
        assert not (directory / '.damaged').exists()
        assert os.listdir(directory / '.incoming') == []
        if after[0] > 0:
            break
    assert step > 15
