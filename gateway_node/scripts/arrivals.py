# SPDX-License-Identifier: Apache-2.0
"""From what a client sent to the record of a script, or of a version of one."""

from dataclasses import dataclass, replace
import datetime

from gateway_node.entities.values import EntityRef
from gateway_node.scripts.beginning import Beginning, read_beginning
from gateway_node.scripts.disk import disk_errors
from gateway_node.scripts.first_line import interpreter_of
from gateway_node.scripts.metadata import Metadata
from gateway_node.scripts.records import Record
from gateway_node.scripts.upload import Upload
from gateway_node.scripts.values import ScriptKind
from gateway_node.threads import Threads


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What a client sent."""

    upload: Upload
    file_name: str
    metadata: Metadata
    uploaded_by: str | None

    async def beginning(self, kind: ScriptKind, threads: Threads) -> Beginning:
        """Return what the beginning of the file says; ScriptRefused where it cannot run so."""
        with disk_errors('take a script'):
            beginning = await threads.run(read_beginning, self.upload.path, kind)
        interpreter_of(beginning.first_line, kind)
        return beginning

    def first_record(
        self,
        kind: ScriptKind,
        beginning: Beginning,
        *,
        script_id: str,
        entity: EntityRef,
        sequence: int,
        now: datetime.datetime,
    ) -> Record:
        """Return the record of a new script."""
        return Record(
            script_id=script_id,
            entity=entity,
            sequence=sequence,
            created=now.isoformat(),
            file_name=self.file_name,
            kind=kind,
            version=self.upload.version,
            size=self.upload.size,
            metadata=_without_kind(self.metadata),
            first_line=beginning.first_line,
            mended=beginning.to_mend,
            uploaded_at=now,
            uploaded_by=self.uploaded_by,
        )

    def next_record(
        self, earlier: Record, kind: ScriptKind, beginning: Beginning, *, now: datetime.datetime
    ) -> Record:
        """Return the record of a script's next version."""
        return replace(
            earlier,
            file_name=self.file_name,
            kind=kind,
            version=self.upload.version,
            size=self.upload.size,
            metadata=_without_kind(self.metadata).over(earlier.metadata),
            first_line=beginning.first_line,
            mended=beginning.to_mend,
            revision=earlier.revision + 1,
            uploaded_at=now,
            uploaded_by=self.uploaded_by,
        )


def _without_kind(metadata: Metadata) -> Metadata:
    """Return metadata for a record, which holds the settled kind itself."""
    return replace(metadata, kind=None, named=metadata.named - {'kind'})
