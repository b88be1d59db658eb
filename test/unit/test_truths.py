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
REF = InstanceRef(entity=ARM, script_id='check', name='hot')


class Looked(TriggerRef):
    """Counts who asks of which instance it is."""

    looks = 0

    def __getattribute__(self, name: str) -> object:
        if name == 'instance':
            Looked.looks += 1
        return super().__getattribute__(name)


def test_to_forget_an_instance_looks_at_no_other() -> None:
    """A script with thousands of instances is deleted at once, not in the square of them."""
    truths = Truths(
        cast(InstanceStore, None), cast(Clock, None), lambda _: False, ends_seen=lambda: None
    )
    instances = [InstanceRef(entity=ARM, script_id='check', name=f'i{n}') for n in range(20)]
    triggers = [Looked(instance=each, condition='{}') for each in instances]
    truths.know(dict.fromkeys(triggers, True))
    Looked.looks = 0
    for each in triggers:
        truths.forget(each)
    # Hashing each once or twice to take it out.
    assert Looked.looks <= 4 * len(instances)


class Store(InMemoryInstanceStore):
    """Notes what it is to keep."""

    def __init__(self) -> None:
        super().__init__(lambda: None, lambda: 0.0)
        self.told: list[bool | None] = []
        self.commits = 0

    async def keep_truths(
        self,
        truths: Mapping[TriggerRef, bool | None],
        at: datetime.datetime,
        *,
        ends_seen: int | None = None,
    ) -> None:
        """Keep it, and note it."""
        self.told += truths.values()
        self.commits += 1
        await super().keep_truths(truths, at, ends_seen=ends_seen)


async def test_a_truth_from_before_a_firing_is_not_kept_behind_it() -> None:
    """The next gateway would fire once more; where the firing never was recorded, it has to."""
    ref = TriggerRef(instance=REF, condition='{}')
    firing, store = {ref}, Store()
    truths = Truths(store, FakeClock(), firing.__contains__, ends_seen=lambda: None)
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


async def test_up_to_where_ends_were_looked_at_is_kept_where_that_is_news() -> None:
    """With the truths, in one commit; what has not changed is no reason to wear the disk."""
    seen: list[int | None] = [None]
    store = Store()
    truths = Truths(store, FakeClock(), lambda _: False, ends_seen=lambda: seen[0])
    await truths.keep()
    assert store.commits == 0
    seen[0] = 7
    truths.note(TriggerRef(instance=REF, condition='{}'), False)
    await truths.keep()
    await truths.keep()
    assert store.commits == 1
    assert await store.ends_seen() == 7
    seen[0] = 8
    await truths.keep()
    assert await store.ends_seen() == 8
