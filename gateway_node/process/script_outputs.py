# SPDX-License-Identifier: Apache-2.0
"""What scripts write, read while they run and after; fulfils the port `Outputs`."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from gateway_node.executions.output_lines import OutputLines, OutputStream
from gateway_node.executions.values import Output
from gateway_node.process.line_reading import LineReader
from gateway_node.process.output_reading import read_output
from gateway_node.process.supervised_process import SupervisedProcess

Read = TypeVar('Read')


class ScriptOutputs:
    """Reads them where they lie, in threads: what runs shares what is not in its files yet."""

    def __init__(
        self, folder: Path, process_of: Callable[[str], SupervisedProcess | None]
    ) -> None:
        """`folder` is that of all executions; `process_of` knows the process of one that runs."""
        self._folder = folder
        self._process_of = process_of
        self._lines = LineReader(folder)

    async def of(self, execution_id: str) -> Output:
        """Return what was kept, while it runs and after; empty where unknown."""
        read = self._reading(read_output, self._folder / execution_id, execution_id)
        return await asyncio.to_thread(read)

    async def lines(
        self,
        execution_id: str,
        *,
        after: int = 0,
        limit: int,
        stream: OutputStream | None = None,
    ) -> OutputLines:
        """Return up to `limit` lines behind `after`, while it runs and after; none where it is
        unknown."""
        read = self._reading(self._lines.read, execution_id, execution_id)
        return await asyncio.to_thread(read, after=after, limit=limit, stream=stream)

    async def newest_lines(
        self,
        execution_id: str,
        *,
        before: int | None = None,
        limit: int,
        stream: OutputStream | None = None,
    ) -> OutputLines:
        """Return the last `limit` lines, below `before` if that is given."""
        read = self._reading(self._lines.read_newest, execution_id, execution_id)
        return await asyncio.to_thread(read, before=before, limit=limit, stream=stream)

    async def text(self, execution_id: str, *, stream: OutputStream | None = None) -> bytes:
        """Return all that is kept of one stream or both, while it runs and after."""
        read = self._reading(self._lines.read_text, execution_id, execution_id)
        return await asyncio.to_thread(read, stream=stream)

    def watch(self, execution_id: str, on_output: Callable[[], None]) -> Callable[[], None]:
        """Call `on_output` when there may be more lines; return what ends that."""
        process = self._process_of(execution_id)
        return (lambda: None) if process is None else process.output.watch(on_output)

    def forget(self, execution_id: str) -> None:
        """Let go of what is known of an execution that is removed."""
        self._lines.forget(execution_id)

    def _reading(
        self, read: Callable[..., Read], place: Path | str, execution_id: str
    ) -> Callable[..., Read]:
        """Return what reads an execution's output, from its place, as it is now."""
        process = self._process_of(execution_id)
        shared = None if process is None else process.output.shared
        ended = process is None or process.has_ended
        return partial(read, place, shared, ended=ended)
