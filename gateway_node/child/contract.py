# SPDX-License-Identifier: Apache-2.0
"""What gateway, spawner and supervisor say to each other: JSON objects behind a length."""

import json
import os
import socket
import struct
from typing import Any, NotRequired, TypedDict

_LENGTH = struct.Struct('!I')
MAX_MESSAGE_BYTES = 256 * 1024 * 1024
MAX_PACKET_BYTES = 64 * 1024


class SupervisorLimits(TypedDict):
    """Bounds of one process tree, in the units of `scripts.values.Limits`; None is no bound."""

    cpu_sec: float | None
    memory_mb: float | None
    processes: int | None
    open_files: int | None
    file_size_mb: float | None
    output_mb: float | None


class SupervisorOrder(TypedDict):
    """The gateway's first message to a supervisor: all it needs to run one script."""

    execution_id: str
    directory: str
    """Exists; the supervisor keeps all its files in it."""
    argv: list[str]
    environment: dict[str, str]
    stdin: str
    script_file: NotRequired[str]
    """The file that an interpreter is to read: it must be there."""
    timeout_sec: float
    grace_sec: float
    stop_signal: int
    limits: SupervisorLimits
    cgroup: NotRequired[str]
    """A cgroup v2 directory in which to make a leaf for this execution."""
    keep_working_directory: bool


class ProcessNote(TypedDict):
    """A process that could not be ended, as whoever gave it up saw it."""

    pid: int
    start_ticks: int
    """Since boot; with the pid it names the process for good."""
    uid: int | None
    """The effective user; None where that cannot be read."""
    command: str
    permitted: bool
    """False where it may not be signalled."""


class EndReport(TypedDict):
    """The supervisor's last message, and the content of its result file."""

    cause: str
    """A value of `executions.ports.EndCause`."""
    exit_code: int | None
    signal: int | None
    limit: dict[str, Any] | None
    duration_sec: float
    leftover_processes: int
    unkillable_processes: list[ProcessNote]
    max_memory_bytes: int
    cpu_sec: float
    stdout_bytes: int
    """All that the script wrote to stdout, kept or not."""
    lost_output_bytes: int
    """What of both streams the disk did not take."""
    progress_garbage: int
    """Lines on the progress channel that said nothing that is understood."""
    end_asked: bool
    """True where the gateway asked for the end while the main process lived."""


def encode(message: Any) -> bytes:
    """Return the message as it goes over a stream socket."""
    body = json.dumps(message, separators=(',', ':')).encode()
    return _LENGTH.pack(len(body)) + body


class MessageBuffer:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, chunk: bytes) -> list[dict[str, Any]]:
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
