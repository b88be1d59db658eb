# SPDX-License-Identifier: Apache-2.0
"""The line against a plain model of it: limits, order, and that nobody is forgotten."""

import asyncio
from dataclasses import dataclass, field, replace
import enum
import itertools
import random

from fakes import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st
from line_support import APPS, line_of, place_of
import pytest

from gateway_node.entities.values import EntityRef
from gateway_node.executions.errors import (
    ConcurrencyLimitReached,
    LineFull,
    LinePaused,
    ScriptAlreadyRunning,
)
from gateway_node.executions.places import GroupLimit, Place
from gateway_node.executions.settings import ConcurrencyLimits, LineSettings

LIMITS = ConcurrencyLimits(max_executions=3, max_executions_per_entity=2)
SETTINGS = LineSettings(max_waiting=4, max_wait_sec=100)
PRIORITIES = st.sampled_from([0, 50, 50, 100])
ENTITIES = st.none() | st.sampled_from(APPS)
ANY = st.integers(0, 30)


class Patience(enum.Enum):
    """What an execution does that finds no place."""

    NONE = enum.auto()
    """It is refused."""
    CLIENT = enum.auto()
    """It waits where the line is not full."""
    ACCEPTED = enum.auto()
    """It waits however many do."""


@dataclass(frozen=True, kw_only=True)
class Comes:
    """An execution comes: anybody's, a child of one that has a place, or one of a group."""

    entity: int
    script: int
    single: bool
    patience: Patience
    priority: int
    parent: int | None
    group: int | None


@dataclass(frozen=True, kw_only=True)
class Goes:
    """One that is known goes, whether it has a place or not."""

    which: int


@dataclass(frozen=True, kw_only=True)
class Asks:
    """One that is known asks again, for its script as it is now."""

    which: int
    single: bool


@dataclass(frozen=True, kw_only=True)
class Prioritised:
    """One that is known gets another priority."""

    which: int
    priority: int


@dataclass(frozen=True, kw_only=True)
class Paused:
    """The line is paused or resumed, all of it or that of an entity."""

    entity: EntityRef | None
    on: bool


@dataclass(frozen=True, kw_only=True)
class Passes:
    """Time passes."""

    seconds: int


Move = Comes | Goes | Asks | Prioritised | Paused | Passes
MOVES = st.lists(
    st.builds(
        Comes,
        entity=st.integers(0, 1),
        script=st.integers(0, 2),
        single=st.booleans(),
        patience=st.sampled_from(Patience),
        priority=PRIORITIES,
        parent=st.none() | ANY,
        group=st.none() | st.integers(1, 2),
    )
    | st.builds(Goes, which=ANY)
    | st.builds(Asks, which=ANY, single=st.booleans())
    | st.builds(Prioritised, which=ANY, priority=PRIORITIES)
    | st.builds(Paused, entity=ENTITIES, on=st.booleans())
    | st.builds(Passes, seconds=st.sampled_from([1, 60, 120])),
    min_size=15,
    max_size=50,
)


