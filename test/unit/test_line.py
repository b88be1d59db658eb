# SPDX-License-Identifier: Apache-2.0
"""The line against a plain model of it: limits, order, and that nobody is forgotten."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from fakes import FakeScriptRunner
from hypothesis import given
from hypothesis import strategies as st

from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.errors import ConcurrencyLimitReached, ScriptAlreadyRunning
from gateway_node.executions.held_scripts import HeldScripts
from gateway_node.executions.line import Line, Place
from gateway_node.executions.settings import ConcurrencyLimits
from gateway_node.scripts.values import Script, ScriptKind

LIMITS = ConcurrencyLimits(max_executions=3, max_executions_per_entity=2)


@dataclass(frozen=True, kw_only=True)
class Comes:
    """An execution comes; a patient one stands in line, any other is refused."""

    entity: int
    script: int
    single: bool
    patient: bool


@dataclass(frozen=True, kw_only=True)
class Goes:
    """One that is known goes, whether it has a place or not."""

    which: int


@dataclass(frozen=True, kw_only=True)
class Asks:
    """One that has a place asks again, for its script as it is now."""

    which: int
    single: bool


MOVES = st.lists(
    st.builds(
        Comes,
        entity=st.integers(0, 1),
        script=st.integers(0, 1),
        single=st.booleans(),
        patient=st.booleans(),
    )
    | st.builds(Goes, which=st.integers(0, 30))
    | st.builds(Asks, which=st.integers(0, 30), single=st.booleans()),
    max_size=40,
)


class Model:
    """Two lists, walked from the front at each change."""

    def __init__(self) -> None:
        self.inside: list[Place] = []
        self.waiting: list[Place] = []

    def fits(self, place: Place) -> bool:
        """Tell whether the limits allow one more."""
        others = [each for each in self.inside if each.execution_id != place.execution_id]
        of_entity = [each for each in others if each.entity == place.entity]
        twins = [each for each in of_entity if each.script.id == place.script.id]
        return (
            len(others) < LIMITS.max_executions
            and len(of_entity) < LIMITS.max_executions_per_entity
            and not (place.script.single_execution and twins)
        )

    def let_in(self) -> None:
        """Let in whom the limits allow, from the front."""
        for place in tuple(self.waiting):
            if self.fits(place):
                self.waiting.remove(place)
                self.inside.append(place)

    def go(self, execution_id: str) -> None:
        """Take one out."""
        self.inside = [each for each in self.inside if each.execution_id != execution_id]
        self.waiting = [each for each in self.waiting if each.execution_id != execution_id]
        self.let_in()


class Play:
    """A line and its model, through the same moves."""

    def __init__(self) -> None:
        self.line = Line(LIMITS, HeldScripts(FakeScriptRunner()))
        self.model = Model()
        self.turns: dict[str, asyncio.Future[None]] = {}

    def meet(self, number: int, move: Comes | Goes | Asks) -> None:
        """Make one move."""
        match move:
            case Comes():
                self.come(_place(number, move), patient=move.patient)
            case Goes() if self.turns:
                gone = list(self.turns)[move.which % len(self.turns)]
                del self.turns[gone]
                self.line.leave(gone)
                self.model.go(gone)
            case Asks() if self.model.inside:
                place = self.model.inside[move.which % len(self.model.inside)]
                again = _place_again(place, single=move.single)
                self.model.inside.remove(place)
                self.model.inside.append(again) if self.model.fits(again) else None
                self.turns[again.execution_id] = self.line.join(again)
                if again not in self.model.inside:
                    self.model.let_in()
                    self.model.waiting.append(again)
                    self.model.let_in()

    def come(self, place: Place, *, patient: bool) -> None:
        """Let one come."""
        fits = self.model.fits(place)
        if patient:
            self.turns[place.execution_id] = self.line.join(place)
            (self.model.inside if fits else self.model.waiting).append(place)
            return
        try:
            self.line.take(place)
        except (ScriptAlreadyRunning, ConcurrencyLimitReached):
            assert not fits
            return
        assert fits
        self.model.inside.append(place)
        self.turns[place.execution_id] = asyncio.get_running_loop().create_future()
        self.turns[place.execution_id].set_result(None)

    def compare(self) -> None:
        """Whoever is in according to the model is in, and nobody else."""
        inside = {each.execution_id for each in self.model.inside}
        assert {name for name, turn in self.turns.items() if turn.done()} == inside
        for name in self.turns:
            assert self.line.waits(name) is (name not in inside)
        assert len(inside) <= LIMITS.max_executions

    def empty(self) -> None:
        """Let all go, those in front first: everybody has a turn, and then there is room."""
        while self.turns:
            (first, *_) = (name for name, turn in self.turns.items() if turn.done())
            self.line.leave(first)
            self.model.go(first)
            del self.turns[first]
            self.compare()
        for number in range(LIMITS.max_executions):
            comes = Comes(entity=number % 2, script=0, single=False, patient=False)
            self.line.take(_place(1000 + number, comes))


def _place(number: int, comes: Comes) -> Place:
    return Place(
        execution_id=f'exec_{number}',
        entity=EntityRef(entity_type=EntityType.APP, entity_id=f'app_{comes.entity}'),
        script=_script(f'script_{comes.script}', single=comes.single),
    )


def _place_again(place: Place, *, single: bool) -> Place:
    return Place(
        execution_id=place.execution_id,
        entity=place.entity,
        script=_script(place.script.id, single=single),
    )


def _script(script_id: str, *, single: bool) -> Script:
    return Script(
        id=script_id,
        name=script_id,
        kind=ScriptKind.SH,
        path=Path(script_id),
        version='f' * 64,
        size=0,
        single_execution=single,
    )


@given(MOVES)
def test_the_line_is_what_a_list_that_is_walked_from_the_front_would_be(
    moves: list[Comes | Goes | Asks],
) -> None:
    """Whatever comes, goes and asks again: the limits hold, the order is kept, all get in."""

    async def play() -> None:
        line = Play()
        for number, move in enumerate(moves):
            line.meet(number, move)
            line.compare()
        line.empty()

    asyncio.run(play())


async def test_the_limits_of_an_entity_hold_nobody_else_up() -> None:
    """Who came later, for another entity, goes first; the others keep their order."""
    line = Line(LIMITS, HeldScripts(FakeScriptRunner()))
    comes = [
        Comes(entity=entity, script=0, single=False, patient=True) for entity in (0, 0, 0, 0, 1)
    ]
    turns = [line.join(_place(number, each)) for number, each in enumerate(comes)]
    assert [turn.done() for turn in turns] == [True, True, False, False, True]
    line.leave('exec_0')
    assert [turn.done() for turn in turns] == [True, True, True, False, True]
    turns[3].cancel()
    line.leave('exec_1')
    line.take(_place(5, comes[0]))
