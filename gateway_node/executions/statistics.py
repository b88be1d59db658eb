# SPDX-License-Identifier: Apache-2.0
"""What there is to know of many executions at once: how they ended, how often, how long they took.

Ends are counted by their kind, and by the hour of the wall clock (UTC) in which they came.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
import datetime
import enum
from typing import NamedTuple, Protocol, TypeVar

from gateway_node.entities.values import EntityRef
from gateway_node.executions.durations import Durations, NO_DURATIONS
from gateway_node.executions.filters import EVER, ExecutionFilter, Moments
from gateway_node.executions.group import SCRIPT_ID
from gateway_node.executions.scopes import EVERYTHING, Scope
from gateway_node.executions.values import Execution, ExecutionStatus

MAX_POINTS = 1000
"""Of a series; more are not kept of an interval."""
MAX_LISTED = 1000
"""Scripts, and entities, that are told by name; those with the most executions."""


class ScriptOfEntity(NamedTuple):
    """A script, and what it is of."""

    entity: str
    """The path: `apps/arm`."""
    script_id: str


_Counted = TypeVar('_Counted', str, ScriptOfEntity)


class Interval(enum.Enum):
    """What one point of a series covers, by UTC."""

    HOUR = 'hour'
    """From one full hour to the next."""
    DAY = 'day'
    """From midnight to midnight."""


class EndKind(NamedTuple):
    """What ends are counted by."""

    status: ExecutionStatus
    vendor_code: str | None
    """A text: another version of the gateway may know others."""
    verdict: str | None
    entity: str
    script_id: str
    script_name: str | None
    """As it was for that execution; None where nobody noted it."""

    @property
    def script(self) -> ScriptOfEntity:
        """The script that was executed."""
        return ScriptOfEntity(entity=self.entity, script_id=self.script_id)


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Some ends, of one kind or several."""

    executions: int = 0
    durations: Durations = NO_DURATIONS
    """Of those whose duration was measured: an execution that never started has none."""

    def __add__(self, other: 'Tally') -> 'Tally':
        """Return both together."""
        return Tally(
            executions=self.executions + other.executions,
            durations=self.durations + other.durations,
        )


NOTHING = Tally()


@dataclass(frozen=True, kw_only=True)
class ListedScript:
    """How often a script was executed."""

    script: ScriptOfEntity
    name: str | None
    """The one that it had last."""
    executions: int


@dataclass(frozen=True, kw_only=True)
class Point:
    """One interval of a series."""

    begins: datetime.datetime
    statuses: Mapping[ExecutionStatus, int]
    durations: Durations


@dataclass(frozen=True, kw_only=True)
class EndStatistics:
    """What is known of the executions that ended."""

    counted: Moments = EVER
    """The part of time whose ends were counted: what was asked for, widened to what they are
    counted by."""
    total: Tally = NOTHING
    statuses: Mapping[ExecutionStatus, int] = field(default_factory=dict)
    vendor_codes: Mapping[str, int] = field(default_factory=dict)
    verdicts: Mapping[str, int] = field(default_factory=dict)
    scripts: tuple[ListedScript, ...] = ()
    """Those with the most executions first; at most MAX_LISTED."""
    entities: Mapping[str, int] = field(default_factory=dict)
    """By their paths, as the scripts."""
    points: tuple[Point, ...] = ()
    """Of the intervals in which something ended, the oldest first; at most MAX_POINTS."""
    approximate: bool = False
    """True where not all executions could be looked at in time: only the newest were."""

    @property
    def success_rate(self) -> float | None:
        """The share that completed of those that completed or failed; None where none did either.

        What a client stopped says nothing of the script, and a verdict is another matter than
        whether a script ran.
        """
        completed = self.statuses.get(ExecutionStatus.COMPLETED, 0)
        decided = completed + self.statuses.get(ExecutionStatus.FAILED, 0)
        return completed / decided if decided else None


@dataclass(frozen=True, kw_only=True)
class OpenCounts:
    """The executions that are open now."""

    running: int = 0
    waiting: int = 0
    """Accepted; its script does not run yet."""
    scheduled: int = 0
    """Schedules, which wait for a start of the gateway."""


