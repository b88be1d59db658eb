# SPDX-License-Identifier: Apache-2.0
"""Archives that somebody else made: what is taken, and what a hostile one does not reach."""

from collections.abc import Callable, Iterable
import contextlib
import io
from pathlib import Path
import stat
import struct
import tracemalloc
import zipfile

from hypothesis import given
from hypothesis import strategies as st
import pytest
from zip_files import archive_of

from gateway_node.scripts.archives import MAX_ENTRIES
from gateway_node.scripts.errors import ScriptRefused
from gateway_node.scripts.packages import Package, unpack
from gateway_node.scripts.values import Mending

MAX_BYTES = 20_000
GOOD = {'check.sh': b'. "$(dirname "$0")/lib/a.sh"\n', 'lib/a.sh': b'true\n'}
CENTRAL = b'PK\1\2'
LOCAL = b'PK\3\4'
END = b'PK\5\6'


def faults_of(tmp_path: Path, content: bytes) -> dict[str, str]:
    """Return why an archive is refused, by the place; nothing lies beside the folder then."""
    (tmp_path / 'a.zip').write_bytes(content)
    with pytest.raises(ScriptRefused) as refused:
        unpack(tmp_path / 'a.zip', tmp_path / 'unpacked', MAX_BYTES)
    assert {each.name for each in tmp_path.iterdir()} <= {'a.zip', 'unpacked'}
    return {each.path: each.reason for each in refused.value.violations}


def unpacked(tmp_path: Path, content: bytes) -> Package:
    """Unpack an archive."""
    (tmp_path / 'a.zip').write_bytes(content)
    return unpack(tmp_path / 'a.zip', tmp_path / 'unpacked', MAX_BYTES)


def files_in(package: Package) -> dict[str, bytes]:
    """Return what lies in the folder of a package."""
    return {
        str(path.relative_to(package.folder)): path.read_bytes()
        for path in package.folder.rglob('*')
        if path.is_file()
    }


