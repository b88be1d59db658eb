# SPDX-License-Identifier: Apache-2.0
"""Which instances there are at the moment. It lives on the event loop."""

from collections import Counter
from collections.abc import Iterable, Mapping

from gateway_node.entities.values import EntityRef
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.listeners import Guard
from gateway_node.scripts.values import ScriptOf
from gateway_node.triggers.errors import InstanceNotFound
from gateway_node.triggers.ports import InstanceListener
from gateway_node.triggers.values import Instance


class InstanceBook:
    """The instances that are on record, and those of the manifest.

    Where a client made one of the name that the manifest has, the client's is the one: nothing
    that somebody made goes because a file is changed.
    """

    def __init__(self) -> None:
        self._made: dict[InstanceRef, Instance] = {}
        self._made_of: Counter[EntityRef] = Counter()
        self._managed: dict[InstanceRef, Instance] = {}
        self._of: dict[ScriptOf, dict[str, Instance]] = {}
        self._listeners: list[InstanceListener] = []
        self._guard = Guard()

    def add_listener(self, listener: InstanceListener) -> None:
        """Tell `listener` of every change from now on, and of what is there as if it were new."""
        self._listeners.append(listener)
        for instance in self.all():
            self._guard.tell(listener.on_instance, None, instance)

    def find(self, ref: InstanceRef) -> Instance | None:
        """Return an instance; None where there is no such one."""
        return self._of.get((ref.entity, ref.script_id), {}).get(ref.name)

    def get(self, ref: InstanceRef) -> Instance:
        """Return an instance; InstanceNotFound."""
        instance = self.find(ref)
        if instance is None:
            raise InstanceNotFound(ref)
        return instance

    def of(self, entity: EntityRef, script_id: str) -> tuple[Instance, ...]:
        """Return a script's instances, by name."""
        return tuple(each for _, each in sorted(self._of.get((entity, script_id), {}).items()))

    def all(self) -> tuple[Instance, ...]:
        """Return all instances of all scripts."""
        return tuple(each for instances in self._of.values() for each in instances.values())

    def version_of(self, ref: InstanceRef) -> str | None:
        """Return the version that an instance has now; None where there is no such one."""
        instance = self.find(ref)
        return None if instance is None else instance.version

    def versions(self) -> dict[InstanceRef, str]:
        """Return the versions that all instances have now."""
        return {each.ref: each.version for each in self.all()}

    def holds(self, entity: EntityRef) -> bool:
        """Tell whether somebody made an instance of a script of this entity."""
        return self._made_of[entity] > 0

    @property
    def made(self) -> int:
        """How many of them clients have made."""
        return len(self._made)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong, in sentences."""
        return tuple(
            f'{ref.subject} of the scripts manifest is not taken: a client made one of that name'
            for ref in self._managed
            if ref in self._made
        )

    def put(self, instance: Instance) -> None:
        """Have an instance that is on record, or about to be told of, as it is now."""
        ref = instance.ref
        if instance.managed:
            self._managed[ref] = instance
        else:
            self._made_of[ref.entity] += ref not in self._made
            self._made[ref] = instance
        self._settle(ref)

    def remove(self, ref: InstanceRef) -> None:
        """Have one that a client made no more."""
        del self._made[ref]
        self._made_of[ref.entity] -= 1
        self._settle(ref)

    def take_managed(self, managed: Mapping[InstanceRef, Instance]) -> None:
        """Have these of the manifest, and no others."""
        refs: Iterable[InstanceRef] = dict.fromkeys([*self._managed, *managed])
        self._managed = dict(managed)
        for ref in refs:
            self._settle(ref)

    def _settle(self, ref: InstanceRef) -> None:
        """Have the one that counts, and tell of it where it is another than before."""
        before, after = self.find(ref), self._made.get(ref) or self._managed.get(ref)
        if _same(before, after):
            return
        of_script = self._of.setdefault((ref.entity, ref.script_id), {})
        if after is None:
            del of_script[ref.name]
            if not of_script:
                del self._of[ref.entity, ref.script_id]
        else:
            of_script[ref.name] = after
        for listener in tuple(self._listeners):
            self._guard.tell(listener.on_instance, before, after)


def _same(one: Instance | None, other: Instance | None) -> bool:
    """Tell whether two are the same in JSON too, where `1` is neither `true` nor `1.0`."""
    if one is None or other is None:
        return one is other
    return one == other and one.version == other.version
