# SPDX-License-Identifier: Apache-2.0
"""The form of an upload (RFC 7578)."""

from collections.abc import Mapping
import json
from pathlib import Path
import secrets
from typing import Any


def upload_form(
    script: Path | str | bytes, file_name: str | None, metadata: Mapping[str, Any]
) -> tuple[bytes, Mapping[str, str]]:
    """Build the body of an upload, and the headers that go with it.

    Raises:
        OSError: the file cannot be read.
        ValueError: bytes come without a name.
    """
    if isinstance(script, bytes):
        content = script
    else:
        content, file_name = Path(script).read_bytes(), file_name or Path(script).name
    if file_name is None:
        raise ValueError('the content of a script needs a file_name')
    boundary = secrets.token_hex(16)
    # As browsers write it (HTML, "multipart form data"): these three cannot stand in quotes.
    name = file_name.replace('"', '%22').replace('\r', '%0D').replace('\n', '%0A')
    parts = [(f'name="file"; filename="{name}"', content)]
    if metadata:
        parts.append(('name="metadata"', json.dumps(metadata).encode()))
    body = b''.join(
        f'--{boundary}\r\nContent-Disposition: form-data; {what}\r\n\r\n'.encode() + part + b'\r\n'
        for what, part in parts
    )
    return (
        body + f'--{boundary}--\r\n'.encode(),
        {'Content-Type': f'multipart/form-data; boundary={boundary}'},
    )
