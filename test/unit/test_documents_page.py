# SPDX-License-Identifier: Apache-2.0
"""What docs/documents.md says is there is there: its tests, and its calls."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
import re
from typing import Any

import pytest
from syntax import parsed

from gateway_node.http_server.route import Route
from gateway_node.http_server.routes import ROUTES
from gateway_node.http_server.takes import Place, taken_by

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'documents.md').read_text(encoding='utf-8')
PLANNED = 'planned'
HEADING = ['Theirs', 'Ours', 'Test']
DOCUMENTS = ('000', '001', '002', '003', '004')


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one of the documents has."""

    theirs: str
    ours: str
    test: str

    def __str__(self) -> str:
        return self.theirs


def tables() -> Iterator[tuple[str, list[list[str]]]]:
    """Go through the sections of the page: the heading, and the cells of each line."""
    for section in PAGE.split('\n## ')[1:]:
        lines = [line for line in section.splitlines() if line.startswith('|')]
        yield (
            section.partition('\n')[0],
            [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines],
        )


ROWS = [
    Row(theirs=cells[0], ours=cells[1], test=cells[2])
    for _, table in tables()
    for cells in table[2:]
    if len(cells) == len(HEADING)
]
THERE = pytest.mark.parametrize('row', [row for row in ROWS if row.test != PLANNED], ids=str)


@cache
def functions_of(file: str) -> frozenset[str]:
    """Return the names of the functions in a file; none where there is no such file."""
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    tree = parsed(path.read_text(encoding='utf-8'))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, functions))


def calls(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """Go through the calls that a cell shows: method, path, and the names in the query."""
    for method, path, query in re.findall(
        r'`(GET|POST|PUT|DELETE) ([^`?\s]+)(?:\?([^`\s]+))?`', text
    ):
        yield method, path, [each.partition('=')[0] for each in query.split('&') if each]


def route_of(method: str, path: str) -> Route[Any, Any] | None:
    """Return the row of the table that serves a call, whatever the placeholders are called."""

    def bare(path: str) -> str:
        path = path.replace('{entity}', '/{collection}/{entity_id}')
        return re.sub(r'\{\w+\}', '{}', path)

    return next(
        (each for each in ROUTES if (each.method, bare(each.path)) == (method, bare(path))), None
    )


def test_each_document_has_a_table() -> None:
    """Of three cells a row, none of them empty, and no row twice."""
    found = dict(tables())
    assert [re.findall(r'\((\d+)\)$', heading) for heading in found] == [[n] for n in DOCUMENTS]
    for heading, table in found.items():
        assert table[0] == HEADING, heading
        assert len(table) > 5, heading
        wrong = [cells for cells in table if len(cells) != len(HEADING) or not all(cells)]
        assert wrong == []
        theirs = [cells[0] for cells in table]
        assert len(theirs) == len(set(theirs)), heading


@THERE
def test_the_tests_of_a_row_are_there(row: Row) -> None:
    """What is not planned is proved, by tests that have these names."""
    named = re.findall(r'`(test/[\w/]+\.py)::(\w+)`', row.test)
    assert ', '.join(f'`{file}::{name}`' for file, name in named) == row.test
    assert named
    for file, name in named:
        assert name.startswith('test_')
        assert name in functions_of(file), f'{file} has no {name}'


@THERE
def test_the_calls_of_a_row_are_there(row: Row) -> None:
    """Each is a route, which takes the query that is shown."""
    for method, path, names in calls(row.ours):
        route = route_of(method, path)
        assert route is not None, f'no route is {method} {path}'
        taken = {each.name for each in taken_by(route.takes) if each.place is Place.QUERY}
        assert set(names) <= taken
