# SPDX-License-Identifier: Apache-2.0
"""Receiving an upload: the `file` streamed to disk, the `metadata` beside it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from gateway_node.executions.script_changes import ScriptChanges
from gateway_node.http_server.errors import BodyTooLarge, InvalidRequest
from gateway_node.http_server.reading import MAX_JSON_BYTES, parse_object
from gateway_node.scripts.metadata import Metadata, parse_metadata
from gateway_node.scripts.metadata_schema import METADATA_SCHEMA
from gateway_node.scripts.upload import Upload

FORM_SCHEMA: dict[str, Any] = {
    'type': 'object',
    'properties': {
        'file': {'type': 'string', 'contentMediaType': 'application/octet-stream'},
        'metadata': METADATA_SCHEMA,
    },
    'required': ['file'],
    'additionalProperties': False,
}
"""What the parts of the form are."""
FORM_ENCODING: Mapping[str, str] = {
    'file': 'application/octet-stream',
    'metadata': 'application/json',
}
"""The media types of the parts; a client may as well name others, or none."""
_MAX_AROUND_BYTES = 64 * 1024
"""Of a form beside the file and the metadata: boundaries, headers, what is in front and behind."""


class Part(Protocol):
    """One part of a form."""

    name: str | None
    file_name: str | None

    def chunks(self) -> AsyncIterator[bytes]:
        """Read what is in it, a piece at a time."""


class Form(Protocol):
    """The form of an upload, on its way in."""

    def parts(self, max_bytes: int) -> AsyncIterator[Part]:
        """Begin to read the parts, which may have so many bytes with all that is around them.

        Raises, at once or as the parts are read:
            MediaTypeWrong, InvalidRequest: it is no form, or a broken one.
            BodyTooLarge, ClientSilent, ClientSlow: as their names say.
        """


@dataclass(frozen=True, kw_only=True)
class ReceivedScript:
    """What a client sent."""

    upload: Upload
    file_name: str
    metadata: Metadata | None

    async def fields(self) -> dict[str, Any]:
        """Return what was sent, as JSON values, once all of the file is on the disk.

        ScriptRefused, LibraryUnavailable: as `Upload.finish`.
        """
        await self.upload.finish()
        return {
            'file': self.upload.version,
            'file_name': self.file_name,
            'metadata': None if self.metadata is None else self.metadata.document(),
        }


@asynccontextmanager
async def receive(
    form: Form, changes: ScriptChanges, *, replacing: bool = False
) -> AsyncIterator[ReceivedScript]:
    """Receive the parts of a form; what the library has not taken at the end is removed.

    `replacing` means that they are no new script.

    Raises:
        InvalidRequest: an unknown or repeated part, no `file`; what `Form.parts` raises.
        ScriptsTurnedOff, UploadsTurnedOff, ScriptLimitReached, DiskSpaceLow: before the form is
            looked at.
        ScriptRefused, ScriptTooLarge, LibraryUnavailable: as their names say.
        BodyTooLarge: the form or the metadata is.
    """
    upload = await changes.begin_upload(replacing=replacing)
    parts = form.parts(upload.max_bytes + MAX_JSON_BYTES + _MAX_AROUND_BYTES)
    async with upload:
        file_name: str | None = None
        document: dict[str, Any] | None = None
        async for part in parts:
            if part.name == 'file' and file_name is None:
                file_name = await _receive_file(part, upload)
            elif part.name == 'metadata' and document is None:
                document = await parse_object(await _small_content(part), 'the part "metadata"')
            else:
                raise InvalidRequest(
                    f'unexpected part {part.name!r}; allowed: "file" and "metadata", once each'
                )
        if file_name is None:
            raise InvalidRequest('the part "file" is missing')
        # In a thread: the language of preconditions is loaded with the first of them.
        metadata = None if document is None else await asyncio.to_thread(parse_metadata, document)
        yield ReceivedScript(upload=upload, file_name=file_name, metadata=metadata)


async def _receive_file(part: Part, upload: Upload) -> str:
    if not part.file_name:
        raise InvalidRequest('the part "file" has no file name')
    async for chunk in part.chunks():
        await upload.write(chunk)
    return part.file_name


async def _small_content(part: Part) -> bytes:
    content = bytearray()
    async for chunk in part.chunks():
        content += chunk
        if len(content) > MAX_JSON_BYTES:
            raise BodyTooLarge(f'the part "metadata" is larger than {MAX_JSON_BYTES} bytes')
    return bytes(content)
