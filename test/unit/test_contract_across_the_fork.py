# SPDX-License-Identifier: Apache-2.0
"""What the other side of the fork says, in the words of the rooms that it may not import."""

from dataclasses import fields
from typing import get_args

from gateway_node.child.contract import VERDICTS
from gateway_node.child.messages import Cause, SupervisorLimits
from gateway_node.executions.runner_ports import EndCause
from gateway_node.scripts.values import Limits, Verdict


def test_each_cause_that_a_supervisor_names_is_one_of_executions() -> None:
    """The others are those that only the gateway can know."""
    causes = {EndCause(cause) for cause in get_args(Cause)}
    assert set(EndCause) - causes == {EndCause.SPAWN_FAILED, EndCause.SUPERVISOR_LOST}


def test_a_supervisor_keeps_every_limit_that_a_script_can_have() -> None:
    """And none that nobody can set."""
    assert SupervisorLimits.__annotations__.keys() == {field.name for field in fields(Limits)}


def test_a_script_may_say_the_four_verdicts() -> None:
    """In their order."""
    assert [verdict.value for verdict in Verdict] == list(VERDICTS)
