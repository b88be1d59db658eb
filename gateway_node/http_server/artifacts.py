# SPDX-License-Identifier: Apache-2.0
"""The files that a script left: listed, and downloaded one by one or all at once."""

from dataclasses import dataclass
from functools import partial
import mimetypes
from urllib.parse import quote

from gateway_node.clock import rfc3339
from gateway_node.executions.artifact import Artifact
from gateway_node.executions.errors import ArtifactNotFound
from gateway_node.http_server.calls import Answer, Call, FilePart
from gateway_node.http_server.execution_columns import execution_href
from gateway_node.http_server.fields import FilePath
from gateway_node.http_server.media_types import OCTETS, ZIP
from gateway_node.http_server.parts import OfKnown, OfPart
from gateway_node.http_server.representations import Json, listing
from gateway_node.http_server.stored_zip import StoredZip
from gateway_node.http_server.subjects import ByExecutionId, NamesExecution, OfExecution
from gateway_node.http_server.takes import path

_ENCODED = {'gzip': 'application/gzip'}
_MEDIA_TYPES = mimetypes.MimeTypes()
for _media_type, _suffix in (
    ('text/plain', '.log'),
    ('application/yaml', '.yaml'),
    ('application/yaml', '.yml'),
    ('application/x-ndjson', '.ndjson'),
    ('application/vnd.sqlite3', '.db3'),
    ('application/vnd.tcpdump.pcap', '.pcap'),
):
    _MEDIA_TYPES.add_type(_media_type, _suffix)


@dataclass(frozen=True, kw_only=True)
class NamesArtifacts(NamesExecution, OfKnown):
    """Takes an execution, and what a client has of the list of what it left."""


@dataclass(frozen=True, kw_only=True)
class OfArtifacts(OfExecution, NamesArtifacts):
    """Takes an execution of a script, and what a client has of the list of what it left."""


@dataclass(frozen=True, kw_only=True)
class ByArtifactsId(ByExecutionId, NamesArtifacts):
    """Takes an execution, whatever it is of, and what a client has of the list of what it left."""


@dataclass(frozen=True, kw_only=True)
class NamesArchive(NamesExecution, OfPart):
    """Takes an execution, and which part of all that it left is wanted."""


@dataclass(frozen=True, kw_only=True)
class OfArchive(OfExecution, NamesArchive):
    """Takes an execution of a script, and which part of all that it left is wanted."""


@dataclass(frozen=True, kw_only=True)
class ByArchiveId(ByExecutionId, NamesArchive):
    """Takes an execution, whatever it is of, and which part of all that it left is wanted."""


@dataclass(frozen=True, kw_only=True)
class NamesArtifact(NamesArchive):
    """Takes a file that an execution left, and which part of it is wanted."""

    path: str = path(FilePath(), about='Names with slashes between, as the list has it.')


@dataclass(frozen=True, kw_only=True)
class OfArtifact(NamesArtifact, OfExecution):
    """Takes a file that an execution of a script left, and which part of it is wanted."""


@dataclass(frozen=True, kw_only=True)
class ByArtifactId(NamesArtifact, ByExecutionId):
    """Takes a file that an execution left, whatever it is of, and which part of it is wanted."""


async def list_artifacts(call: Call[NamesArtifacts, None]) -> Answer:
    """List the files that a script left in `$GATEWAY_ARTIFACTS`.

    They are there once the execution has ended, as long as it is kept.
    """
    execution = await call.at.execution(call.services.questions)
    artifacts = await call.services.questions.artifacts.of(execution.id)
    href = f'{execution_href(call.base, execution)}/artifacts'
    return Answer(body=listing(_entry(href, each) for each in artifacts), asked=call.at)


async def download_artifact(call: Call[NamesArtifact, None]) -> Answer:
    """Download a file that a script left, or a part of it.

    `path` may have slashes in it, as they are or encoded (`%2F`).
    """
    kept = call.services.questions.artifacts
    execution = await call.at.execution(call.services.questions)
    found = {each.path: each for each in await kept.of(execution.id)}
    artifact = found.get(call.at.path)
    if artifact is None:
        raise ArtifactNotFound(execution.id, call.at.path)
    await kept.check(execution.id, [artifact])
    return Answer(
        body=FilePart(
            pieces=partial(kept.content, execution.id, artifact),
            size=artifact.size,
            tag=f'"{artifact.sha256}"',
            asked=call.at,
            media_type=media_type_of(artifact.path),
            file_name=artifact.path.rpartition('/')[2],
        )
    )


async def download_artifacts(call: Call[NamesArchive, None]) -> Answer:
    """Download all files that a script left as one zip archive, or a part of that."""
    kept = call.services.questions.artifacts
    execution = await call.at.execution(call.services.questions)
    artifacts = await kept.of(execution.id)
    await kept.check(execution.id, artifacts)
    archive = StoredZip(artifacts)
    return Answer(
        body=FilePart(
            pieces=partial(archive.pieces, partial(kept.content, execution.id)),
            size=archive.size,
            tag=archive.tag,
            asked=call.at,
            media_type=ZIP,
            file_name=f'{execution.id}.zip',
        )
    )


def media_type_of(name: str) -> str:
    """Return what a file is by its name, whatever this machine is configured to think."""
    media_type, encoding = _MEDIA_TYPES.guess_type(name)
    if encoding is not None:
        return _ENCODED.get(encoding, f'application/x-{encoding}')
    return media_type or OCTETS


def _entry(href: str, artifact: Artifact) -> Json:
    return {
        'path': artifact.path,
        'href': f'{href}/{quote(artifact.path)}',
        'size': artifact.size,
        'media_type': media_type_of(artifact.path),
        'sha256': artifact.sha256,
        'modified_at': rfc3339(artifact.modified_at),
    }
