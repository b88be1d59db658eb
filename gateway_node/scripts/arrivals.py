# SPDX-License-Identifier: Apache-2.0
"""From what a client sent to the record of a script, or of a version of one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
import datetime
from functools import partial

from gateway_node.entities.values import EntityRef
from gateway_node.scripts.beginning import Beginning, read_beginning
from gateway_node.scripts.disk import disk_errors
from gateway_node.scripts.file_names import settle_kind
from gateway_node.scripts.first_line import interpreter_of
from gateway_node.scripts.metadata import Metadata
from gateway_node.scripts.records import Record
from gateway_node.scripts.upload import Upload
from gateway_node.scripts.values import Script, ScriptKind
from gateway_node.threads import Threads

Check = Callable[[Script], None]
"""Raises where a script is not to be as it would be from now on."""


def accept_any(script: Script) -> None:
    """Nobody objects."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What a client sent."""

    upload: Upload
    file_name: str
    metadata: Metadata
    uploaded_by: str | None
    check: Check = accept_any
    """What it raises refuses the arrival."""

    async def contents(self, earlier: Record | None, threads: Threads) -> 'Contents':
        """Read what of the file matters; an archive is unpacked for that.

        `earlier` is the record of the version before, where there is one.

        Raises:
            ScriptRefused: nothing tells the kind, or it cannot run so.
            LibraryUnavailable: as its name says.
        """
        entry = self._metadata_after(earlier).entry
        present = None if earlier is None else earlier.kind
        if entry is None:
            kind = settle_kind(self.file_name, self.metadata.kind, present)
            read = partial(read_beginning, self.upload.path, kind)
            unpacked_size = 0
        else:
            package = await self.upload.unpack()
            package.check_entry(entry)
            kind = settle_kind(entry.rpartition('/')[2], self.metadata.kind, present)
            read = partial(package.beginning, entry, kind)
            unpacked_size = package.size
        with disk_errors('take a script'):
            beginning = await threads.run(read)
        interpreter_of(beginning.first_line, kind)
        return Contents(kind=kind, beginning=beginning, unpacked_size=unpacked_size)

    def first_record(
        self,
        contents: 'Contents',
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
            kind=contents.kind,
            version=self.upload.version,
            size=self.upload.size,
            metadata=self._metadata_after(None),
            first_line=contents.beginning.first_line,
            mended=contents.beginning.to_mend,
            unpacked_size=contents.unpacked_size,
            uploaded_at=now,
            uploaded_by=self.uploaded_by,
        )

    def next_record(
        self, earlier: Record, contents: 'Contents', *, now: datetime.datetime
    ) -> Record:
        """Return the record of a script's next version."""
        return replace(
            earlier,
            file_name=self.file_name,
            kind=contents.kind,
            version=self.upload.version,
            size=self.upload.size,
            metadata=self._metadata_after(earlier),
            first_line=contents.beginning.first_line,
            mended=contents.beginning.to_mend,
            unpacked_size=contents.unpacked_size,
            revision=earlier.revision + 1,
            uploaded_at=now,
            uploaded_by=self.uploaded_by,
        )

    def _metadata_after(self, earlier: Record | None) -> Metadata:
        """Return the metadata for a record, which holds the settled kind itself."""
        metadata = replace(self.metadata, kind=None, named=self.metadata.named - {'kind'})
        return metadata if earlier is None else metadata.over(earlier.metadata)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What of the file of an arrival matters."""

    kind: ScriptKind
    beginning: Beginning
    """Of the file that is to run."""
    unpacked_size: int
    """Bytes of the files of an archive; 0 where it is none."""
