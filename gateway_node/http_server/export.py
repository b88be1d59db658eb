# SPDX-License-Identifier: Apache-2.0
"""Lists of executions as files: all that a query finds, however many, read while it is sent."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.summary_texts import SummaryText
from gateway_node.http_server.calls import Call, Stream
from gateway_node.http_server.errors import InvalidParameter
from gateway_node.http_server.execution_columns import rows_of
from gateway_node.http_server.export_lines import CsvLines, JsonLines, Lines
from gateway_node.http_server.fields import Flag
from gateway_node.http_server.media_types import accepts, CSV, JSON, NDJSON
from gateway_node.http_server.query_fields import AddedColumns
from gateway_node.http_server.takes import query

PAGE_ROWS = 50
"""Executions of one reading of the store: what the loop and the store are held up for."""
_KINDS = ('metrics', 'input_parameters', 'parameters')


@dataclass(frozen=True, kw_only=True)
class ExportWanted:
    """Takes in which form a list is wanted."""

    accept: str = accepts(JSON, CSV, NDJSON)
    columns: tuple[str, ...] | None = query(
        AddedColumns(_KINDS),
        default=None,
        about='Of an export: metrics and parameters as columns of their own, behind the others '
        '(`metrics.voltage`, `input_parameters.threshold`, `parameters.result`).',
    )
    defuse: bool | None = query(
        Flag(),
        default=None,
        about='Of CSV: `false` leaves texts that a spreadsheet would execute as they are.',
    )

    @property
    def is_export(self) -> bool:
        """Whether a file is wanted."""
        return self.accept != JSON

    def check_form(self, *, needs_page: bool) -> None:
        """Raise InvalidParameter where what is for another form is given.

        `needs_page`: nobody says which page is wanted in an order that has nothing but pages. A
        list begins then with the first one; a file would pass for the whole.
        """
        wrong = []
        if needs_page and self.is_export:
            wrong.append(('sort', 'goes with page or per_page in an export, but for sort=id'))
        if self.columns is not None and not self.is_export:
            wrong.append(('columns', f'goes with Accept: {CSV} or {NDJSON} alone'))
        if self.defuse is not None and self.accept != CSV:
            wrong.append(('defuse', f'goes with Accept: {CSV} alone'))
        if wrong:
            raise InvalidParameter.of_query(*wrong)


class Export:
    """Makes a file of executions."""

    def __init__(
        self, call: Call[Any, None], wanted: ExportWanted, fields: Sequence[str] | None
    ) -> None:
        """Take names of `EXECUTION_COLUMNS` as `fields`; None for all of them."""
        added = wanted.columns or ()
        self._call = call
        self._fields = fields
        self._reads_whole = any(not name.startswith('metrics.') for name in added)
        self._lines: Lines = (
            CsvLines(fields, added, defused=wanted.defuse is not False)
            if wanted.accept == CSV
            else JsonLines(added)
        )

    def of_page(self, executions: Sequence[SummaryText]) -> Stream:
        """Return those of one page."""

        async def pages() -> AsyncIterator[Sequence[SummaryText]]:
            for begin in range(0, len(executions), PAGE_ROWS):
                yield executions[begin : begin + PAGE_ROWS]

        return self._stream(pages())

    async def of_all(self, wanted: ExecutionFilter) -> Stream:
        """Return all that are wanted, newest first; what the first page raises is raised here."""
        find = self._call.services.questions.find
        first = await find(wanted, KeysetPage(limit=-PAGE_ROWS))

        async def pages() -> AsyncIterator[Sequence[SummaryText]]:
            found = first
            yield found.executions
            while found.more is not None:
                found = await find(wanted, KeysetPage(limit=-PAGE_ROWS, reference=found.more))
                yield found.executions

        return self._stream(pages())

    def _stream(self, pages: AsyncIterator[Sequence[SummaryText]]) -> Stream:
        began = self._call.services.clock.now()
        return Stream(
            pieces=self._pieces(pages),
            media_type=self._lines.media_type,
            file_name=f'executions-{began:%Y%m%dT%H%M%SZ}.{self._lines.suffix}',
        )

    async def _pieces(self, pages: AsyncIterator[Sequence[SummaryText]]) -> AsyncIterator[bytes]:
        if head := self._lines.head():
            yield head
        async for executions in pages:
            questions = self._call.services.questions
            summaries = [each.read() for each in executions]
            rows = await rows_of(self._call.base, self._call.services, summaries, self._fields)
            if self._reads_whole:
                for each in summaries:
                    # One at a time: parameters may be long.
                    whole = {**each, **await questions.beside_summary(each['id'])}
                    yield self._lines.body([(rows.row(each), whole)])
            elif summaries:
                yield self._lines.body((rows.row(each), each) for each in summaries)
            # A client that is quick enough never has the writing wait.
            await asyncio.sleep(0)
