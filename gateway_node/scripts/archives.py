# SPDX-License-Identifier: Apache-2.0
"""Zip files that somebody else made: what of them is taken, and how they are unpacked. Blocks.

Nothing is believed before it is checked: the end record before the directory is read, for that
takes memory in proportion; the directory and the headers before anything is written; and as it is
written, that each file is as long as it says and has its checksum. What a zip file says twice it
has to say alike. Terms are those of the format's description (PKWARE, APPNOTE.TXT).
"""

from collections.abc import Iterator, Sequence
import contextlib
from dataclasses import dataclass
import os
from pathlib import Path
import stat
import struct
from typing import BinaryIO
import zipfile
import zlib

from gateway_node.scripts.archive_names import name_faults
from gateway_node.scripts.disk import new_file, open_plain, SCRIPT_MODE
from gateway_node.scripts.errors import ScriptRefused
from gateway_node.strict_json import pointer_token, shown
from gateway_node.violations import Violation

MAX_ENTRIES = 1000
"""Files and folders of an archive."""
_MAX_DIRECTORY_BYTES = 1024 * 1024
"""Of its directory: a kilobyte an entry."""
_TIMES_UNPACKED = 10
"""How often the size that the archive may have its files may have together."""
_NAMED_VIOLATIONS = 50
"""That a refusal names."""

_END = struct.Struct('<4s4H2LH')
_END_SIGNATURE = b'PK\5\6'
_LONGEST_COMMENT = 0xFFFF
_ZIP64_LOCATOR = struct.Struct('<4sLQL')
_ZIP64_SIGNATURE = b'PK\6\7'
_LOCAL = struct.Struct('<4s5H3L2H')
_LOCAL_SIGNATURE = b'PK\3\4'
_IN_ZIP64 = 0xFFFFFFFF
"""A size that stands in a zip64 field instead."""

_ENCRYPTED = 0x1 | 0x40 | 0x2000
_PATCH = 0x20
_DESCRIPTOR = 0x8
"""The flag of what was written before its size was known: a descriptor behind it has that."""
_LONGEST_DESCRIPTOR = 24
_UTF8 = 0x800
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""What takes little memory to unpack: others take as much as the archive says."""
_LINK = stat.S_IFLNK
_PLAIN = frozenset({0, stat.S_IFREG, stat.S_IFDIR})
_PIECE_BYTES = 256 * 1024
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What reading a broken zip file may raise."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A file or a folder of an archive."""

    name: str
    """Its path in the archive; a folder's ends with `/`."""
    info: zipfile.ZipInfo

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.name.endswith('/')


class Archive:
    """A zip file whose members were checked."""

    def __init__(self, file: zipfile.ZipFile, members: Sequence[Member]) -> None:
        """Use `open_archive`."""
        self._file = file
        self.members = members

    def write(self, member: Member, path: Path) -> None:
        """Write a file of the archive to a new file, and bring it to the disk.

        Raises:
            ScriptRefused: it is not what the archive says of it.
        """
        with open(new_file(path, SCRIPT_MODE), 'wb') as target:
            try:
                size = sum(target.write(piece) for piece in self._pieces(member))
            except _BROKEN as error:
                raise refusal([(member.name, f'cannot be unpacked: {error}')]) from error
            if size != member.info.file_size:
                reason = f'has {size} bytes, and says {member.info.file_size}'
                raise refusal([(member.name, reason)])
            target.flush()
            os.fsync(target.fileno())

    def _pieces(self, member: Member) -> Iterator[bytes]:
        with self._file.open(member.info) as source:
            while piece := source.read(_PIECE_BYTES):
                yield piece


@contextlib.contextmanager
def open_archive(path: Path, max_bytes: int) -> Iterator[Archive]:
    """Open a zip file that has at most `max_bytes`.

    None of its files may be longer, all of them ten times as long.

    Raises:
        ScriptRefused: it is none, or one that is not taken; with all violations.
        OSError: it cannot be read.
    """
    with open_plain(path) as file:
        end = _end_of(file)
        try:
            archive = zipfile.ZipFile(file)
        except _BROKEN as error:
            raise refusal([('', f'is broken: {error}')]) from error
        with archive:
            infos = archive.infolist()
            if len(infos) != end.entries:
                reason = f'has {len(infos)} entries, and says {end.entries}'
                raise refusal([('', reason)])
            members = [Member(name=_name_of(each), info=each) for each in infos]
            if faults := [*_faults(file, members, end, max_bytes)]:
                raise refusal(faults)
            yield Archive(archive, members)


def refusal(faults: Sequence[tuple[str, str]]) -> ScriptRefused:
    """Return the error for an archive, by the names of members and what is wrong with each; the
    empty name is the archive itself."""
    name, reason = faults[0]
    what = f'{shown(name)} in the archive' if name else 'the archive'
    rest = f' (and {len(faults) - 1} more)' if len(faults) > 1 else ''
    violations = tuple(
        Violation(path=f'/file/{pointer_token(name)}' if name else '/file', reason=reason)
        for name, reason in faults[:_NAMED_VIOLATIONS]
    )
    return ScriptRefused(f'{what} {reason}{rest}', violations)


@dataclass(frozen=True, kw_only=True)
class _End:
    """What the end record says."""

    entries: int
    directory_at: int


