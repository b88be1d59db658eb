# SPDX-License-Identifier: Apache-2.0
"""Memory in which a supervisor shows its gateway what no file holds of a script's output yet.

It outlives the supervisor for as long as the gateway holds it, and costs the disk nothing. Two
slots are filled in turns, so that one is whole whenever the other is being written. Each has a
checksum: a reader needs no lock, and takes nothing half written for whole.
"""

import fcntl
import mmap
import os
import struct
import zlib

_SLOT = struct.Struct('!QII')
"""The number of the filling, from 1 on; the length and the CRC-32 of what follows."""
_SLOT_BYTES = 448 * 1024
"""A tail of empty lines has a number for each. Memory that is never filled takes none."""
MEMORY_BYTES = 2 * _SLOT_BYTES
MAX_CONTENT_BYTES = _SLOT_BYTES - _SLOT.size


class SharedTail:
    """The supervisor's side.

    Raises:
        OSError: there is no such memory to be had.
    """

    def __init__(self) -> None:
        self.descriptor = os.memfd_create('gw-output', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.descriptor, MEMORY_BYTES)
            # A script can find it in /proc; memory that was cut off kills who writes there.
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, seals)
            self._memory = mmap.mmap(self.descriptor, MEMORY_BYTES)
        except BaseException:
            os.close(self.descriptor)
            raise
        self._fillings = 0

    def fill(self, content: bytes) -> None:
        """Show the content in place of what was shown before.

        What is longer than MAX_CONTENT_BYTES is not shown: empty lines alone, each with millions
        of lines of the other stream before it, are.
        """
        if len(content) > MAX_CONTENT_BYTES:
            return
        self._fillings += 1
        start = self._fillings % 2 * _SLOT_BYTES
        content_at = start + _SLOT.size
        self._memory[content_at : content_at + len(content)] = content
        _SLOT.pack_into(self._memory, start, self._fillings, len(content), zlib.crc32(content))

    def close(self) -> None:
        """Let go of it; who has the descriptor still sees what was shown last."""
        self._memory.close()


def newest(memory: bytes) -> bytes:
    """Return what was shown last of what the memory holds whole; empty where that is nothing.

    The memory may hold anything: a script is of the same user.
    """
    starts = range(0, len(memory) - _SLOT.size + 1, _SLOT_BYTES)
    slots = sorted(((_SLOT.unpack_from(memory, start), start) for start in starts), reverse=True)
    for (_, length, checksum), start in slots:
        content_at = start + _SLOT.size
        content = memory[content_at : content_at + min(length, MAX_CONTENT_BYTES)]
        if zlib.crc32(content) == checksum:
            return content
    return b''
