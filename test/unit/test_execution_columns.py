# SPDX-License-Identifier: Apache-2.0
"""How executions look in lists, column by column."""

from fakes.executions import new_execution
import pytest

from gateway_node.executions.documents import summary_of
from gateway_node.executions.values import ExecutionStatus
from gateway_node.http_server.execution_columns import EXECUTION_COLUMNS, ExecutionRows
from gateway_node.http_server.schemas import SCHEMAS

EXECUTION = new_execution(1)
VERSIONS = {(EXECUTION.entity.path, EXECUTION.script_id): EXECUTION.script_version}
SUMMARY = summary_of(EXECUTION)


def test_each_column_is_one_that_the_schema_of_lists_has() -> None:
    """And the schema has no other."""
    assert set(EXECUTION_COLUMNS) == SCHEMAS['ExecutionSummary']['properties'].keys()


@pytest.mark.parametrize('name', EXECUTION_COLUMNS)
def test_a_column_alone_is_the_one_that_stands_among_all(name: str) -> None:
    """Nothing else is built for it."""
    whole = ExecutionRows('/api/v1', VERSIONS).row(SUMMARY)
    assert ExecutionRows('/api/v1', VERSIONS, [name]).row(SUMMARY) == {
        each: value for each, value in whole.items() if each == name
    }


def test_columns_stand_in_the_order_in_which_they_are_asked_for() -> None:
    """As those of a table do."""
    columns = ['status', 'is_outdated', 'id']
    row = ExecutionRows('/api/v1', VERSIONS, columns).row(SUMMARY)
    assert list(row) == columns
    assert row['status'] == ExecutionStatus.PREPARED.value
    assert row['is_outdated'] is False
