# SPDX-License-Identifier: Apache-2.0
"""What is kept of the truths of conditions, and forgotten."""

from collections.abc import Mapping
import datetime
from typing import cast

from fakes import FakeClock, InMemoryInstanceStore

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
    truths = Truths(cast(InstanceStore, None), cast(Clock, None), lambda _: False)
    instances = [InstanceRef(entity=ARM, script_id='check', name=f'i{n}') for n in range(20)]
    truths.know({Looked(instance=each, condition='{}'): True for each in instances})
    Looked.looks = 0
    for each in instances:
        truths.forget(each)
    # Hashing each once or twice to take it out.
    assert Looked.looks <= 4 * len(instances)


class Store(InMemoryInstanceStore):
    """Notes what it is to keep."""

    def __init__(self) -> None:
        super().__init__(lambda: None)
        self.told: list[bool | None] = []

    async def keep_truths(
        self, truths: Mapping[TriggerRef, bool | None], at: datetime.datetime
    ) -> None:
        """Keep it, and note it."""
        self.told += truths.values()
        await super().keep_truths(truths, at)


async def test_a_truth_from_before_a_firing_is_not_kept_behind_it() -> None:
    """The next gateway would fire once more; where the firing never was recorded, it has to."""
    ref = TriggerRef(
        instance=InstanceRef(entity=ARM, script_id='check', name='hot'), condition='{}'
    )
    firing, store = {ref}, Store()
    truths = Truths(store, FakeClock(), firing.__contains__)
    truths.know({ref: True})
    truths.note(ref, False)
    await truths.keep()
    assert store.told == []
    await truths.keep(last=True)
    assert store.told == [False]
    truths.note(ref, True)
    truths.note(ref, False)
    firing.clear()
    truths.know({ref: True})
    await truths.keep()
    assert store.told == [False]
