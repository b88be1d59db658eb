# SPDX-License-Identifier: Apache-2.0
"""Which node, or namespace, holds which id; an id never moves while anybody can hold it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
import itertools

from gateway_node.entities.values import EntityRef, EntityType

REMEMBERED_SEC = 24 * 3600.0
"""How long an id stays with its holder after the holder went, where nothing hangs on the id.

Seconds that gateways were up, all lives together: what stood still or jumped meanwhile is not
counted.
"""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """An id and its holder."""

    ref: EntityRef
    holder: str
    """A fully qualified node name for an app; a namespace, or HOST_HOLDER, for a component."""
    unseen_sec: float = 0.0
    """Seconds up since the holder was last there, all lives together, as of the last count."""


class IdentityBook:
    """Gives ids to holders and keeps each pair until nobody can hold the id any more."""

    def __init__(
        self,
        *,
        is_held: Callable[[EntityRef], bool],
        monotonic: Callable[[], float],
        reserved: Iterable[EntityRef] = (),
        remembered: Iterable[Identity] = (),
    ) -> None:
        """Begin with the pairs of an earlier life.

        `is_held` tells whether something (a script, an execution, a schedule, a manifest entry)
        hangs on an entity; `reserved` are ids that no holder may get. A remembered holder whose
        id is reserved by now gets another one: what hangs on the id stays with the id.
        """
        self._is_held = is_held
        self._monotonic = monotonic
        self._reserved = frozenset(reserved)
        self._counted_at = monotonic()
        self._by_ref: dict[EntityRef, Identity] = {}
        self._ref_of: dict[tuple[EntityType, str], EntityRef] = {}
        displaced = []
        for identity in remembered:
            if identity.ref in self._reserved:
                displaced.append(identity)
            else:
                self._keep(identity)
        for identity in displaced:
            ref = self._free_ref(identity.ref.entity_type, [identity.ref.entity_id])
            self._keep(replace(identity, ref=ref))

    def __iter__(self) -> Iterator[Identity]:
        """Go through the pairs, in the order in which they were made."""
        return iter(tuple(self._by_ref.values()))

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
            self._keep(replace(identity, unseen_sec=identity.unseen_sec + passed_sec))

    def forget_stale(self) -> bool:
        """Drop the pairs whose holder went long ago and on whose id nothing hangs.

        Tells whether there were any.
        """
        stale = [
            identity
            for identity in self
            if identity.unseen_sec > REMEMBERED_SEC and not self._is_held(identity.ref)
        ]
        for identity in stale:
            del self._by_ref[identity.ref]
            del self._ref_of[identity.ref.entity_type, identity.holder]
        return bool(stale)

    def _free_ref(self, entity_type: EntityType, wishes: Iterable[str]) -> EntityRef:
        refs = (EntityRef(entity_type=entity_type, entity_id=wish) for wish in _endless(wishes))
        return next(ref for ref in refs if ref not in self._reserved | self._by_ref.keys())

    def _keep(self, identity: Identity) -> None:
        self._by_ref[identity.ref] = identity
        self._ref_of[identity.ref.entity_type, identity.holder] = identity.ref


def _endless(wishes: Iterable[str]) -> Iterator[str]:
    wish = ''
    for wish in wishes:
        yield wish
    for number in itertools.count(2):
        yield f'{wish}_{number}'