def patched(content: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    """Return the content with other bytes in each record that begins with the signature."""
    patched = bytearray(content)
    at = patched.find(signature)
    assert at >= 0
    while at >= 0:
        patched[at + offset : at + offset + len(value)] = value
        at = patched.find(signature, at + 1)
    return bytes(patched)


def streamed(files: dict[str, bytes]) -> bytes:
    """Return an archive that was written without going back: sizes stand behind the files."""
    out = io.BytesIO()
    out.seekable = lambda: False  # type: ignore[method-assign]
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def with_zip64_fields(files: dict[str, bytes]) -> bytes:
    """Return an archive whose files might have been longer than 4 GiB."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as archive:
        for name, content in files.items():
            with archive.open(name, 'w', force_zip64=True) as member:
                member.write(content)
    return out.getvalue()


@pytest.mark.parametrize('make', [archive_of, streamed, with_zip64_fields])
def test_an_archive_is_unpacked_as_it_is(
    tmp_path: Path, make: Callable[[dict[str, bytes]], bytes]
) -> None:
    """However it was written; all of it for the gateway alone, and nothing writes there."""
    package = unpacked(tmp_path, make(GOOD | {'empty': b'', 'deep/er/é': b'\0' * 70}))
    assert files_in(package) == GOOD | {'empty': b'', 'deep/er/é': b'\0' * 70}
    assert package.size == sum(map(len, files_in(package).values()))
    for path in package.folder.rglob('*'):
        assert stat.S_IMODE(path.stat().st_mode) == 0o500


def test_what_the_archive_says_of_rights_is_not_taken(tmp_path: Path) -> None:
    """Neither set-user-id nor the right of others to write."""
    package = unpacked(tmp_path, archive_of(GOOD, external_attr=(stat.S_IFREG | 0o6777) << 16))
    for path in package.folder.rglob('*'):
        assert stat.S_IMODE(path.stat().st_mode) == 0o500


def test_folders_may_be_named_or_not(tmp_path: Path) -> None:
    """Before their files or behind them; empty ones are there."""
    files = {'lib/': b'', 'lib/a.sh': b'true\n', 'b/c': b'', 'b/': b'', 'none/': b''}
    package = unpacked(tmp_path, archive_of(files))
    assert files_in(package) == {'lib/a.sh': b'true\n', 'b/c': b''}
    assert (package.folder / 'none').is_dir()


def test_utf8_that_is_not_marked_is_read_as_such(tmp_path: Path) -> None:
    """As zip(1) writes it; what is none is of code page 437, as the format says."""
    content = archive_of({'é.txt': b'', 'ü.txt': b''})
    unmarked = patched(patched(content, LOCAL, 6, b'\0\0'), CENTRAL, 8, b'\0\0')
    assert set(files_in(unpacked(tmp_path, unmarked))) == {'é.txt', 'ü.txt'}
    old = archive_of({'x?.txt': b''}).replace(b'x?.txt', b'x\x81.txt')
    (tmp_path / 'old').mkdir()
    assert set(files_in(unpacked(tmp_path / 'old', old))) == {'xü.txt'}


def test_what_a_shell_reads_is_mended(tmp_path: Path) -> None:
    """By the name of each file; the rest stays as it is."""
    windows = b'\xef\xbb\xbf#!/bin/sh\r\ntrue\r\n'
    package = unpacked(tmp_path, archive_of({'a.sh': windows, 'b.txt': windows, 'c/d.bash': b'x'}))
    assert files_in(package) == {
        'a.sh': b'#!/bin/sh\ntrue\n',
        'b.txt': windows,
        'c/d.bash': b'x',
    }
    both = (Mending.BYTE_ORDER_MARK, Mending.LINE_ENDS)
    assert package.mended == {'a.sh': both, 'b.txt': (), 'c/d.bash': ()}


def test_no_more_is_mended_than_of_one_script(tmp_path: Path) -> None:
    """It takes its time."""
    half = b'true\r\n' * (MAX_BYTES // 12)
    files = {'a.sh': half, 'b.sh': half}
    assert len(unpacked(tmp_path, archive_of(files | {'plain.sh': half[:4] * 9})).mended) == 3
    (tmp_path / 'more').mkdir()
    (reason,) = faults_of(tmp_path / 'more', archive_of(files | {'c.sh': half})).values()
    assert reason.startswith('is not mended: ')


@pytest.mark.parametrize(
    ('name', 'reason'),
    [
        ('../x', 'leads out of its folder'),
        ('a/../../x', 'leads out of its folder'),
        ('a/..', 'leads out of its folder'),
        ('/etc/x', 'is an absolute path'),
        ('//x', 'is an absolute path'),
        ('C:/x', 'is an absolute path'),
        ('a\\..\\..\\x', 'has a path separator'),
        ('a\uff0fb', 'has a path separator'),
        ('a//b', 'is empty'),
        ('./x', 'names a directory'),
        ('a/\uff0e\uff0e/x', 'names a directory'),
        ('a\nb', 'has the control or format character U+000A'),
        ('a\u202eb', 'has the control or format character U+202E'),
        ('a/ b', 'begins or ends with a space'),
        ('x' * 256, 'is longer than 255 bytes'),
        ('/'.join('x' * 17), 'is nested deeper than 16 levels'),
        ('/'.join(['x' * 200] * 6), 'is longer than 1024 bytes'),
    ],
)
def test_no_name_leads_elsewhere(tmp_path: Path, name: str, reason: str) -> None:
    """Whatever it looks like; the refusal says what is wrong with it."""
    (found,) = faults_of(tmp_path, archive_of(GOOD | {name: b''})).values()
    assert found == reason


def test_a_nul_does_not_end_a_name(tmp_path: Path) -> None:
    """What is behind it is a part of it, and it is refused."""
    content = archive_of({'check.sh?.py': b''}).replace(b'check.sh?.py', b'check.sh\0.py')
    (found,) = faults_of(tmp_path, content).values()
    assert found == 'has the control or format character U+0000'


@pytest.mark.parametrize(
    'names', [['a', 'A'], ['lib/x', 'LIB/y'], ['ﬁ', 'fi'], ['é', 'e\u0301'], ['ß', 'SS']]
)
def test_names_that_are_one_on_another_disk_are_refused(tmp_path: Path, names: list[str]) -> None:
    """Which of them would be there is the disk's to say."""
    (found,) = faults_of(tmp_path, archive_of(dict.fromkeys(names, b''))).values()
    assert found.endswith(' in case, or in the form of letters, only')


@pytest.mark.filterwarnings('ignore:Duplicate name')
@pytest.mark.parametrize(
    ('names', 'reason'),
    [
        (['a', 'a'], 'is there twice'),
        (['a/', 'a/'], 'is there twice'),
        (['a', 'a/'], 'is there twice'),
        (['a', 'a/b'], 'lies in what is a file'),
        (['a/b', 'a'], 'is a file, and a folder of others'),
    ],
)
def test_a_name_stands_for_one_file(tmp_path: Path, names: list[str], reason: str) -> None:
    """A file is no folder, and there is one of each name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as archive:
        for name in names:
            archive.writestr(name, b'')
    (found,) = faults_of(tmp_path, out.getvalue()).values()
    assert found == reason


@pytest.mark.parametrize(
    ('kind', 'what'),
    [
        (stat.S_IFLNK, 'a link'),
        (stat.S_IFCHR, 'a device, a pipe or a socket'),
        (stat.S_IFBLK, 'a device, a pipe or a socket'),
        (stat.S_IFIFO, 'a device, a pipe or a socket'),
        (stat.S_IFSOCK, 'a device, a pipe or a socket'),
    ],
)
def test_only_plain_files_are_taken(tmp_path: Path, kind: int, what: str) -> None:
    """No link that others follow, no device."""
    content = archive_of({'x': b'/etc/passwd'}, external_attr=(kind | 0o777) << 16)
    assert faults_of(tmp_path, content) == {
        '/file/x': f'is {what}; allowed: plain files and folders'
    }


@pytest.mark.parametrize('method', [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_may_take_any_memory_to_unpack_is_refused(tmp_path: Path, method: int) -> None:
    """A dictionary of LZMA is as large as the archive says."""
    assert faults_of(tmp_path, archive_of({'x': b'x'}, method)) == {
        '/file/x': f'is compressed by method {method}; allowed: 0 (store), 8 (deflate)'
    }


@pytest.mark.parametrize(
    ('flag', 'reason'), [(0x1, 'is encrypted'), (0x40, 'is encrypted'), (0x20, 'is a patch')]
)
def test_what_nobody_can_read_is_refused(tmp_path: Path, flag: int, reason: str) -> None:
    """There is no place for a password."""
    bits = struct.pack('<H', flag)
    content = patched(patched(archive_of({'x': b'x'}), LOCAL, 6, bits), CENTRAL, 8, bits)
    assert faults_of(tmp_path, content)['/file/x'].startswith(reason)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """By the names of the files; the message has the first, and how many more there are."""
    names = ('../a', 'b/c ', 'd', 'D')
    (tmp_path / 'a.zip').write_bytes(archive_of(dict.fromkeys(names, b'')))
    with pytest.raises(ScriptRefused) as refused:
        unpack(tmp_path / 'a.zip', tmp_path / 'unpacked', MAX_BYTES)
    assert str(refused.value) == "'../a' in the archive leads out of its folder (and 2 more)"
    assert [each.path for each in refused.value.violations] == [
        '/file/..~1a',
        '/file/b~1c ',
        '/file/D',
    ]
    assert not (tmp_path / 'unpacked').exists()


def test_a_file_may_be_as_long_as_a_script_and_all_ten_times_as_long(tmp_path: Path) -> None:
    """However small the archive is."""
    most = dict.fromkeys('0123456789', b'\0' * MAX_BYTES)
    assert unpacked(tmp_path, archive_of(most)).size == 10 * MAX_BYTES
    assert faults_of(tmp_path, archive_of(most | {'x': b'\0'})) == {
        '/file': 'has 200001 bytes unpacked; allowed: at most 200000 (10 times '
        'scripts.max_file_size_mb)'
    }
    assert faults_of(tmp_path, archive_of({'x': b'\0' * (MAX_BYTES + 1)})) == {
        '/file/x': 'has 20001 bytes unpacked; allowed: at most 20000 (scripts.max_file_size_mb)'
    }


def test_a_thousand_entries_are_taken_and_no_more(tmp_path: Path) -> None:
    """Folders count."""
    names = [f'{number}' for number in range(MAX_ENTRIES - 1)]
    assert len(unpacked(tmp_path, archive_of(dict.fromkeys([*names, 'x/'], b''))).mended) == 999
    assert faults_of(tmp_path, archive_of(dict.fromkeys([*names, 'x/', 'y/'], b''))) == {
        '/file': 'has 1001 files and folders; allowed: 1 to 1000'
    }


def many_entries(number: int, *, said: int) -> bytes:
    """Return an archive that has many files, and says to have so many."""
    one = archive_of({'0': b''})
    at, end = one.index(CENTRAL), one.index(END)
    directory = one[at:end] * number
    said_twice = struct.pack('<HH', said, said)
    record = END + b'\0\0\0\0' + said_twice + struct.pack('<LLH', len(directory), at, 0)
    return one[:at] + directory + record


@pytest.mark.parametrize('said', [100_000 & 0xFFFF, 1, 1000])
def test_a_hundred_thousand_entries_take_no_memory(tmp_path: Path, said: int) -> None:
    """They are refused by what the end record says, be it the truth or not."""
    content = many_entries(100_000, said=said)
    tracemalloc.start()
    try:
        faults = faults_of(tmp_path, content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert list(faults) == ['/file']
    assert peak < 4 * 1024 * 1024


def test_a_file_that_lies_beyond_all_files_is_refused(tmp_path: Path) -> None:
    """A field of zip64 may say any place of 64 bits."""
    content = archive_of({'a': b'x'})
    at, end = content.index(CENTRAL), content.index(END)
    beyond = struct.pack('<HHQ', 1, 8, 2**64 - 1)
    directory = bytearray(content[at:end])
    directory[30:32] = struct.pack('<H', len(beyond))
    directory[42:46] = b'\xff' * 4
    record = struct.pack('<4s4H2LH', END, 0, 0, 1, 1, len(directory) + len(beyond), at, 0)
    assert faults_of(tmp_path, content[:at] + directory + beyond + record) == {
        '/file/a': 'is not where the archive says'
    }


def test_more_entries_than_are_said_are_refused(tmp_path: Path) -> None:
    """Also where the directory is not too long."""
    assert faults_of(tmp_path, many_entries(50, said=5)) == {'/file': 'has 50 entries, and says 5'}


def test_files_that_overlap_are_refused(tmp_path: Path) -> None:
    """One piece of data, unpacked over and over, is a bomb that no sum of sizes tells."""
    content = archive_of({'a': b'x' * 50, 'b': b'y' * 50}, zipfile.ZIP_STORED)
    second = content.index(CENTRAL, content.index(CENTRAL) + 1)
    at_first = content[: second + 42] + b'\0\0\0\0' + content[second + 46 :]
    assert faults_of(tmp_path, at_first) == {'/file/b': 'overlaps another file of the archive'}


@pytest.mark.parametrize('size', [0, 10, 49, 51, 19_000])
def test_a_file_that_is_not_as_long_as_it_says_is_refused(tmp_path: Path, size: int) -> None:
    """Where both of its headers lie."""
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        content = archive_of({'a': b'x' * 50}, method)
        told = struct.pack('<L', size)
        lie = content.replace(struct.pack('<L', 50), told)
        (tmp_path / str(method)).mkdir()
        assert list(faults_of(tmp_path / str(method), lie)) == ['/file/a']


@pytest.mark.parametrize(
    ('offset', 'value'), [(30, b'b'), (8, b'\0\0'), (14, b'1234'), (18, b'\1\0\0\0'), (6, b'\1\0')]
)
def test_a_header_says_what_the_directory_says(tmp_path: Path, offset: int, value: bytes) -> None:
    """Who looks at the one only would see another archive."""
    lie = patched(archive_of({'a': b'x' * 50}), LOCAL, offset, value)
    assert faults_of(tmp_path, lie) == {
        '/file/a': 'is told of in two ways, by its header and by the directory'
    }


def test_nothing_lies_between_the_files_and_the_directory(tmp_path: Path) -> None:
    """Who reads from the front could find another file there."""
    content = archive_of({'a': b'x', 'b': b'y'})
    directory = content.index(CENTRAL)
    moved = patched(content[directory:], END, 16, struct.pack('<L', directory + 25))
    assert faults_of(tmp_path, content[:directory] + b'x' * 25 + moved) == {
        '/file/b': 'is followed by bytes of no file'
    }


def behind(beginning: bytes) -> bytes:
    """Return an archive behind other bytes, of which all its offsets know."""
    out = io.BytesIO(beginning)
    with zipfile.ZipFile(out, 'a') as archive:
        for name, content in GOOD.items():
            archive.writestr(name, content)
    return out.getvalue()


def other_ends() -> Iterable[tuple[str, bytes]]:
    """Yield what is no archive from its first to its last byte."""
    content = archive_of(GOOD)
    yield 'nothing of one', b'#!/bin/sh\ntrue\n'
    yield 'its end alone', content[content.index(END) :]
    yield 'bytes behind', content + b'\n'
    yield 'bytes in front', b'#!/bin/sh\n' + content
    yield 'bytes in front that are counted', behind(b'#!/bin/sh\n')
    yield 'cut', content[:-1]
    yield 'a directory elsewhere', patched(content, END, 16, b'\1\0\0\0')
    yield 'several parts', patched(content, END, 4, b'\1\0')
    yield 'no entries', patched(content, END, 8, b'\0\0\0\0')
    yield 'a directory in zip64', patched(content, END, 12, b'\xff' * 8)
    at = content.index(END)
    locator = b'PK\6\7' + struct.pack('<LQL', 0, 0, 1)
    yield 'an end in zip64', content[:at] + locator + content[at:]


@pytest.mark.parametrize(('what', 'content'), [*other_ends()])
def test_what_is_no_whole_archive_is_refused(tmp_path: Path, what: str, content: bytes) -> None:
    """Nothing in front, nothing behind, in one piece."""
    assert list(faults_of(tmp_path, content)) == ['/file'], what


WHOLE = archive_of(GOOD)


@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1),
    st.integers(0, len(WHOLE)),
)
def test_no_archive_breaks_anything(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], length: int
) -> None:
    """Whatever bytes are changed or lost: it is refused, or all of it lies in the folder."""
    content = bytearray(WHOLE)
    for at, byte in changes:
        content[at] = byte
    folder = tmp_path_factory.mktemp('archive')
    for given_bytes in (content, WHOLE[:length]):
        (folder / 'a.zip').write_bytes(given_bytes)
        target = folder / str(len(list(folder.iterdir())))
        with contextlib.suppress(ScriptRefused):
            package = unpack(folder / 'a.zip', target, MAX_BYTES)
            assert set(files_in(package)) == set(package.mended)
        assert {each.suffix for each in folder.iterdir()} <= {'.zip', ''}
