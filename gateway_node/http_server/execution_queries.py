# SPDX-License-Identifier: Apache-2.0
"""Which executions a query asks for: its names, and the filter that they make."""

from collections.abc import Mapping
from dataclasses import dataclass
import datetime

from gateway_node.access.seen_entities import SeenEntities
from gateway_node.clock import rfc3339
from gateway_node.entities.errors import EntityNotFound
from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.filters import (
    ExecutionFilter,
    InstanceFilter,
    Moments,
    TriggerFilter,
)
from gateway_node.executions.values import ExecutionStatus, ExecutionType
from gateway_node.http_server.errors import InvalidParameter
from gateway_node.http_server.fields import Choice, ExecutionId, Flag, Id, Integer
from gateway_node.http_server.query_fields import (
    EntityPattern,
    InstanceText,
    MAX_TEXTS,
    Moment,
    SearchText,
    Several,
    TriggerText,
)
from gateway_node.http_server.takes import family, query
from gateway_node.scripts.values import ScriptKind, Verdict

MAX_EXIT_CODE = 255
"""Of a process (man 3 exit)."""
MAX_SIGNAL = 64
MAX_PRIORITY = 1000
MAX_DURATION_MS = 10**15
MAX_SEQUENCE = 2**53 - 1
MAX_PARAMETERS = 20
MAX_RESULT_TEXT = 1000
_SHOWN_COMPONENTS = 20

_TEXTS = Several(SearchText(listed=True), MAX_TEXTS)
_MOMENT = Moment()
_IDS = Several(ExecutionId())


