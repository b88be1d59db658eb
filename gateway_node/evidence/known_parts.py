# SPDX-License-Identifier: Apache-2.0
"""What the gateway itself knows of an ended execution, as parts of its evidence."""

from collections.abc import AsyncIterator, Mapping
import json
from typing import Any

from gateway_node.evidence.evidence_parts import Part
from gateway_node.evidence.ports import ExecutionDocuments
from gateway_node.executions.output_lines import OutputStream
from gateway_node.executions.questions import Questions
from gateway_node.executions.values import Execution
from gateway_node.scripts.errors import (
    LibraryUnavailable,
    ScriptNotFound,
    ScriptsTurnedOff,
    VersionNotFound,
)
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.script_summaries import script_summary

_NO_FILE = (LibraryUnavailable, ScriptNotFound, ScriptsTurnedOff, VersionNotFound)


class KnownParts:
    """Reads what is kept of executions and of their scripts."""

    def __init__(
        self, questions: Questions, library: ScriptLibrary, documents: ExecutionDocuments
    ) -> None:
        self._questions = questions
        self._library = library
        self._documents = documents

    async def parts(self, execution: Execution, max_bytes: int) -> AsyncIterator[Part]:
        """Yield them, the most important first; the file of the script only where it is no longer
        than `max_bytes`. ExecutionNotFound, LibraryUnavailable, StoreUnavailable."""
        yield Part(name='execution.json', content=await self._documents.document(execution.id))
        yield json_part(
            'parameters.json',
            {
                'parameters': dict(execution.input_parameters),
                'arguments': list(execution.arguments),
            },
        )
        if execution.output_parameters is not None:
            yield json_part('result.json', dict(execution.output_parameters))
        for stream in (OutputStream.STDERR, OutputStream.STDOUT):
            text = await self._questions.output_text(execution.id, stream)
            yield Part(name=f'{stream.value}.txt', content=text, may_be_cut=True)
        async for part in self._script(execution, max_bytes):
            yield part

    async def _script(self, execution: Execution, max_bytes: int) -> AsyncIterator[Part]:
        told: dict[str, Any] = {'id': execution.script_id, 'version': execution.script_version}
        content = None
        try:
            version = await self._library.versions.find(
                execution.entity, execution.script_id, execution.script_version
            )
            if version.script is not None:
                told = script_summary(version.script)
            if version.size > max_bytes:
                told['unavailable'] = f'its file has {version.size} bytes'
            else:
                file = await self._library.versions.content(version)
                content = b''.join([piece async for piece in file.pieces()])
        except (*_NO_FILE, OSError) as error:
            told['unavailable'] = f'its file cannot be had: {error}'
        yield json_part('script.json', told)
        if content is not None:
            # Names of files are bytes, those in an archive are text.
            name = version.path.name.encode(errors='replace').decode()
            yield Part(name=f'script/{name}', content=content)


def json_part(name: str, document: Mapping[str, Any]) -> Part:
    """Return a document as a part."""
    return Part(name=name, content=_line(document))


def lines_part(name: str, documents: list[dict[str, Any]]) -> Part:
    """Return documents as a part with one a line."""
    return Part(name=name, content=b''.join(map(_line, documents)), may_be_cut=True)


def _line(document: Mapping[str, Any]) -> bytes:
    # What nodes and environments say may hold what UTF-8 cannot.
    return f'{json.dumps(document, ensure_ascii=False)}\n'.encode(errors='replace')
