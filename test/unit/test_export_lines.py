# SPDX-License-Identifier: Apache-2.0
"""Executions as lines of a file."""

import csv
import io
import json
from typing import Any

from fakes import new_execution
from hypothesis import given
from hypothesis import strategies as st
import pytest

from gateway_node.executions.documents import archived_execution, summary_of
from gateway_node.executions.values import Execution
from gateway_node.http_server.execution_columns import EXECUTION_COLUMNS, ExecutionRows
from gateway_node.http_server.export_lines import CsvLines, JsonLines, Row


def records(content: bytes) -> list[list[str]]:
    """Read CSV as a spreadsheet does."""
    return list(csv.reader(io.StringIO(content.decode(), newline=''), strict=True))


def one(value: object, *, defused: bool = True, column: str = 'summary') -> str:
    """Return the one cell that is made of a value."""
    lines = CsvLines([column], (), defused=defused)
    ((cell,),) = records(lines.body([({column: value}, {})]))
    return cell


def row_of(execution: Execution, columns: Any = None) -> Any:
    """Return an execution as lists show it."""
    versions = {(execution.entity.path, execution.script_id): None}
    told = archived_execution(execution)
    return ExecutionRows('/api/v1', versions, columns).row(summary_of(execution)), told


def test_each_record_has_a_cell_for_each_column() -> None:
    """What is not there is empty; objects whose members are known have a column for each."""
    lines = CsvLines(None, ('metrics.volt',), defused=True)
    (header,) = records(lines.head())
    (record,) = records(lines.body([row_of(new_execution(1))]))
    assert len(record) == len(header) == len(set(header))
    assert {'trigger.type', 'trigger.username', 'error.message', 'metrics'} <= set(header)
    assert {name.partition('.')[0] for name in header} == set(EXECUTION_COLUMNS)
    cells = dict(zip(header, record, strict=True))
    assert (cells['id'], cells['trigger.type']) == (new_execution(1).id, 'manual')
    assert (cells['error.message'], cells['metrics.volt']) == ('', '')


def test_columns_are_those_that_are_asked_for_in_their_order() -> None:
    """With those that are added behind them."""
    lines = CsvLines(['status', 'id'], ('parameters.a,b',), defused=True)
    assert lines.head() == b'status,id,"parameters.a,b"\r\n'


@pytest.mark.parametrize(
    ('value', 'cell'),
    [
        (None, ''),
        (True, 'true'),
        (-5, '-5'),
        (1.5e-7, '1.5e-07'),
        ('plain', 'plain'),
        ('a,"b"\r\nc', 'a,"b"\r\nc'),
        (['=a', 1], '["=a", 1]'),
        ({'a': None}, '{"a": null}'),
        ('\ud800', '?'),
    ],
)
def test_a_cell_is_what_a_reader_gets_back(value: object, cell: str) -> None:
    """Quoted where it has to be (RFC 4180); numbers stay numbers, below zero too."""
    assert one(value) == cell


@pytest.mark.parametrize(
    'text',
    [
        '=1+1',
        '+1',
        '-1',
        '@SUM(A1)',
        '\t=1',
        '\r=1',
        '\n=1',
        ' =1',
        '\uff1d1',
        '\uff0b1',
        '-',
        '\t',
    ],
)
def test_what_a_spreadsheet_would_execute_is_defused(text: str) -> None:
    """By an apostrophe in front; where that is turned off it is as it was said."""
    assert one(text) == f"'{text}"
    assert one(text, defused=False) == text


@given(st.text())
def test_nothing_that_a_script_says_begins_a_formula(text: str) -> None:
    """And nothing else is altered."""
    cell = one(text)
    assert not cell.lstrip().startswith(('=', '+', '-', '@'))
    assert cell.removeprefix("'") == text.removeprefix("'")


@given(st.lists(st.tuples(st.text(), st.text()), max_size=3))
def test_no_text_ends_its_record(texts: list[tuple[str, str]]) -> None:
    """Whatever separators, quotes and line ends are in it."""
    lines = CsvLines(['summary', 'progress_message'], (), defused=False)
    rows: list[Row] = [({'summary': a, 'progress_message': b}, {}) for a, b in texts]
    assert records(lines.body(rows)) == [[a, b] for a, b in texts]


def test_parameters_and_metrics_are_columns_where_asked_for() -> None:
    """By name; what is no plain value stands as JSON, and what an execution lacks is empty."""
    execution = new_execution(1).evolve(
        metrics={'volt': 11.5},
        input_parameters={'limit': {'max': 3}, 'text': '=1'},
        output_parameters={'volt': None, 'ok': False},
    )
    added = (
        *('metrics.volt', 'input_parameters.limit', 'input_parameters.text'),
        *('parameters.ok', 'parameters.volt', 'metrics.other'),
    )
    (record,) = records(CsvLines(['id'], added, defused=True).body([row_of(execution, ['id'])]))
    assert record[1:] == ['11.5', '{"max": 3}', "'=1", 'false', '', '']
    (line,) = JsonLines(added).body([row_of(execution, ['id'])]).splitlines()
    assert json.loads(line) == {
        'id': execution.id,
        'metrics.volt': 11.5,
        'input_parameters.limit': {'max': 3},
        'input_parameters.text': '=1',
        'parameters.ok': False,
    }


@given(st.lists(st.text(), max_size=3))
def test_a_line_of_json_is_one_line(texts: list[str]) -> None:
    """Of the form that lists have, whatever is said in it."""
    lines = JsonLines(())
    content = lines.body([({'summary': text}, {}) for text in texts])
    assert lines.head() == b''
    assert content.count(b'\n') == len(texts)
    assert [json.loads(line) for line in content.split(b'\n')[:-1]] == [
        {'summary': text} for text in texts
    ]
