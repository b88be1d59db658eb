# SPDX-License-Identifier: Apache-2.0
"""Preconditions on a robot whose values a test sets."""

from collections.abc import Callable, Mapping, Sequence
import time
from typing import Any

from fakes import FakeRobot

from gateway_node.conditions.condition_reading import parse_preconditions
from gateway_node.conditions.sources import TopicValue
from gateway_node.conditions.values import Precondition
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.triggers.instance_book import InstanceBook
from gateway_node.triggers.looks import Preconditions
from gateway_node.triggers.timers import Timers
from gateway_node.triggers.turns import Turns
from gateway_node.triggers.watches import Watches

VOLTAGE = TopicValue(topic='/battery', field='voltage')
CHARGED: Mapping[str, Any] = {'topic': '/battery', 'field': 'voltage', 'above': 10}
SPEED = TopicValue(topic='/odom', field='speed')
STANDS: Mapping[str, Any] = {'topic': '/odom', 'field': 'speed', 'equals': 0}


def precondition(condition: Mapping[str, Any], **fields: Any) -> Precondition:
    """Read a precondition; no machine is so slow that a value of a test is old by then."""
    violations: list[Any] = []
    document = {'condition': dict(condition), 'max_age_sec': 60, **fields}
    read = parse_preconditions([document], '', violations)
    assert read is not None, violations
    return read[0]


def preconditions_on(
    robot: FakeRobot,
    monotonic: Callable[[], float] = time.monotonic,
    book: InstanceBook | None = None,
) -> Preconditions:
    """Return what looks at a robot, also for the instances of a book."""

    def of_instance(ref: InstanceRef) -> Sequence[Precondition]:
        instance = None if book is None else book.find(ref)
        return () if instance is None else instance.definition.preconditions

    turns = Turns()
    return Preconditions(
        watches=Watches(robot, turns),
        timers=Timers(monotonic, turns),
        monotonic=monotonic,
        of_instance=of_instance,
    )