@dataclass(kw_only=True)
class Model:
    """Who is in and who waits, walked from the front at each change."""

    now: float
    inside: list[Place] = field(default_factory=list)
    waiting: list[tuple[float, Place]] = field(default_factory=list)
    paused: set[EntityRef | None] = field(default_factory=set)

    def counts_apart(self, place: Place, entity: EntityRef | None = None) -> bool:
        """Tell whether no ancestor has a place, or none on that entity."""
        return not any(
            each.execution_id in place.ancestors and entity in (None, each.entity)
            for each in self.inside
        )

    def awaited(self, holder: Place, newcomer: Place) -> bool:
        """Tell whether a descendant of a holder waits."""
        waiting = [place for _, place in self.waiting]
        return any(holder.execution_id in each.ancestors for each in [*waiting, newcomer])

    def fits(self, place: Place) -> bool:
        """Tell whether there is a place for one more."""
        others = [each for each in self.inside if each.execution_id != place.execution_id]
        of_entity = [each for each in others if each.entity == place.entity]
        holders = [each for each in of_entity if self.counts_apart(each, place.entity)]
        twins = [each for each in of_entity if each.script.id == place.script.id]
        child = not self.counts_apart(place)
        return (
            not self.paused & {None, place.entity}
            and not (place.script.single_execution and twins)
            and (
                place.group is None
                or sum(each.group == place.group for each in others) < place.group.max_parallel
            )
            and (
                len(holders) < LIMITS.max_executions_per_entity
                or not self.counts_apart(place, place.entity)
                or (child and all(self.awaited(each, place) for each in holders))
            )
            and (child or sum(self.counts_apart(each) for each in others) < LIMITS.max_executions)
        )

    def order(self) -> list[Place]:
        """Return who waits: first who waits for long, as they came, then by priority."""
        long = [place for since, place in self.waiting if self.now - since >= 100]
        rest = [place for since, place in self.waiting if self.now - since < 100]
        by_age = sorted(long, key=lambda each: each.execution_id)
        rest.sort(key=lambda each: each.execution_id)
        return by_age + sorted(rest, key=lambda each: each.priority, reverse=True)

    def let_in(self) -> None:
        """Let in whom the limits allow, from the front."""
        for place in self.order():
            if self.fits(place):
                self.waiting = [each for each in self.waiting if each[1] != place]
                self.inside.append(place)

    def wait(self, place: Place) -> None:
        """Let one wait."""
        self.waiting.append((self.now, place))
        self.let_in()

    def go(self, execution_id: str) -> None:
        """Take one out."""
        self.inside = [each for each in self.inside if each.execution_id != execution_id]
        self.waiting = [each for each in self.waiting if each[1].execution_id != execution_id]
        self.let_in()

    def replace(self, place: Place) -> None:
        """Put another place in place of one that waits."""
        self.waiting = [
            (since, place if each.execution_id == place.execution_id else each)
            for since, each in self.waiting
        ]


