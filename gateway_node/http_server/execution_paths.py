# SPDX-License-Identifier: Apache-2.0
"""Where executions are found: below their scripts, and by their ids alone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway_node.entities.errors import EntityNotFound
from gateway_node.http_server.route import Route
from gateway_node.http_server.subjects import (
    ByExecutionId,
    find_by_id,
    find_execution,
    find_library,
    find_way,
    NamesExecution,
)

OF_SCRIPT = '/{collection}/{entity_id}/scripts/{script_id}/executions/{execution_id}'
_BY_ID = '/executions/{execution_id}'

_FINDS_BY_ID: Mapping[Any, Any] = {find_way: find_library, find_execution: find_by_id}


def and_by_id(
    row: Route[Any, Any], takes: type[NamesExecution] = ByExecutionId
) -> tuple[Route[Any, Any], Route[Any, Any]]:
    """Return a row whose path begins with OF_SCRIPT, and the same by the id, as `takes` has it."""
    by_id = replace(
        row,
        path=row.path.replace(OF_SCRIPT, _BY_ID),
        takes=takes,
        finds=_FINDS_BY_ID[row.finds],
        errors=tuple(each for each in row.errors if each is not EntityNotFound),
    )
    return row, by_id
