# SPDX-License-Identifier: Apache-2.0
"""What is kept of the truths of conditions, and forgotten."""

from typing import cast

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.instance_refs import InstanceRef, TriggerRef
from gateway_node.triggers.ports import InstanceStore
from gateway_node.triggers.truths import Truths

ARM = EntityRef(entity_type=EntityType.APP, entity_id='arm')


class Looked(TriggerRef):
    """Counts who asks of which instance it is."""

    looks = 0

    def __getattribute__(self, name: str) -> object:
        if name == 'instance':
            Looked.looks += 1
        return super().__getattribute__(name)


def test_to_forget_an_instance_looks_at_no_other() -> None:
    """A script with thousands of instances is deleted at once, not in the square of them."""
    truths = Truths(cast(InstanceStore, None), cast(Clock, None))
    instances = [InstanceRef(entity=ARM, script_id='check', name=f'i{n}') for n in range(20)]
    truths.know({Looked(instance=each, condition='{}'): True for each in instances})
    Looked.looks = 0
    for each in instances:
        truths.forget(each)
    # Hashing each once or twice to take it out.
    assert Looked.looks <= 4 * len(instances)
