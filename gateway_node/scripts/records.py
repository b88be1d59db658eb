# SPDX-License-Identifier: Apache-2.0
"""A script's record, as `script.json` holds it. Pure."""

from dataclasses import dataclass
import datetime
import json
import os
from pathlib import Path
import re
from typing import Any

from gateway_node.entities.values import EntityRef
from gateway_node.scripts.errors import ScriptRefused
from gateway_node.scripts.file_names import check_file_name
from gateway_node.scripts.first_line import asked
from gateway_node.scripts.metadata import Metadata, parse_metadata
from gateway_node.scripts.values import Mending, Script, ScriptKind

FORMAT = 2
VERSION = re.compile(r'[0-9a-f]{64}')

DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    ScriptRefused,
)
"""What reading a record that the gateway did not write, or not to its end, may raise."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One script in its present version."""

    script_id: str
    entity: EntityRef
    sequence: int
    """Grows with each upload of the library: the order in which scripts were made."""
    created: str
    """RFC 3339; for people, the order is `sequence`."""
    file_name: str
    kind: ScriptKind
    version: str
    size: int
    metadata: Metadata
    first_line: str
    """What the file asks to be run by, uninterpreted: `first_line.first_line_of`."""
    mended: tuple[Mending, ...]
    unpacked_size: int = 0
    """Bytes that the files of an archive take, unpacked; see `metadata.entry`."""
    revision: int = 1
    """Grows with each upload of the script: the order of its versions."""
    uploaded_at: datetime.datetime | None = None
    """When this version was; None on records of version 0.1.0, as is by whom."""
    uploaded_by: str | None = None

    @property
    def place(self) -> Path:
        """Where the version's file lies, within the script's folder."""
        # The same bytes on the disk whatever the locale.
        return Path(self.version, os.fsdecode(self.file_name.encode()))


def encode(record: Record) -> bytes:
    """Return the content of `script.json`."""
    document = {
        'format': FORMAT,
        'entity': record.entity.path,
        'sequence': record.sequence,
        'created': record.created,
        'file_name': record.file_name,
        'kind': record.kind.value,
        'version': record.version,
        'size': record.size,
        'metadata': record.metadata.document(),
        'first_line': record.first_line,
        'mended': [mending.value for mending in record.mended],
        'unpacked_size': record.unpacked_size,
        'revision': record.revision,
        'uploaded_at': record.uploaded_at and record.uploaded_at.isoformat(),
        'uploaded_by': record.uploaded_by,
    }
    return json.dumps(document, indent=2).encode()


def decode(script_id: str, document: Any) -> Record:
    """Return the record of a document; what is none raises one of `DAMAGE`."""
    if document['format'] != FORMAT:
        raise ValueError(f'format is {document["format"]!r}; this gateway reads {FORMAT}')
    version, size, sequence = document['version'], document['size'], document['sequence']
    first_line, uploaded_at = document['first_line'], document.get('uploaded_at')
    check_file_name(document['file_name'])
    if not VERSION.fullmatch(version):
        raise ValueError(f'version is {version!r:.80}; allowed: a SHA-256')
    if not isinstance(first_line, str):
        raise ValueError(f'first_line is {first_line!r:.80}; allowed: a text')
    if type(size) is not int or type(sequence) is not int:
        raise ValueError(f'size is {size!r:.80}, sequence is {sequence!r:.80}; allowed: integers')
    return Record(
        script_id=script_id,
        entity=EntityRef.from_path(document['entity']),
        sequence=sequence,
        created=str(document['created']),
        file_name=document['file_name'],
        kind=ScriptKind(document['kind']),
        version=version,
        size=size,
        metadata=parse_metadata(document['metadata']),
        first_line=first_line,
        mended=tuple(Mending(value) for value in document['mended']),
        unpacked_size=int(document.get('unpacked_size', 0)),
        revision=int(document.get('revision', 1)),
        uploaded_at=datetime.datetime.fromisoformat(uploaded_at) if uploaded_at else None,
        uploaded_by=document.get('uploaded_by'),
    )


def script_of(record: Record, path: Path) -> Script:
    """Return a record as the script that the other rooms see."""
    metadata = record.metadata
    interpreter, fault = asked(record.first_line, record.kind)
    return Script(
        id=record.script_id,
        name=metadata.name or record.file_name,
        kind=record.kind,
        path=path,
        version=record.version,
        size=record.size,
        mended=record.mended,
        entry=metadata.entry,
        interpreter=interpreter,
        fault=fault,
        **metadata.script_fields(),
    )
