# SPDX-License-Identifier: Apache-2.0
"""A mount that does not answer: what asks it something hangs in the kernel, SIGKILL or not.

A FUSE file system, told by this process (Linux, Documentation/filesystems/fuse.rst, and the
messages of uapi/linux/fuse.h). A request that was read and is not answered holds who made it in
uninterruptible sleep until the file system is taken down.
"""

from collections.abc import Iterator
import contextlib
import ctypes
import errno
import os
from pathlib import Path
import select
import struct
import threading

import pytest

_IN = struct.Struct('=IIQQIIIHH')
_OUT = struct.Struct('=IiQ')
_ATTRIBUTES = struct.Struct('=QQQQQQIIIIIIIIII')
_INIT = struct.Struct('=IIIIHHIIHH32x')
_LOOKUP_NUMBER, _FORGET, _GETATTR, _OPEN_NUMBER, _INIT_NUMBER = 1, 2, 3, 14, 26
_UNANSWERED = (_FORGET, 36, 42)
_ROOT, _FILE = 1, 2
_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def _attributes(node: int) -> bytes:
    mode = 0o040755 if node == _ROOT else 0o100644
    return _ATTRIBUTES.pack(node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def _reply(number: int, node: int) -> tuple[int, bytes] | None:
    """Return the error and the body of an answer; None where there is to be none."""
    if number == _INIT_NUMBER:
        return 0, _INIT.pack(7, 31, 0, 0, 12, 9, 65536, 1, 0, 0)
    if number == _LOOKUP_NUMBER:
        # A name is known for good; what its file is has to be asked for each time.
        return 0, struct.pack('=QQQQII', _FILE, 0, 3600, 0, 0, 0) + _attributes(_FILE)
    if number == _OPEN_NUMBER:
        return 0, struct.pack('=QII', 0, 0, 0)
    if number == _GETATTR and node == _FILE:
        return None
    if number == _GETATTR:
        return 0, struct.pack('=QII', 3600, 0, 0) + _attributes(node)
    return -errno.ENOSYS, b''


def _serve(device: int, end: int, asked: threading.Event) -> None:
    poll = select.poll()
    for descriptor in (device, end):
        poll.register(descriptor, select.POLLIN)
    while all(ready != end for ready, _ in poll.poll()):
        with contextlib.suppress(OSError):
            _, number, unique, node, *_ = _IN.unpack_from(os.read(device, 1 << 20))
            reply = None if number in _UNANSWERED else _reply(number, node)
            if reply is None and number == _GETATTR:
                asked.set()
            elif reply is not None:
                error, body = reply
                os.write(device, _OUT.pack(_OUT.size + len(body), error, unique) + body)


@contextlib.contextmanager
def hanging_file(folder: Path) -> Iterator[tuple[Path, threading.Event]]:
    """Yield a file that can be opened, and holds for ever who asks for its size.

    The event tells that somebody did. Whoever hangs is let go at the end. Skips where nothing
    can be mounted.
    """
    folder.mkdir()
    try:
        device = os.open('/dev/fuse', os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        pytest.skip(f'there is no FUSE here: {error}')
    end, ending = os.pipe()
    try:
        options = f'fd={device},rootmode=40000,user_id=0,group_id=0,allow_other'
        if _libc.mount(b'hanging', bytes(folder), b'fuse', 0, options.encode()) != 0:
            pytest.skip(f'nothing can be mounted here: {os.strerror(ctypes.get_errno())}')
        asked = threading.Event()
        server = threading.Thread(target=_serve, args=(device, end, asked))
        server.start()
        try:
            yield folder / 'file', asked
        finally:
            os.write(ending, b'x')
            server.join()
    finally:
        for descriptor in (device, end, ending):
            os.close(descriptor)
        _libc.umount2(bytes(folder), _MNT_DETACH)
