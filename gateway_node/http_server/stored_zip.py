# SPDX-License-Identifier: Apache-2.0
"""Files as one zip archive (PKWARE APPNOTE 6.3), stored and not compressed.

All that stands between the files is known before one of them is read: so the archive has a size,
a validator and parts, and is made anywhere in the midst without what comes before.
"""

from collections.abc import AsyncIterator, Callable, Sequence
import datetime
import hashlib
import struct

from gateway_node.executions.artifact import Artifact

Read = Callable[[Artifact, int, int], AsyncIterator[bytes]]
"""Yields the bytes of a file, from where to where."""

_LOCAL = struct.Struct('<4s5H3L2H')
_CENTRAL = struct.Struct('<4s6H3L5H2L')
_END = struct.Struct('<4s4H2LH')
_VERSION = 20
_BY_UNIX = 3 << 8 | _VERSION
_NAMES_ARE_UTF_8 = 1 << 11
_STORED = 0
_PLAIN_FILE = 0o100644 << 16
_FIRST_YEAR, _LAST_YEAR = 1980, 2107


class StoredZip:
    """The archive of these files, which are smaller than 4 GiB together."""

    def __init__(self, artifacts: Sequence[Artifact]) -> None:
        self._parts: list[bytes | Artifact] = []
        digest, directory, offset = hashlib.blake2b(digest_size=16), b'', 0
        for artifact in artifacts:
            name = artifact.path.encode()
            told = (
                _VERSION,
                _NAMES_ARE_UTF_8,
                _STORED,
                *_dos_time(artifact.modified_at),
                artifact.crc32,
                artifact.size,
                artifact.size,
                len(name),
                0,
            )
            head = _LOCAL.pack(b'PK\3\4', *told) + name
            directory += (
                _CENTRAL.pack(b'PK\1\2', _BY_UNIX, *told, 0, 0, 0, _PLAIN_FILE, offset) + name
            )
            self._parts += (head, artifact)
            offset += len(head) + artifact.size
            digest.update(artifact.sha256.encode())
        count = len(artifacts)
        end = _END.pack(b'PK\5\6', 0, 0, count, count, len(directory), offset, 0)
        self._parts.append(directory + end)
        digest.update(directory)
        self.size = offset + len(directory) + len(end)
        self.tag = f'"{digest.hexdigest()}"'
        """A strong validator."""

    async def pieces(self, read: Read, begin: int, end: int) -> AsyncIterator[bytes]:
        """Yield its bytes from `begin` up to `end`."""
        offset = 0
        for part in self._parts:
            size = len(part) if isinstance(part, bytes) else part.size
            first, last = max(begin - offset, 0), min(end - offset, size)
            offset += size
            if first >= last:
                continue
            if isinstance(part, bytes):
                yield part[first:last]
            else:
                async for piece in read(part, first, last):
                    yield piece


def _dos_time(moment: datetime.datetime) -> tuple[int, int]:
    """Return time and date as an archive has them: two seconds the step, and without a zone."""
    if moment.year < _FIRST_YEAR:
        moment = datetime.datetime(_FIRST_YEAR, 1, 1)
    elif moment.year > _LAST_YEAR:
        moment = datetime.datetime(_LAST_YEAR, 12, 31)
    time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
    return time, (moment.year - _FIRST_YEAR) << 9 | moment.month << 5 | moment.day
