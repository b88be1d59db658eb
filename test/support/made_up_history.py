# SPDX-License-Identifier: Apache-2.0
"""A history of executions as a robot's two years would leave it: made up, of any length.

Apart from the random bits of ids it is the same each time. Rare values stand at its old end, in
its middle and at its new end, so that what finds them has to get there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import datetime
import enum
import random
from typing import Any

from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.failure_reasons import Failure, FailureReason
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.schedule import Schedule
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Progress,
    ResourceUse,
    Trigger,
    TriggerType,
)
from gateway_node.scripts.values import ScriptKind, Verdict

BEGINS = datetime.datetime(2024, 3, 1, tzinfo=datetime.UTC)
LASTS = datetime.timedelta(days=730)
SET_BACK = datetime.timedelta(days=30)
"""How far the clock was set back, for two parts of the history."""
SCHEDULES = 20
"""Executions at the beginning that wait for starts of the gateway; all others have ended."""
APPS = 45
COMPONENTS = 12
"""With three apps that are rare, 60 entities."""
SCRIPTS = 200
TAGS = ('brakes', 'engine', 'nightly', 'steering', 'sensors', 'lidar', 'arm', 'network', 'battery')
USERS = tuple(f'technician_{number}' for number in range(12))


class Place(enum.Enum):
    """Where in the history rare values stand, each for a page and a half of executions."""

    OLDEST = 'oldest'
    """Right behind the schedules."""
    MIDDLE = 'middle'
    """In the middle."""
    NEWEST = 'newest'
    """At its end."""

    @property
    def rare_name(self) -> str:
        """The id of the script, its name, its tag, the id of its app, and the user, that only
        these have."""
        return f'rare_{self.value}'

    @property
    def exit_code(self) -> int:
        """The exit code that only these have."""
        return 201 + list(Place).index(self)

    @property
    def reason(self) -> FailureReason:
        """The reason for which only these failed."""
        return _RARE_REASONS[self]


_RARE_REASONS = {
    Place.OLDEST: FailureReason.LIMIT_CPU,
    Place.MIDDLE: FailureReason.LIMIT_PROCESSES,
    Place.NEWEST: FailureReason.LIMIT_OPEN_FILES,
}


@dataclass(frozen=True, kw_only=True)
class MadeUpScript:
    """A script that was there for a part of the history."""

    entity: EntityRef
    script_id: str
    name: str
    kind: ScriptKind
    tags: tuple[str, ...]
    usual_ms: float
    """The median of its durations."""
    judges: bool = False
    """True where its results have a verdict and metrics."""
    first: float = 0.0
    """When it came, as a part of the history."""
    last: float = 1.0
    """When it went."""


class MadeUpHistory:
    """The executions of one history."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.rare = min(150, length // 20)
        """Executions at each place that have its rare values."""
        self._chance = random.Random(10)
        self._ids = ExecutionIds()
        self.scripts = [self._script(number) for number in range(SCRIPTS)]
        self._chosen: Sequence[MadeUpScript] = ()
        self._schedules: list[str] = []
        first = {
            Place.OLDEST: SCHEDULES,
            Place.MIDDLE: length // 2,
            Place.NEWEST: length - self.rare,
        }
        self._places = {
            first[place] + number: place for place in Place for number in range(self.rare)
        }

    def executions(self) -> Iterator[Execution]:
        """Return all of them, oldest first; once."""
        in_one_era = max(1, self.length // 100)
        for number in range(self.length):
            part = number / self.length
            if number % in_one_era == 0:
                self._choose_scripts(part)
            created_at = _created_at(part)
            if number < SCHEDULES:
                yield self._schedule(number, created_at)
            elif number in self._places:
                yield self._rare(self._places[number], created_at)
            else:
                yield self._usual(self._chosen[number % len(self._chosen)], created_at)

    def parent_of(self, place: Place) -> str:
        """Return the id of the schedule that led to the executions of a place only."""
        return self._schedules[list(Place).index(place)]

    def _script(self, number: int) -> MadeUpScript:
        chance = self._chance
        entity_type, entity_id = EntityType.APP, f'app_{number % (APPS + COMPONENTS):02}'
        if number % (APPS + COMPONENTS) >= APPS:
            entity_type, entity_id = EntityType.COMPONENT, entity_id.replace('app', 'ecu')
        first = max(0.0, chance.uniform(-1, 0.9)) if number else 0.0
        return MadeUpScript(
            entity=EntityRef(entity_type=entity_type, entity_id=entity_id),
            # Managed scripts have the same id on several entities.
            script_id=f'managed_{number % 20}' if number % 5 == 0 else f'script_{number}',
            name=f'check_{number % 150}',
            kind=chance.choice(list(ScriptKind)),
            tags=tuple(sorted(chance.sample(TAGS, chance.choice((0, 1, 1, 2, 3))))),
            usual_ms=chance.lognormvariate(7, 1.5),
            judges=number % 3 == 1,
            first=first,
            last=first + chance.uniform(0.1, 1) if number else 1.0,
        )

    def _choose_scripts(self, part: float) -> None:
        """Choose which of the scripts that are there at the time run next: the first ones most."""
        present = [script for script in self.scripts if script.first <= part <= script.last]
        weights = [1 / (1 + number) for number in range(len(present))]
        self._chosen = self._chance.choices(present, weights, k=min(9973, self.length))

    def _schedule(self, number: int, created_at: datetime.datetime) -> Execution:
        script = self._chosen[number % len(self._chosen)]
        execution = Execution(
            id=self._next_id(created_at),
            entity=script.entity,
            script_id=script.script_id,
            script_version='f' * 64,
            execution_type=ExecutionType.ON_RESTART,
            status=ExecutionStatus.PREPARED,
            trigger=_MANUAL[0],
            created_at=created_at,
            as_schedule=Schedule(),
        )
        self._schedules.append(execution.id)
        return execution

    def _rare(self, place: Place, created_at: datetime.datetime) -> Execution:
        name = place.rare_name
        script = MadeUpScript(
            entity=EntityRef(entity_type=EntityType.APP, entity_id=name),
            script_id=name,
            name=name,
            kind=ScriptKind.SH,
            tags=(name,),
            usual_ms=1000,
        )
        return self._ended(
            script,
            created_at,
            **_failed(place.reason, exit_code=place.exit_code),
            trigger=Trigger(type=TriggerType.MANUAL, username=name),
            parent=self.parent_of(place),
            verdict=Verdict.SKIP if place is Place.OLDEST else None,
        )

    def _usual(self, script: MadeUpScript, created_at: datetime.datetime) -> Execution:
        chance = self._chance.random()
        fields: dict[str, Any] = {'exit_code': 0}
        if chance < 0.03:
            fields = self._chance.choices(_ENDS, _ENDS_WEIGHTS)[0]
        elif chance > 0.995:
            fields = _STOPPED
        elif script.judges:
            fields = {
                'exit_code': 0,
                'verdict': _VERDICTS[int(self._chance.random() * len(_VERDICTS))],
                'metrics': {'temperature': round(self._chance.gauss(40, 5), 2), 'voltage': 24.0},
            }
        return self._ended(script, created_at, **self._trigger(), **fields)

    def _trigger(self) -> dict[str, Any]:
        chance = self._chance.random()
        if chance > 0.15:
            return {'trigger': _MANUAL[int(chance * 1000) % len(_MANUAL)]}
        usual = self._schedules[len(Place) :]
        parent = usual[int(chance * 100) % len(usual)]
        return {
            'trigger': Trigger(type=TriggerType.RESTART, setting=parent),
            'parent': parent,
        }

    def _ended(
        self, script: MadeUpScript, created_at: datetime.datetime, **fields: Any
    ) -> Execution:
        duration_ms = int(self._chance.lognormvariate(0, 0.4) * script.usual_ms) + 1
        return Execution(
            **{
                'id': self._next_id(created_at),
                'entity': script.entity,
                'script_id': script.script_id,
                'script_version': 'f' * 64,
                'script_name': script.name,
                'script_kind': script.kind,
                'script_tags': script.tags,
                'execution_type': ExecutionType.NOW,
                'status': ExecutionStatus.COMPLETED,
                'created_at': created_at,
                'input_parameters': {'depth': duration_ms % 5, 'sensor': 'front_left'},
                'arguments': ('-v',),
                'started_at': created_at,
                'completed_at': created_at + datetime.timedelta(milliseconds=duration_ms),
                'duration_ms': duration_ms,
                'progress': _DONE,
                'leftover_processes': 0,
                'resource_use': _USE,
                'output_parameters': _OUTPUT,
                **fields,
            }
        )

    def _next_id(self, created_at: datetime.datetime) -> str:
        execution_id = self._ids.next(created_at)
        self._ids.settle(execution_id)
        return execution_id


def _created_at(part: float) -> datetime.datetime:
    """Return the wall time at a part of the history."""
    set_back = 0.4 <= part < 0.45 or 0.8 <= part < 0.81
    return BEGINS + part * LASTS - (SET_BACK if set_back else datetime.timedelta())


def _failed(reason: FailureReason, **fields: Any) -> dict[str, Any]:
    known = {'exit_code': fields.get('exit_code'), 'stderr': 'it is broken\n'}
    return {
        'status': ExecutionStatus.FAILED,
        'failure': Failure(reason=reason, message='It did not end well.', parameters=known),
        **fields,
    }


_TIMEOUT = Trigger(type=TriggerType.SYSTEM, setting='timeout')
_STOPPED = {
    'status': ExecutionStatus.TERMINATED,
    'signal': 15,
    'stop_trigger': Trigger(type=TriggerType.MANUAL, setting='stop', username=USERS[1]),
}
_ENDS = (
    *(_failed(FailureReason.SCRIPT_FAILED, exit_code=code) for code in (1, 2, 3, 64, 126, 127)),
    *(_failed(FailureReason.SCRIPT_FAILED, signal=number) for number in (6, 11)),
    _failed(FailureReason.TIMEOUT, signal=9, stop_trigger=_TIMEOUT),
    _failed(FailureReason.RESTARTED),
)
_ENDS_WEIGHTS = (40, 10, 5, 2, 1, 1, 2, 4, 20, 15)
_VERDICTS = (*(Verdict.PASS,) * 17, Verdict.WARN, Verdict.WARN, Verdict.FAIL)
_MANUAL = (
    *(Trigger(type=TriggerType.MANUAL, username=user) for user in USERS),
    *(Trigger(type=TriggerType.MANUAL),) * 6,
)
_DONE = Progress(percent=100, message='done')
_USE = ResourceUse(max_memory_bytes=12_345_678, cpu_sec=0.123)
_OUTPUT = {'stdout': 'a line of output\n' * 5, 'stderr': '', 'exit_code': 0}
