# SPDX-License-Identifier: Apache-2.0
"""The handler of statistics, and what its route takes."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway_node.clock import rfc3339
from gateway_node.executions.durations import Durations
from gateway_node.executions.statistics import EndStatistics, Interval, ListedScript, Point
from gateway_node.executions.values import ExecutionStatus, FINAL_STATUSES
from gateway_node.http_server.calls import Answer, Call
from gateway_node.http_server.execution_lists import wanted_executions
from gateway_node.http_server.execution_queries import ExecutionQuery
from gateway_node.http_server.fields import Choice
from gateway_node.http_server.representations import Json
from gateway_node.http_server.takes import query


@dataclass(frozen=True, kw_only=True)
class OfStatistics(ExecutionQuery):
    """Takes which executions are counted, and by what time."""

    interval: Interval | None = query(
        Choice(Interval),
        default=None,
        about='Adds a `series`, with a point for each hour or day (UTC) in which something ended.',
    )


async def show_statistics(call: Call[OfStatistics, None]) -> Answer:
    """Count the executions that ended, and those that are open now.

    Those that are not kept any more count too, where only `status`, `entity`, `component`,
    `script`, `vendor_code`, `verdict`, `completed_after` and `completed_before` are asked for; any
    other filter has the executions that are kept looked at one by one, for a second at most.
    """
    statistics, wanted = call.services.statistics, await wanted_executions(call)
    ended = await statistics.ended(wanted, call.at.interval)
    now = await statistics.open(wanted)
    body: Json = {
        'total': ended.total.executions,
        'statuses': _statuses(ended.statuses),
        'vendor_codes': dict(ended.vendor_codes),
        'verdicts': dict(ended.verdicts),
        'scripts': [_script(call.base, script) for script in ended.scripts],
        'entities': dict(ended.entities),
        'durations': _durations(ended.total.durations),
        'open': {'running': now.running, 'waiting': now.waiting, 'scheduled': now.scheduled},
        **_where_known(ended),
    }
    if call.at.interval is not None:
        body['interval'] = call.at.interval.value
        body['series'] = [_point(point) for point in ended.points]
    return Answer(body=body)


def _where_known(ended: EndStatistics) -> Json:
    known: Json = {}
    if ended.success_rate is not None:
        known['success_rate'] = ended.success_rate
    if ended.counted.after is not None:
        known['from'] = rfc3339(ended.counted.after)
    if ended.counted.before is not None:
        known['to'] = rfc3339(ended.counted.before)
    if ended.approximate:
        known['approximate'] = True
    return known


def _statuses(counts: Mapping[ExecutionStatus, int]) -> Json:
    return {
        status.value: counts.get(status, 0)
        for status in ExecutionStatus
        if status in FINAL_STATUSES
    }


def _script(base: str, listed: ListedScript) -> Json:
    entity, script_id = listed.script
    known = {} if listed.name is None else {'name': listed.name}
    return {
        'id': script_id,
        'entity': entity,
        'href': f'{base}/{entity}/scripts/{script_id}',
        'executions': listed.executions,
        **known,
    }


def _durations(durations: Durations) -> Json:
    known = {
        'min_ms': durations.min_ms,
        'mean_ms': _rounded(durations.mean_ms),
        'p50_ms': _rounded(durations.quantile_ms(0.5)),
        'p95_ms': _rounded(durations.quantile_ms(0.95)),
        'max_ms': durations.max_ms,
    }
    shown = {name: value for name, value in known.items() if value is not None}
    return {'count': durations.count, **shown}


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)


def _point(point: Point) -> Json:
    return {
        'at': rfc3339(point.begins),
        'total': sum(point.statuses.values()),
        'statuses': _statuses(point.statuses),
        'durations': _durations(point.durations),
    }
