# SPDX-License-Identifier: Apache-2.0
"""Scripts of several files: an archive that was uploaded, unpacked once. Blocks.

What lies unpacked follows from the bytes of the archive alone, whatever is said about it: the same
version of a script may be there with another entry.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import errno
import os
from pathlib import Path

from gateway_node.scripts.archives import open_archive, refusal
from gateway_node.scripts.beginning import Beginning, read_beginning
from gateway_node.scripts.disk import make_directory, SCRIPT_MODE, sync_directory, write_file
from gateway_node.scripts.errors import ScriptRefused
from gateway_node.scripts.file_names import kind_by_name
from gateway_node.scripts.mending import mend, SHELL_KINDS
from gateway_node.scripts.values import Mending, ScriptKind
from gateway_node.strict_json import shown
from gateway_node.violations import Violation

_NAMED_FILES = 20
"""That a refusal names."""
_TOO_MUCH_TO_MEND = (
    'is not mended: what has CR LF, or a byte order mark, in files that shells read has more than '
    '{} bytes together (scripts.max_file_size_mb)'
)
"""As much as of one script: mending takes its time."""
UNPACKED_MODE = 0o500
"""Of each folder that is unpacked: nothing writes there, as no Python that compiles a module."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """An archive that was unpacked."""

    folder: Path
    size: int
    """Bytes of all its files."""
    mended: Mapping[str, tuple[Mending, ...]]
    """How each file differs from the archive's; in the order of the archive."""

    def check_entry(self, entry: str) -> None:
        """Return where the archive has the file that is to run; ScriptRefused."""
        if entry not in self.mended:
            names = ', '.join(list(self.mended)[:_NAMED_FILES])
            more = len(self.mended) - _NAMED_FILES
            allowed = f'{names} and {more} more' if more > 0 else names
            raise _entry_refused(f'is {shown(entry)}; allowed, of the archive: {allowed}')

    def beginning(self, entry: str, kind: ScriptKind) -> Beginning:
        """Return what the beginning of the file says that is to run; ScriptRefused."""
        path = self.folder / os.fsdecode(entry.encode())
        if not path.stat().st_size:
            raise _entry_refused(f'is {shown(entry)}, which is empty')
        found = read_beginning(path, kind)
        if found.to_mend:
            raise _entry_refused(
                f'is {shown(entry)}, which no shell reads as it is (CR LF, or a byte order mark); '
                'allowed: a file that is called .sh or .bash, which is mended',
            )
        return Beginning(first_line=found.first_line, to_mend=self.mended[entry])


def unpack(archive: Path, folder: Path, max_bytes: int) -> Package:
    """Unpack an archive, which has at most `max_bytes`, into a new folder, which is on the disk
    when this returns.

    Raises:
        ScriptRefused: with all that is wrong with the archive.
        OSError: the disk refuses.
    """
    with open_archive(archive, max_bytes) as opened:
        size = sum(member.info.file_size for member in opened.members)
        disk = os.statvfs(archive)
        if disk.f_bavail * disk.f_frsize < size:
            # Nobody else is to find the disk full for what does not fit.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        make_directory(folder)
        folders = {folder}
        mended: dict[str, tuple[Mending, ...]] = {}
        may_mend = max_bytes
        for member in opened.members:
            path = folder / os.fsdecode(member.name.encode())
            above = path if member.is_folder else path.parent
            make_directory(above)
            while above not in folders:
                folders.add(above)
                above = above.parent
            if not member.is_folder:
                opened.write(member, path)
                mended[member.name] = to_mend = _to_mend(path, member.name)
                if to_mend:
                    may_mend -= member.info.file_size
                    if may_mend < 0:
                        raise refusal([(member.name, _TOO_MUCH_TO_MEND.format(max_bytes))])
                    _mend(path, to_mend)
    for each in folders:
        sync_directory(each)
        if each != folder:
            each.chmod(UNPACKED_MODE)
    return Package(folder=folder, size=size, mended=mended)


def _to_mend(path: Path, name: str) -> tuple[Mending, ...]:
    """Return what is to be mended of a file that a shell is to read, by its name."""
    kind = kind_by_name(name.rpartition('/')[2])
    return read_beginning(path, kind).to_mend if kind in SHELL_KINDS else ()


def _mend(path: Path, to_mend: tuple[Mending, ...]) -> None:
    content = mend(path.read_bytes(), to_mend)
    path.unlink()
    write_file(path, content, SCRIPT_MODE)


def _entry_refused(reason: str) -> ScriptRefused:
    return ScriptRefused(f'metadata/entry {reason}', (Violation(path='/entry', reason=reason),))