def _end_of(file: BinaryIO) -> _End:
    """Read the end record; ScriptRefused where what it says is not taken."""
    size = file.seek(0, os.SEEK_END)
    begin = max(0, size - _ZIP64_LOCATOR.size - _END.size - _LONGEST_COMMENT)
    file.seek(begin)
    tail = file.read()
    at = tail.rfind(_END_SIGNATURE)
    if at < 0 or len(tail) - at < _END.size:
        reason = "is no zip file; without 'entry' in the metadata (null) the file itself runs"
        raise refusal([('', reason)])
    _, *disks, on_disk, entries, length, offset, comment = _END.unpack_from(tail, at)
    zip64 = tail[max(0, at - _ZIP64_LOCATOR.size) : at].startswith(_ZIP64_SIGNATURE)
    if at + _END.size + comment != len(tail):
        fault = 'is broken: it does not end where its end record says'
    elif zip64 or _IN_ZIP64 in (length, offset):
        fault = 'is a zip64 file, which nothing of its size needs; allowed: a plain one'
    elif any(disks) or on_disk != entries:
        fault = 'is one of several parts; allowed: a whole one'
    elif not 0 < entries <= MAX_ENTRIES:
        fault = f'has {entries} files and folders; allowed: 1 to {MAX_ENTRIES}'
    elif length > _MAX_DIRECTORY_BYTES:
        fault = f'has a directory of {length} bytes; allowed: at most {_MAX_DIRECTORY_BYTES}'
    elif offset + length != begin + at:
        fault = 'is broken: its directory does not lie where it says'
    else:
        return _End(entries=entries, directory_at=offset)
    raise refusal([('', fault)])


def _name_of(info: zipfile.ZipInfo) -> str:
    """Return a member's name: zip(1) writes UTF-8 without saying so."""
    name = info.orig_filename
    if not info.flag_bits & _UTF8:
        with contextlib.suppress(UnicodeDecodeError):
            return name.encode('cp437').decode()
    return name


def _faults(
    file: BinaryIO, members: Sequence[Member], end: _End, max_bytes: int
) -> Iterator[tuple[str, str]]:
    yield from name_faults(member.name for member in members)
    for member in members:
        fault = _fault(member, max_bytes)
        if fault is not None:
            yield member.name, fault
    unpacked = sum(member.info.file_size for member in members)
    if unpacked > _TIMES_UNPACKED * max_bytes:
        allowed = f'at most {_TIMES_UNPACKED * max_bytes} ({_TIMES_UNPACKED} times'
        yield '', f'has {unpacked} bytes unpacked; allowed: {allowed} scripts.max_file_size_mb)'
    yield from _misplaced(file, members, end)


def _fault(member: Member, max_bytes: int) -> str | None:
    info = member.info
    file_type = stat.S_IFMT(info.external_attr >> 16)
    if file_type not in _PLAIN:
        what = 'a link' if file_type == _LINK else 'a device, a pipe or a socket'
        return f'is {what}; allowed: plain files and folders'
    if info.flag_bits & _ENCRYPTED:
        return 'is encrypted'
    if info.flag_bits & _PATCH:
        return 'is a patch of another file'
    if info.compress_type not in _METHODS:
        return f'is compressed by method {info.compress_type}; allowed: 0 (store), 8 (deflate)'
    if member.is_folder and info.file_size:
        return 'is a folder, and has content'
    if info.file_size > max_bytes:
        allowed = f'at most {max_bytes} (scripts.max_file_size_mb)'
        return f'has {info.file_size} bytes unpacked; allowed: {allowed}'
    return None


def _misplaced(file: BinaryIO, members: Sequence[Member], end: _End) -> Iterator[tuple[str, str]]:
    """Look at the header in front of each member: it lies behind the member before, and says what
    the directory says. Nothing else lies there, as what only who reads from the front would find.
    """
    behind, descriptor, before, strays = 0, 0, '', list[str]()
    sound = True
    for member in sorted(members, key=lambda each: each.info.header_offset):
        info = member.info
        if info.header_offset < behind:
            sound = False
            yield member.name, 'overlaps another file of the archive'
            continue
        file.seek(min(info.header_offset, end.directory_at))
        header = file.read(_LOCAL.size)
        if len(header) < _LOCAL.size or not header.startswith(_LOCAL_SIGNATURE):
            sound = False
            yield member.name, 'is not where the archive says'
            continue
        if info.header_offset > behind + descriptor:
            strays.append(before)
        *_, name_length, extra_length = _LOCAL.unpack(header)
        if not _agrees(info, header, file.read(name_length)):
            yield member.name, 'is told of in two ways, by its header and by the directory'
        data = info.header_offset + _LOCAL.size + name_length + extra_length
        behind = data + info.compress_size
        descriptor = _LONGEST_DESCRIPTOR if info.flag_bits & _DESCRIPTOR else 0
        before = member.name
        if behind > end.directory_at:
            yield member.name, 'is longer than the archive'
    if end.directory_at > behind + descriptor:
        strays.append(before)
    for name in strays if sound else ():
        yield name, 'is followed by bytes of no file' if name else 'does not begin with a file'


def _agrees(info: zipfile.ZipInfo, header: bytes, name: bytes) -> bool:
    """Tell whether a member's header says what the directory says."""
    _, _, flags, method, _, _, checksum, packed, size, _, _ = _LOCAL.unpack(header)
    encoding = 'utf-8' if info.flag_bits & _UTF8 else 'cp437'
    told = (checksum, packed, size)
    known = (info.CRC, info.compress_size, info.file_size)
    later = bool(flags & _DESCRIPTOR)
    return (
        name == info.orig_filename.encode(encoding)
        and method == info.compress_type
        and not (flags ^ info.flag_bits) & (_ENCRYPTED | _UTF8)
        and all(
            each in (real, _IN_ZIP64) or (later and not each)
            for each, real in zip(told, known, strict=True)
        )
    )