class Play:
    """A line and its model, through the same moves."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.line = line_of(LIMITS, SETTINGS, self.clock)
        self.model = Model(now=self.clock.seconds)
        self.turns: dict[str, asyncio.Future[None]] = {}

    def meet(self, number: int, move: Move) -> None:
        """Make one move."""
        known = [*self.model.inside, *(place for _, place in self.model.waiting)]
        match move:
            case Comes():
                self.come(self.newcomer(number, move), move.patience)
            case Goes() if known:
                self.go(known[move.which % len(known)].execution_id)
            case Asks() if known:
                self.ask(known[move.which % len(known)], single=move.single)
            case Prioritised() if known:
                self.prioritise(known[move.which % len(known)], move.priority)
            case Paused():
                (self.model.paused.add if move.on else self.model.paused.discard)(move.entity)
                (self.line.pause if move.on else self.line.resume)(move.entity)
                self.model.let_in()
            case Passes():
                self.clock.advance(move.seconds)
                self.model.now = self.clock.seconds

    def newcomer(self, number: int, comes: Comes) -> Place:
        """Make the place of one that comes."""
        ancestors: tuple[str, ...] = ()
        if comes.parent is not None and self.model.inside:
            parent = self.model.inside[comes.parent % len(self.model.inside)]
            ancestors = (parent.execution_id, *parent.ancestors)
        group = None
        if comes.group is not None:
            group = GroupLimit(group_id=f'group_{comes.group}', max_parallel=comes.group)
            ancestors = (group.group_id, *ancestors)
        return place_of(
            number,
            entity=APPS[comes.entity],
            script_id=f'script_{comes.script}',
            single=comes.single,
            priority=comes.priority,
            group=group,
            ancestors=ancestors,
        )

    def come(self, place: Place, patience: Patience) -> None:
        """Let one come."""
        model = self.model
        twins = [each for _, each in model.waiting if each.script.id == place.script.id]
        twin_waits = place.script.single_execution and place.entity in {
            each.entity for each in twins
        }
        fits, full = model.fits(place), len(model.waiting) >= SETTINGS.max_waiting
        if patience is Patience.ACCEPTED:
            self.turns[place.execution_id] = self.line.join(place)
            (model.inside.append if fits else model.wait)(place)
            return
        try:
            if patience is Patience.CLIENT:
                assert self.line.take_or_wait(place) is not fits
            else:
                self.line.take(place)
        except ScriptAlreadyRunning:
            assert twin_waits or not fits
        except LineFull:
            assert not fits
            assert full
            assert patience is Patience.CLIENT
        except (ConcurrencyLimitReached, LinePaused):
            assert not fits
            assert patience is Patience.NONE
        else:
            assert not twin_waits
            self.turns[place.execution_id] = self.line.join(place)
            assert fits or (patience is Patience.CLIENT and not full)
            (model.inside.append if fits else model.wait)(place)

    def go(self, execution_id: str) -> None:
        """Let one go."""
        del self.turns[execution_id]
        self.line.leave(execution_id)
        self.model.go(execution_id)

    def ask(self, place: Place, *, single: bool) -> None:
        """Let one ask again, whether it has a place or waits."""
        again = replace(place, script=replace(place.script, single_execution=single))
        turn = self.line.join(replace(again, priority=0))
        if place not in self.model.inside:
            assert turn is self.turns[again.execution_id] or self.turns[again.execution_id].done()
            self.model.replace(again)
            self.model.let_in()
            return
        self.turns[again.execution_id] = turn
        at = self.model.inside.index(place)
        if self.model.fits(again):
            self.model.inside[at] = again
        else:
            self.model.go(place.execution_id)
            self.model.wait(again)

    def prioritise(self, place: Place, priority: int) -> None:
        """Give another priority to one, which counts where it waits."""
        waits = self.line.prioritise(place.execution_id, priority)
        assert waits is (place not in self.model.inside)
        if waits:
            self.model.replace(replace(place, priority=priority))

    def compare(self) -> None:
        """Whoever is in according to the model is in, and nobody else; the order is the same."""
        inside = {each.execution_id for each in self.model.inside}
        assert {name for name, turn in self.turns.items() if turn.done()} == inside
        for name in self.turns:
            assert self.line.waits(name) is (name not in inside)
        ordered = [each.execution_id for each in self.model.order()]
        assert self.line.positions() == {name: at for at, name in enumerate(ordered, 1)}
        for entity in (None, *APPS):
            since = [at for at, each in self.model.waiting if entity in (None, each.entity)]
            state = self.line.state(entity)
            assert state.paused is (entity in self.model.paused)
            assert state.waiting == len(since)
            assert state.oldest_wait_sec == (self.model.now - min(since) if since else None)

    def empty(self) -> None:
        """Let all go that are in: everybody has a turn, and then there is room."""
        for entity in (None, *APPS):
            self.meet(0, Paused(entity=entity, on=False))
        while self.turns:
            self.go(self.model.inside[0].execution_id)
            self.compare()
        for number in range(LIMITS.max_executions):
            self.line.take(place_of(1000 + number, entity=APPS[number % 2]))


@settings(max_examples=200)
@given(MOVES)
def test_the_line_is_what_a_list_that_is_walked_from_the_front_would_be(
    moves: list[Move],
) -> None:
    """Whatever comes, goes, asks again and is paused: the limits hold, the order is kept, all
    get in."""

    async def play() -> None:
        line = Play()
        for number, move in enumerate(moves):
            line.meet(number, move)
            line.compare()
        line.empty()

    asyncio.run(play())


@given(st.randoms(use_true_random=False))
def test_parents_that_wait_for_their_children_never_wedge(chance: random.Random) -> None:
    """Whichever entities the children are on: all get in although each goes only when its
    children have."""

    async def play() -> None:
        line = line_of(ConcurrencyLimits(max_executions=2, max_executions_per_entity=1))
        turns: dict[str, asyncio.Future[None]] = {}
        ancestors_of: dict[str, tuple[str, ...]] = {}
        open_children: dict[str, list[str]] = {}
        numbers = itertools.count()

        def come(*ancestors: str) -> str:
            entity = chance.choice(APPS)
            place = place_of(next(numbers), entity=entity, ancestors=ancestors)
            turns[place.execution_id] = line.join(place)
            ancestors_of[place.execution_id] = place.ancestors
            return place.execution_id

        for _ in range(4):
            come()
        while turns:
            inside = [each for each, turn in turns.items() if turn.done()]
            done = [each for each in inside if not turns.keys() & open_children.get(each, [each])]
            new = [each for each in inside if each not in open_children]
            assert new or done
            chosen = chance.choice([*new, *done])
            if chosen in new:
                ancestors = chosen, *ancestors_of[chosen]
                children = chance.randint(0, 2) if len(ancestors) <= 3 else 0
                open_children[chosen] = [come(*ancestors) for _ in range(children)]
            else:
                del turns[chosen]
                line.leave(chosen)

    asyncio.run(play())


async def test_the_limits_of_an_entity_hold_nobody_else_up() -> None:
    """Who came later, for another entity, goes first; the others keep their order."""
    line = line_of(LIMITS)
    turns = [
        line.join(place_of(number, entity=APPS[entity]))
        for number, entity in enumerate((0, 0, 0, 0, 1))
    ]
    assert [turn.done() for turn in turns] == [True, True, False, False, True]
    line.leave('exec_0000')
    assert [turn.done() for turn in turns] == [True, True, True, False, True]
    turns[3].cancel()
    line.leave('exec_0001')
    line.take(place_of(5, entity=APPS[0]))


async def test_who_has_waited_for_long_goes_first_whatever_its_priority() -> None:
    """And the first of several: the higher priority of another one that waits as long is none."""
    clock = FakeClock()
    line = line_of(ConcurrencyLimits(max_executions=1, max_executions_per_entity=1), clock=clock)
    line.take(place_of(0))
    for number, priority in enumerate((0, 50, 100), 1):
        line.join(place_of(number, priority=priority))
    assert list(line.positions()) == ['exec_0003', 'exec_0002', 'exec_0001']
    clock.advance(600)
    line.join(place_of(4, priority=100))
    assert list(line.positions()) == ['exec_0001', 'exec_0002', 'exec_0003', 'exec_0004']
    line.leave('exec_0000')
    assert not line.waits('exec_0001')


async def test_where_nobody_may_wait_the_refusal_names_the_limit() -> None:
    """As it did before there was a line for clients."""
    line = line_of(LIMITS, LineSettings(max_waiting=0, max_wait_sec=600))
    for number in range(2):
        line.take(place_of(number))
    with pytest.raises(ConcurrencyLimitReached, match='executions_per_entity'):
        line.take_or_wait(place_of(2))
    line.pause(APPS[1])
    with pytest.raises(LinePaused, match='the line of apps/app_1 is paused'):
        line.take_or_wait(place_of(3, entity=APPS[1]))


async def test_a_child_that_its_parent_waits_for_gets_in_although_the_entity_is_full() -> None:
    """Two parents with children on each other's entity; and not a child more than that needs."""
    line = line_of(ConcurrencyLimits(max_executions=2, max_executions_per_entity=1))
    for number in range(2):
        line.take(place_of(number, entity=APPS[number]))

    def child_of(parent: int, number: int) -> 'asyncio.Future[None]':
        parent_id = place_of(parent).execution_id
        return line.join(place_of(number, entity=APPS[1 - parent], ancestors=(parent_id,)))

    first = child_of(0, 2)
    assert not first.done()
    crossing = child_of(1, 3)
    assert (first.done(), crossing.done()) == (False, True)
    another = child_of(1, 4)
    assert (first.done(), another.done()) == (True, False)


async def test_children_of_who_has_a_place_take_none_of_others() -> None:
    """Not in the limit on all; and in that of an entity where their parent is on another one."""
    line = line_of(LIMITS)
    for number in range(2):
        line.take(place_of(number))
    for number in range(2, 12):
        line.take(place_of(number, ancestors=('exec_0000',)))
    line.take(place_of(12, entity=APPS[1]))
    line.take(place_of(13, entity=APPS[1], ancestors=('exec_0000',)))
    with pytest.raises(ConcurrencyLimitReached, match='executions_per_entity'):
        line.take(place_of(14, entity=APPS[1], ancestors=('exec_0000',)))
    line.leave('exec_0000')
    with pytest.raises(ConcurrencyLimitReached, match='max_concurrent_executions allows'):
        line.take(place_of(15, entity=EntityRef.from_path('apps/other')))