@dataclass(frozen=True, kw_only=True)
class LastExecution:
    """What a script did last."""

    status: ExecutionStatus
    verdict: str | None
    created_at: datetime.datetime
    completed_at: datetime.datetime | None


@dataclass(frozen=True, kw_only=True)
class ScriptRecord:
    """What is known of what one script did."""

    last: LastExecution | None
    """None where none is kept."""
    ended: Tally
    """All that ended, as far back as they are counted, those that are not kept any more
    included."""


class EndCounts(Protocol):
    """The ends that were counted, those of executions that are not kept any more included.

    Both raise StoreUnavailable.
    """

    async def ended(
        self, wanted: ExecutionFilter, interval: Interval | None = None
    ) -> EndStatistics:
        """Return what is known of the ends that are wanted, by a filter that asks for nothing but
        what they are counted by; and of each interval where one is given."""

    async def of_scripts(
        self, scripts: Iterable[ScriptOfEntity], scope: Scope = EVERYTHING
    ) -> Mapping[ScriptOfEntity, ScriptRecord]:
        """Return what is known of each of these scripts within a scope, which has no tags."""


def asks_for_counted(wanted: ExecutionFilter) -> bool:
    """Tell whether a filter asks for nothing but what ends are counted by."""
    return wanted.scope.tags is None and ExecutionFilter() == replace(
        wanted,
        scope=EVERYTHING,
        entity=None,
        script_id=None,
        statuses=None,
        entities=None,
        located=None,
        scripts=None,
        vendor_codes=None,
        verdicts=None,
        completed=EVER,
    )


def is_within(scope: Scope, kind: EndKind) -> bool:
    """Tell whether all ends of a kind are within a scope that has no tags.

    What a group asked for, its kind does not tell.
    """
    return scope.is_everything or (
        kind.script_id != SCRIPT_ID
        and scope.has_script(
            EntityRef.from_path(kind.entity), kind.script_id, name=kind.script_name, tags=()
        )
    )


def kind_of(execution: Execution) -> EndKind:
    """Return the kind of an execution's end."""
    return EndKind(
        status=execution.status,
        vendor_code=execution.failure.reason.value if execution.failure else None,
        verdict=execution.verdict.value if execution.verdict else None,
        entity=execution.entity.path,
        script_id=execution.script_id,
        script_name=execution.script_name,
    )


def end_statistics(
    *,
    totals: Iterable[tuple[EndKind, Tally]],
    by_script: Iterable[tuple[EndKind, int]],
    points: tuple[Point, ...],
    counted: Moments,
    approximate: bool = False,
) -> EndStatistics:
    """Put statistics together: of the ends of each kind, in the order in which kinds came up.

    `totals` may leave out scripts and entities; `by_script` says how many each of these has.
    """
    total = NOTHING
    statuses: Counter[ExecutionStatus] = Counter()
    vendor_codes: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    for kind, tally in totals:
        total += tally
        statuses[kind.status] += tally.executions
        if kind.vendor_code is not None:
            vendor_codes[kind.vendor_code] += tally.executions
        if kind.verdict is not None:
            verdicts[kind.verdict] += tally.executions
    scripts: Counter[ScriptOfEntity] = Counter()
    names: dict[ScriptOfEntity, str | None] = {}
    entities: Counter[str] = Counter()
    for kind, executions in by_script:
        scripts[kind.script] += executions
        names[kind.script] = kind.script_name or names.get(kind.script)
        entities[kind.entity] += executions
    return EndStatistics(
        counted=counted,
        total=total,
        statuses=statuses,
        vendor_codes=dict(sorted(vendor_codes.items())),
        verdicts=dict(sorted(verdicts.items())),
        scripts=tuple(
            ListedScript(script=script, name=names[script], executions=executions)
            for script, executions in _most(scripts)
        ),
        entities=dict(_most(entities)),
        points=points,
        approximate=approximate,
    )


def _most(counts: Counter[_Counted]) -> list[tuple[_Counted, int]]:
    """Return those with the most, these first; by what is counted where they are equal."""
    return sorted(sorted(counts.items()), key=lambda each: -each[1])[:MAX_LISTED]
