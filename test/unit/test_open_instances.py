# SPDX-License-Identifier: Apache-2.0
"""Which executions of instances are open."""

from dataclasses import dataclass
from typing import ClassVar

from execution_stage import APP
import pytest

from gateway_node.executions.errors import InstanceAlreadyRunning
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.open_instances import OpenInstances


@dataclass(frozen=True, kw_only=True, eq=False)
class CountedRef(InstanceRef):
    """A ref that counts how often any two are compared."""

    compared: ClassVar[list[None]] = []

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        self.compared.append(None)
        return isinstance(other, InstanceRef) and self.name == other.name


def ref(name: str) -> InstanceRef:
    return CountedRef(entity=APP, script_id='script_1', name=name)


def test_an_instance_is_open_until_its_last_execution_left() -> None:
    """What follows one that failed is accepted before that has left; the newest one is told."""
    opened = OpenInstances()
    opened.take(ref('a'), 'exec_1')
    opened.give(ref('a'), 'exec_2')
    assert opened.open_of(ref('a')) == 'exec_2'
    opened.leave('exec_1')
    assert opened.open_of(ref('a')) == 'exec_2'
    with pytest.raises(InstanceAlreadyRunning) as refused:
        opened.take(ref('a'), 'exec_3')
    assert refused.value.execution_id == 'exec_2'
    opened.check(ref('a'), 'exec_2')
    opened.leave('exec_2')
    opened.leave('exec_2')
    assert opened.open_of(ref('a')) is None
    opened.take(ref('a'), 'exec_4')


def test_what_an_instance_costs_does_not_grow_with_the_others() -> None:
    """Whoever lists the instances of a script asks for each of them."""
    opened = OpenInstances()
    for number in range(1000):
        opened.take(ref(f'i{number}'), f'exec_{number}')
    CountedRef.compared.clear()
    for number in range(1000):
        assert opened.open_of(ref(f'i{number}')) == f'exec_{number}'
    assert len(CountedRef.compared) < 10_000
