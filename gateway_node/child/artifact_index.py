# SPDX-License-Identifier: Apache-2.0
"""The list of the files that are kept of what a script left: made, and read by whoever asks."""

import json
import os

from gateway_node.child.contract import ARTIFACTS_INDEX
from gateway_node.child.exposed_files import read_regular, replace_file
from gateway_node.child.messages import ArtifactNote, ArtifactsNote

_PIECE_BYTES = 256 * 1024
_MAX_INDEX_BYTES = 64 * 1024 * 1024
_MAX_FILES = 10_000
_MAX_PATH_BYTES = 2048
_MAX_TOTAL_BYTES = 4000 * 1024 * 1024
"""No more is kept, however the bounds are set: so all of it has room in one archive."""
_MAX_COMPLAINT_CHARACTERS = 64 * 1024
"""More than a few sentences with a path in each have."""
_WORDS = range(2**32)


def note_of(path: str, descriptor: int) -> ArtifactNote:
    """Return what is to be known of a file that lies below the folder under this path; OSError."""
    # Loaded where they are needed: hardly a script leaves files.
    import hashlib
    import zlib

    sha256, crc32, size = hashlib.sha256(), 0, 0
    while piece := os.read(descriptor, _PIECE_BYTES):
        sha256.update(piece)
        crc32 = zlib.crc32(piece, crc32)
        size += len(piece)
    return ArtifactNote(
        path=path,
        size=size,
        modified=int(os.fstat(descriptor).st_mtime),
        crc32=crc32,
        sha256=sha256.hexdigest(),
    )


def write_index(directory: str, note: ArtifactsNote) -> bool:
    """List files in an execution's directory; False where the disk does not take that."""
    content = json.dumps(note, separators=(',', ':')).encode()
    return replace_file(os.path.join(directory, ARTIFACTS_INDEX), content)


def read_index(directory: str | os.PathLike[str]) -> ArtifactsNote | None:
    """Return what is listed in an execution's directory; None where nothing is.

    A script can have written there: what could not be served is no list.
    """
    try:
        content = read_regular(os.path.join(directory, ARTIFACTS_INDEX), _MAX_INDEX_BYTES)
        found = json.loads(content)
        note = ArtifactsNote(
            files=[_checked(each) for each in found['files']],
            complaints=[*map(str, found['complaints'])],
        )
        _check_bounds(note)
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError):
        return None
    return note


def _check_bounds(note: ArtifactsNote) -> None:
    """Raise ValueError where a list is longer than any that a gateway wrote."""
    if (
        len(note['files']) > _MAX_FILES
        or sum(each['size'] for each in note['files']) > _MAX_TOTAL_BYTES
        or max((len(each['path'].encode()) for each in note['files']), default=0) > _MAX_PATH_BYTES
        or sum(map(len, note['complaints'])) > _MAX_COMPLAINT_CHARACTERS
    ):
        raise ValueError('it lists more than is kept')


def _checked(told: ArtifactNote) -> ArtifactNote:
    """Return what a list says of a file; ValueError, LookupError, TypeError, ArithmeticError."""
    note = ArtifactNote(
        path=str(told['path']),
        size=int(told['size']),
        modified=int(told['modified']),
        crc32=int(told['crc32']),
        sha256=str(told['sha256']),
    )
    if not note['path'].isprintable() or len(bytes.fromhex(note['sha256'])) != 32:
        raise ValueError(f'it is not written as by a gateway: {note!r:.200}')
    if note['size'] not in _WORDS or note['crc32'] not in _WORDS:
        raise ValueError(f'it is larger than any that is kept: {note!r:.200}')
    return note