@dataclass(frozen=True, kw_only=True)
class ExecutionQuery:
    """Takes what executions are searched by.

    Several values of one name are alternatives; all names have to hold.
    """

    status: frozenset[ExecutionStatus] | None = query(
        Several(Choice(ExecutionStatus)), default=None, about='Where they stand.'
    )
    entities: frozenset[str] | None = query(
        Several(EntityPattern(), MAX_TEXTS),
        default=None,
        name='entity',
        about='The entity: a path such as `apps/temp_sensor`, or a pattern of paths (`apps/*`), '
        'where `*` is any text and `?` one character.',
    )
    component: frozenset[str] | None = query(
        Several(Id()),
        default=None,
        about='The id of a component: its own executions, and those of the apps that are located '
        'on it.',
    )
    script: frozenset[str] | None = query(
        _TEXTS,
        default=None,
        about='The id of a script, or its name as it was for the execution.',
    )
    instance: frozenset[InstanceFilter] | None = query(
        Several(InstanceText(), MAX_TEXTS),
        default=None,
        about='An instance: the id or the name of its script, a colon, and its own name '
        '(`self_test:nightly`).',
    )
    tag: frozenset[str] | None = query(
        _TEXTS,
        default=None,
        about='A tag of the script, as it was for the execution.',
    )
    kind: frozenset[ScriptKind] | None = query(
        Several(Choice(ScriptKind)), default=None, about='The kind of the script.'
    )
    exit_code: frozenset[int] | None = query(
        Several(Integer(0, MAX_EXIT_CODE)), default=None, about='Of the main process.'
    )
    signal: frozenset[int] | None = query(
        Several(Integer(1, MAX_SIGNAL)),
        default=None,
        about='The number of the signal that ended the main process.',
    )
    vendor_code: frozenset[FailureReason] | None = query(
        Several(Choice(FailureReason)), default=None, about='Of the error of a failed one.'
    )
    verdict: frozenset[Verdict] | None = query(
        Several(Choice(Verdict)), default=None, about='What its result says was found.'
    )
    execution_type: frozenset[ExecutionType] | None = query(
        Several(Choice(ExecutionType)), default=None, about='As what it was started.'
    )
    trigger: frozenset[TriggerFilter] | None = query(
        Several(TriggerText()),
        default=None,
        about='What started it: a type, or a type, a colon and the setting '
        '(`restart:exec_…`, of a schedule).',
    )
    stop_trigger: frozenset[TriggerFilter] | None = query(
        Several(TriggerText()),
        default=None,
        about='What ended it before its own end: a type, or a type, a colon and the setting '
        '(`manual:stop`, `system:shutdown`).',
    )
    username: frozenset[str] | None = query(_TEXTS, default=None, about='Who started it.')
    firing: frozenset[int] | None = query(
        Several(Integer(1, MAX_SEQUENCE)),
        default=None,
        about='The sequence of the event that tells that a trigger fired: what that started, or '
        'stopped.',
    )
    parent: frozenset[str] | None = query(
        _IDS, default=None, about='The id of the execution or the schedule that led to it.'
    )
    schedule: frozenset[str] | None = query(
        _IDS,
        default=None,
        about='The id of a schedule: itself, what it started, and what it came with.',
    )
    priority: frozenset[int] | None = query(
        Several(Integer(-MAX_PRIORITY, MAX_PRIORITY)), default=None, about='In the line.'
    )
    terminating: bool | None = query(
        Flag(), default=None, about='Whether it was asked to end and has not ended yet.'
    )
    scheduled: bool | None = query(
        Flag(),
        default=None,
        about='Whether it is a schedule: it waits for a start of the gateway.',
    )
    created_after: datetime.datetime | None = query(
        _MOMENT, default=None, about='Created then, or later (RFC 3339).'
    )
    created_before: datetime.datetime | None = query(
        _MOMENT, default=None, about='Created before then, not at that moment.'
    )
    started_after: datetime.datetime | None = query(
        _MOMENT, default=None, about='Started then, or later.'
    )
    started_before: datetime.datetime | None = query(
        _MOMENT, default=None, about='Started before then.'
    )
    completed_after: datetime.datetime | None = query(
        _MOMENT, default=None, about='Ended then, or later, however it ended.'
    )
    completed_before: datetime.datetime | None = query(
        _MOMENT, default=None, about='Ended before then.'
    )
    min_duration_ms: int | None = query(
        Integer(0, MAX_DURATION_MS), default=None, about='Took so long, or longer.'
    )
    max_duration_ms: int | None = query(
        Integer(0, MAX_DURATION_MS), default=None, about='Took no longer.'
    )
    result_contains: str | None = query(
        SearchText(MAX_RESULT_TEXT),
        default=None,
        about='A text in the JSON of its output parameters, in any case of its letters.',
    )
    parameters: Mapping[str, frozenset[str]] = family(
        'parameter.',
        Several(SearchText(), MAX_TEXTS, commas=False),
        max_names=MAX_PARAMETERS,
        about='An input parameter by its name (`parameter.mode=fast`): a text as it is, all else '
        'as JSON. Alternatives repeat the name: a comma is part of a value.',
    )
    include_outdated: bool = query(
        Flag(),
        default=True,
        about='`false` leaves out those whose script or instance was replaced since, or is gone.',
    )

    def filter(self, directory: SeenEntities) -> ExecutionFilter:
        """Return what is asked for, but for `include_outdated`, which the library knows.

        InvalidParameter where there is no such component, or a time ends before it begins.
        """
        self._check_times()
        codes = self.vendor_code
        return ExecutionFilter(
            statuses=self.status,
            entities=self.entities,
            located=None if self.component is None else _located(directory, self.component),
            scripts=self.script,
            instances=self.instance,
            tags=self.tag,
            kinds=self.kind,
            exit_codes=self.exit_code,
            signals=self.signal,
            vendor_codes=None if codes is None else frozenset(code.value for code in codes),
            verdicts=self.verdict,
            execution_types=self.execution_type,
            triggers=self.trigger,
            stop_triggers=self.stop_trigger,
            usernames=self.username,
            firings=self.firing,
            parents=self.parent,
            schedules=self.schedule,
            priorities=self.priority,
            terminating=self.terminating,
            scheduled=self.scheduled,
            created=Moments(after=self.created_after, before=self.created_before),
            started=Moments(after=self.started_after, before=self.started_before),
            completed=Moments(after=self.completed_after, before=self.completed_before),
            min_duration_ms=self.min_duration_ms,
            max_duration_ms=self.max_duration_ms,
            result_contains=self.result_contains,
            parameters=self.parameters,
        )

    def _check_times(self) -> None:
        wrong = []
        for name in ('created', 'started', 'completed'):
            after, before = getattr(self, f'{name}_after'), getattr(self, f'{name}_before')
            if after is not None and before is not None and after > before:
                allowed = f'up to {name}_before, which is {rfc3339(before)}'
                wrong.append((f'{name}_after', f'is {rfc3339(after)}; allowed: {allowed}'))
        if wrong:
            raise InvalidParameter.of_query(*wrong)


def _located(directory: SeenEntities, component_ids: frozenset[str]) -> frozenset[EntityRef]:
    """Return components, with the apps that are located on them."""
    located, unknown = set(), []
    for component_id in sorted(component_ids):
        try:
            component = directory.component(component_id)
        except EntityNotFound:
            unknown.append(component_id)
            continue
        located.add(component.ref)
        located |= {
            EntityRef(entity_type=EntityType.APP, entity_id=app_id) for app_id in component.app_ids
        }
    if unknown:
        known = [component.id for component in directory.components()]
        allowed = ', '.join(known[:_SHOWN_COMPONENTS]) + (
            ', …' if len(known) > _SHOWN_COMPONENTS else ''
        )
        raise InvalidParameter.of_query(
            *(('component', f'is {each!r}; allowed: {allowed}') for each in unknown)
        )
    return frozenset(located)
