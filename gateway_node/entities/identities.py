# SPDX-License-Identifier: Apache-2.0
"""Which node, or namespace, holds which id; an id never moves while anybody can hold it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
import itertools

from gateway_node.entities.names import RESERVED_IDS
from gateway_node.entities.values import EntityRef, EntityType

REMEMBERED_SEC = 24 * 3600.0
"""How long an id stays with its holder after the holder went, where nothing hangs on the id.

Seconds that gateways were up, all lives together: what stood still or jumped meanwhile is not
counted.
"""


_DECLARED = 'manifest:'
"""What the holder of a declared component's id begins with; namespaces begin with a slash."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """An id and its holder."""

    ref: EntityRef
    holder: str
    """A fully qualified node name for an app; for a component a namespace, HOST_HOLDER, or the
    declaration of the manifest."""
    unseen_sec: float = 0.0
    """Seconds up since the holder was last there, all lives together, as of the last count."""

    @property
    def declared(self) -> bool:
        """True where a manifest declares the component, or one before it did."""
        return self.holder.startswith(_DECLARED)


class IdentityBook:
    """Gives ids to holders and keeps each pair until nobody can hold the id any more."""

    def __init__(
        self,
        *,
        is_held: Callable[[EntityRef], bool],
        monotonic: Callable[[], float],
        declared: Iterable[str] = (),
        remembered: Iterable[Identity] = (),
    ) -> None:
        """Begin with the pairs of an earlier life, and with what `declare` says of `declared`.

        `is_held` tells whether something (a script, an execution, a schedule, a manifest entry)
        hangs on an entity.
        """
        self._is_held = is_held
        self._monotonic = monotonic
        self._counted_at = monotonic()
        self._declared: frozenset[EntityRef] = frozenset()
        self._by_ref: dict[EntityRef, Identity] = {}
        self._ref_of: dict[tuple[EntityType, str], EntityRef] = {}
        for identity in remembered:
            self._keep(identity)
        self.declare(declared)

    def __iter__(self) -> Iterator[Identity]:
        """Go through the pairs, in the order in which they were made."""
        return iter(tuple(self._by_ref.values()))

    def declare(self, component_ids: Iterable[str]) -> None:
        """Give these ids to the manifest's components, from now on to these only.

        Another holder of one of them gets another id: what hangs on the id stays with the id.
        """
        refs = [
            EntityRef(entity_type=EntityType.COMPONENT, entity_id=component_id)
            for component_id in sorted(component_ids)
        ]
        self._declared = frozenset(refs)
        displaced = []
        for ref in refs:
            holder = f'{_DECLARED}{ref.entity_id}'
            earlier = self._by_ref.get(ref)
            if earlier is not None and earlier.holder != holder:
                displaced.append(earlier)
                del self._ref_of[ref.entity_type, earlier.holder]
            self._keep(Identity(ref=ref, holder=holder))
        for identity in displaced:
            wishes = [identity.ref.entity_id]
            self._keep(replace(identity, ref=self._free_ref(EntityType.COMPONENT, wishes)))

    def seen(self, entity_type: EntityType, holder: str, wishes: Iterable[str]) -> Identity:
        """Return the pair of a holder that is there now; a new holder gets its first free wish.

        Where no wish is free the last one gets `_2`, `_3`, … behind it.
        """
        ref = self._ref_of.get((entity_type, holder)) or self._free_ref(entity_type, wishes)
        identity = Identity(ref=ref, holder=holder)
        self._keep(identity)
        return identity

    def count_unseen(self) -> None:
        """Add the time since the last count to every pair; `seen` sets it to zero again."""
        now = self._monotonic()
        passed_sec = now - self._counted_at
        self._counted_at = now
        for identity in self:
            if identity.ref not in self._declared:
                self._keep(replace(identity, unseen_sec=identity.unseen_sec + passed_sec))

    def forget_stale(self) -> bool:
        """Drop the pairs whose holder went long ago and on whose id nothing hangs.

        A declaration has gone as soon as no manifest has it, and so has whoever holds an id that
        nobody may have any more. Tells whether there were any.
        """
        stale = [
            identity
            for identity in self
            if self._has_gone(identity) and not self._is_held(identity.ref)
        ]
        for identity in stale:
            del self._by_ref[identity.ref]
            del self._ref_of[identity.ref.entity_type, identity.holder]
        return bool(stale)

    def _has_gone(self, identity: Identity) -> bool:
        if identity.ref.entity_id in RESERVED_IDS:
            return True
        if identity.declared:
            return identity.ref not in self._declared
        return identity.unseen_sec > REMEMBERED_SEC

    def _free_ref(self, entity_type: EntityType, wishes: Iterable[str]) -> EntityRef:
        refs = (EntityRef(entity_type=entity_type, entity_id=wish) for wish in _endless(wishes))
        return next(
            ref for ref in refs if ref not in self._by_ref and ref.entity_id not in RESERVED_IDS
        )

    def _keep(self, identity: Identity) -> None:
        self._by_ref[identity.ref] = identity
        self._ref_of[identity.ref.entity_type, identity.holder] = identity.ref


def _endless(wishes: Iterable[str]) -> Iterator[str]:
    wish = ''
    for wish in wishes:
        yield wish
    for number in itertools.count(2):
        yield f'{wish}_{number}'
