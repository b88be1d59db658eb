# SPDX-License-Identifier: Apache-2.0
"""What the client makes of answers."""

from typing import Any

from fakes import new_execution

from gateway_node.client import Execution as Answered
from gateway_node.client import Trigger
from gateway_node.executions import values
from gateway_node.executions.documents import summary_of
from gateway_node.executions.values import TriggerType


def answered(**fields: Any) -> Answered:
    return Answered.of(summary_of(new_execution(1, **fields)))


def test_an_execution_says_what_started_and_stopped_it() -> None:
    """And for which instance; what was not told is None."""
    fired = values.Trigger(type=TriggerType.CONDITION, setting='/battery below 20', firing=41)
    execution = answered(instance='nightly', stop_trigger=fired)
    assert execution.instance == 'nightly'
    assert execution.trigger == Trigger(type='manual', setting=None, username=None, firing=None)
    assert execution.stop_trigger == Trigger(
        type='condition', setting='/battery below 20', username=None, firing=41
    )
    assert (answered().instance, answered().stop_trigger) == (None, None)
