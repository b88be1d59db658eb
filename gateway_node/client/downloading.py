# SPDX-License-Identifier: Apache-2.0
"""Downloading a file, which goes on where it broke off."""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from gateway_node.client.errors import (
    AnswerLate,
    AnswerLost,
    AnswerNotUnderstood,
    GatewayError,
    GatewayUnreachable,
    Unavailable,
)
from gateway_node.client.json_exchange import check
from gateway_node.client.transport import Pursuit, Request, Transport
from gateway_node.client.values import Artifact

_SILENCE_SEC = 60.0


def download(transport: Transport, where: str, artifact: Artifact, to: Path) -> None:
    """Write an artifact to a file, which is there once it is whole.

    Raises:
        OSError: the file cannot be written.
        AnswerNotUnderstood: what came is not what was listed.
        What `Transport.exchange` does.
    """
    part = to.with_name(f'{to.name}.part')
    try:
        with part.open('w+b') as file:
            _fetch(transport, where, artifact, file)
            file.seek(0)
            found = hashlib.file_digest(file, 'sha256').hexdigest()
            if found != artifact.sha256:
                raise AnswerNotUnderstood(f'GET {where}', f'its SHA-256 is {found}')
        os.replace(part, to)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()


def _fetch(transport: Transport, where: str, artifact: Artifact, file: BinaryIO) -> None:
    pursuit = Pursuit(transport)
    while True:
        before, was_there = file.tell(), transport.has_answered
        failure: GatewayError = AnswerLost(f'GET {where}', 'it ended before all of it came')
        try:
            _fetch_on(transport, where, artifact, file)
        except (AnswerLate, AnswerLost) as error:
            failure = error
        except (GatewayUnreachable, Unavailable) as error:
            if not was_there:
                raise
            failure = error
        if file.tell() == artifact.size:
            return
        pursuit.after(failure, got_on=file.tell() > before)


def _fetch_on(transport: Transport, where: str, artifact: Artifact, file: BinaryIO) -> None:
    headers = {}
    if begin := file.tell():
        headers = {'Range': f'bytes={begin}-', 'If-Range': f'"{artifact.sha256}"'}
    request = Request(method='GET', target=where, headers=headers)
    with transport.stream(request, _SILENCE_SEC) as (answer, body):
        check(answer, request)
        if answer.status != 206:
            file.seek(0)
            file.truncate()
        for piece in body.pieces():
            file.write(piece)
            if file.tell() > artifact.size:
                raise AnswerNotUnderstood(str(request), f'it has more than {artifact.size} bytes')
