# SPDX-License-Identifier: Apache-2.0
"""How gateway, spawner and supervisor talk: JSON objects behind a length, and packets."""

import json
import os
import socket
import struct
from typing import Any

_LENGTH = struct.Struct('!I')
_ENCODER = json.JSONEncoder(separators=(',', ':'))
MAX_MESSAGE_BYTES = 256 * 1024 * 1024
MAX_PACKET_BYTES = 64 * 1024


def encode(message: Any) -> bytes:
    """Return the message as it goes over a stream socket."""
    body = _ENCODER.encode(message).encode()
    return _LENGTH.pack(len(body)) + body


class MessageBuffer:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, chunk: bytes) -> list[Any]:
        """Take what was read; return the messages that it completed.

        Raises:
            ValueError: the stream is no sequence of messages.
        """
        self._bytes += chunk
        messages = []
        while len(self._bytes) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._bytes)
            if length > MAX_MESSAGE_BYTES:
                raise ValueError(f'a message of {length} bytes')
            end = _LENGTH.size + length
            if len(self._bytes) < end:
                break
            messages.append(json.loads(bytes(self._bytes[_LENGTH.size : end])))
            del self._bytes[:end]
        return messages


def receive_packet(control: socket.socket) -> tuple[bytes, list[int]]:
    """Return the next packet of a seqpacket socket, and the descriptor that came with it.

    The packet is empty at the end.

    Raises:
        OSError: nothing can be received, or (BlockingIOError) nothing is there yet.
    """
    packet, descriptors, _, _ = socket.recv_fds(control, MAX_PACKET_BYTES, 1)
    for descriptor in descriptors:
        # recv_fds drops its flags argument (CPython 3.11), so not MSG_CMSG_CLOEXEC.
        os.set_inheritable(descriptor, False)
    return packet, descriptors
