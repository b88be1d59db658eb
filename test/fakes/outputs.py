# SPDX-License-Identifier: Apache-2.0
"""What scripts write, in memory."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from gateway_node.executions.output_lines import OutputLine, OutputLines, OutputStream
from gateway_node.executions.values import Output


class FakeOutputs:
    """`Outputs` of what a test says; all of it is complete where no script `runs`."""

    def __init__(self, runs: Callable[[str], bool]) -> None:
        self.written: dict[str, Output] = {}
        """What `of` returns, by execution id."""
        self.said: dict[str, list[OutputLine]] = {}
        """What `lines` returns, by execution id."""
        self._runs = runs
        self._watchers: list[tuple[str, Callable[[], None]]] = []

    def say(self, execution_id: str, text: str) -> None:
        """Write one line to stdout, as a script would."""
        said = self.said.setdefault(execution_id, [])
        said.append(
            OutputLine(
                number=len(said) + 1,
                stream=OutputStream.STDOUT,
                elapsed_ms=0,
                text=text,
                whole=True,
            )
        )
        for told, on_output in tuple(self._watchers):
            if told == execution_id:
                on_output()

    def forget(self, execution_id: str) -> None:
        """Let go of what was said and written."""
        self.written.pop(execution_id, None)
        self.said.pop(execution_id, None)

    async def of(self, execution_id: str) -> Output:
        """Return what the test put into `written`; else nothing was."""
        return self.written.get(execution_id, Output())

    async def lines(
        self,
        execution_id: str,
        *,
        after: int = 0,
        limit: int,
        stream: OutputStream | None = None,
    ) -> OutputLines:
        """Return what was said."""
        said = self.said.get(execution_id, [])
        asked = [line for line in said[after:] if stream in (None, line.stream)][:limit]
        last = asked[-1].number if len(asked) == limit else max(after, len(said))
        return OutputLines(
            lines=tuple(asked),
            dropped=(),
            unfinished=(),
            last=last,
            complete=not self._runs(execution_id) and last >= len(said),
        )

    async def newest_lines(
        self,
        execution_id: str,
        *,
        before: int | None = None,
        limit: int,
        stream: OutputStream | None = None,
    ) -> OutputLines:
        """Return the last of what was said, as `lines` does."""
        read = await self.lines(execution_id, limit=2**63, stream=stream)
        asked = [line for line in read.lines if before is None or line.number < before]
        return replace(read, lines=tuple(asked[-limit:]), earlier=len(asked) > limit)

    async def text(self, execution_id: str, *, stream: OutputStream | None = None) -> bytes:
        """Return what was said, a line each."""
        read = await self.lines(execution_id, limit=2**63, stream=stream)
        return ''.join(f'{line.text}\n' for line in read.lines).encode()

    def watch(self, execution_id: str, on_output: Callable[[], None]) -> Callable[[], None]:
        """Call `on_output` with each line that is said."""
        watcher = (execution_id, on_output)
        self._watchers.append(watcher)
        return partial(self._watchers.remove, watcher)
