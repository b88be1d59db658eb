# SPDX-License-Identifier: Apache-2.0
"""Executions as lines of a file: CSV (RFC 4180) for spreadsheets, JSON (NDJSON) for programs."""

from collections.abc import Iterable, Iterator, Sequence
import csv
import io
import json
import re
from typing import Protocol

from gateway_node.executions.documents import Summary
from gateway_node.http_server.execution_columns import EXECUTION_COLUMNS
from gateway_node.http_server.media_types import CSV, NDJSON
from gateway_node.http_server.representations import Json
from gateway_node.http_server.schemas import SCHEMAS

Row = tuple[Json, Summary]
"""An execution as lists show it, and its metrics and parameters, as far as columns want them."""

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_DANGEROUS = re.compile(r'\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]')
"""What a spreadsheet takes for a formula: by its first character, full-width ones included, or by
one that it passes over (OWASP, "CSV Injection")."""


class Lines(Protocol):
    """One form of file."""

    media_type: str
    suffix: str

    def head(self) -> bytes:
        """Return what stands before all rows."""

    def body(self, rows: Iterable[Row]) -> bytes:
        """Return some rows."""


class CsvLines:
    """A header, then a record for each execution; what an execution does not have is empty.

    Objects whose members are known have a column for each; all else that is no plain value
    stands as JSON. `defused`: a text that a spreadsheet would execute begins with an apostrophe.
    """

    media_type = CSV
    suffix = 'csv'

    def __init__(
        self, columns: Sequence[str] | None, added: Sequence[str], *, defused: bool
    ) -> None:
        self._places = [
            (column, member)
            for column in columns or EXECUTION_COLUMNS
            for member in _members(column)
        ]
        self._added = added
        self._defused = defused

    def head(self) -> bytes:
        """Return the header."""
        names = [name if member is None else f'{name}.{member}' for name, member in self._places]
        return self._records([[*names, *self._added]])

    def body(self, rows: Iterable[Row]) -> bytes:
        """Return a record for each."""
        return self._records([*self._cells(row, told)] for row, told in rows)

    def _cells(self, row: Json, told: Summary) -> Iterator[object]:
        for column, member in self._places:
            value = row.get(column)
            if value is not None and member is not None:
                value = value.get(member)
            yield value if value is None else self._cell(value)
        for name in self._added:
            yield self._cell(added_value(told, name))

    def _cell(self, value: object) -> object:
        if isinstance(value, str):
            return f"'{value}" if self._defused and _DANGEROUS.match(value) else value
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            return value
        return _encode(value)

    def _records(self, records: Iterable[Sequence[object]]) -> bytes:
        text = io.StringIO(newline='')
        csv.writer(text).writerows(records)
        return text.getvalue().encode(errors='replace')


class JsonLines:
    """An object for each execution, as in a list, with the added columns as further members."""

    media_type = NDJSON
    suffix = 'ndjson'

    def __init__(self, added: Sequence[str]) -> None:
        self._added = added

    def head(self) -> bytes:
        """Return nothing."""
        return b''

    def body(self, rows: Iterable[Row]) -> bytes:
        """Return a line for each."""
        lines = (f'{_encode(self._object(*row))}\n' for row in rows)
        return ''.join(lines).encode(errors='replace')

    def _object(self, row: Json, told: Summary) -> Json:
        added = {name: added_value(told, name) for name in self._added}
        return row | {name: value for name, value in added.items() if value is not None}


def added_value(told: Summary, column: str) -> object:
    """Return a metric or a parameter by the name of its column; None where there is none."""
    kind, _, name = column.partition('.')
    values: Summary = told.get(kind, {})
    return values.get(name)


def _members(column: str) -> tuple[str | None, ...]:
    schema = SCHEMAS['ExecutionSummary']['properties'][column]
    return tuple(schema.get('properties', ())) or (None,)
