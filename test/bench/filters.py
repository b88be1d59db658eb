# SPDX-License-Identifier: Apache-2.0
"""Filters of a made-up history: those with an index, and what combines them."""

from collections.abc import Callable, Sequence
from typing import Any

from made_up_history import BEGINS, LASTS, Place, USERS

from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.filters import ExecutionFilter, Moments, TriggerFilter
from gateway_node.executions.values import ExecutionStatus, TriggerType
from gateway_node.scripts.values import ScriptKind, Verdict

Wanted = Callable[[Sequence[str]], ExecutionFilter]
"""Makes a filter; takes the ids of the schedules at the beginning of the history."""


def _of(**fields: Any) -> Wanted:
    """Return what makes a filter; a value by itself is the only one."""
    values: dict[str, Any] = {
        name: value if isinstance(value, frozenset | Moments) else frozenset({value})
        for name, value in fields.items()
    }
    return lambda schedules: ExecutionFilter(**values)


def _parent(number: int) -> Wanted:
    return lambda schedules: ExecutionFilter(parents=frozenset({schedules[number]}))


def _month(part: float) -> Moments:
    """Return the month after a part of the history."""
    after = BEGINS + part * LASTS
    return Moments(after=after, before=after + LASTS / 24)


def _rare(place: Place) -> dict[str, Wanted]:
    name = place.rare_name
    return {
        'entity, rare': _of(entities=f'apps/{name}'),
        'script, rare': _of(scripts=name),
        'tag, rare': _of(tags=name),
        'exit_code, rare': _of(exit_codes=place.exit_code),
        'vendor_code, rare': _of(vendor_codes=place.reason.value),
        'username, rare': _of(usernames=name),
        'parent, rare': _parent(list(Place).index(place)),
    }


COMMON: dict[str, Wanted] = {
    'none': _of(),
    'status=completed': _of(statuses=ExecutionStatus.COMPLETED),
    'status=failed': _of(statuses=ExecutionStatus.FAILED),
    'status=failed,terminated': _of(
        statuses=frozenset({ExecutionStatus.FAILED, ExecutionStatus.TERMINATED})
    ),
    'entity': _of(entities='apps/app_00'),
    'script of an entity': lambda schedules: ExecutionFilter(
        entity=EntityRef(entity_type=EntityType.APP, entity_id='app_36'), script_id='managed_10'
    ),
    'script, by id': _of(scripts='managed_0'),
    'script, by name': _of(scripts='check_0'),
    'tag': _of(tags='brakes'),
    'tag, three': _of(tags=frozenset({'brakes', 'lidar', 'arm'})),
    'exit_code=0': _of(exit_codes=0),
    'exit_code=2': _of(exit_codes=2),
    'vendor_code': _of(vendor_codes=FailureReason.TIMEOUT.value),
    'trigger=manual': _of(triggers=TriggerFilter(type=TriggerType.MANUAL)),
    'trigger=restart': _of(triggers=TriggerFilter(type=TriggerType.RESTART)),
    'username': _of(usernames=USERS[0]),
    'parent': _parent(len(Place)),
    'verdict=PASS': _of(verdicts=Verdict.PASS),
    'verdict=FAIL': _of(verdicts=Verdict.FAIL),
    'created, a month in the middle': _of(created=_month(0.55)),
    'created, a month set back': _of(created=_month(0.42)),
}
"""Each by one indexed column; what is found is spread over all of the history."""
RARE: dict[str, Wanted] = {
    f'{figure}, {place.value}': wanted
    for place in Place
    for figure, wanted in _rare(place).items()
} | {'verdict, rare, oldest': _of(verdicts=Verdict.SKIP)}
"""Each finds what stands at one place only."""
COMBINED: dict[str, Wanted] = {
    'status=failed and entity': _of(statuses=ExecutionStatus.FAILED, entities='apps/app_00'),
    'status=failed and tag': _of(statuses=ExecutionStatus.FAILED, tags='brakes'),
    'username and tag': _of(usernames=USERS[0], tags='lidar'),
    'exit_code=2 and a month': _of(exit_codes=2, created=_month(0.55)),
    'verdict=FAIL and script': _of(verdicts=Verdict.FAIL, scripts='check_1'),
    'nothing has both': _of(usernames='rare_oldest', tags='rare_newest'),
    'timeout and verdict=PASS, none': _of(
        vendor_codes=FailureReason.TIMEOUT.value, verdicts=Verdict.PASS
    ),
    'entity=apps/*': _of(entities='apps/*'),
    'kind=bash': _of(kinds=ScriptKind.BASH),
    'signal=11': _of(signals=11),
    'priority=7, none': _of(priorities=7),
    'parameter.depth=99, none': lambda schedules: ExecutionFilter(
        parameters={'depth': frozenset({'99'})}
    ),
    'result_contains, none': lambda schedules: ExecutionFilter(result_contains='no such text'),
}
"""Those of several columns, or of none that has an index: a bounded number of rows a request."""
