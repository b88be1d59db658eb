# SPDX-License-Identifier: Apache-2.0
"""How executions look in JSON, column by column: what is not asked for costs nothing.

What is unknown or unset is left out.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
import dataclasses
import datetime
from operator import attrgetter

from gateway_node.clock import rfc3339
from gateway_node.entities.values import EntityRef
from gateway_node.executions.findings import Check
from gateway_node.executions.values import Execution, Output, Trigger
from gateway_node.http_server.representations import Json, present
from gateway_node.scripts.library import ScriptLibrary

PresentVersions = Mapping[tuple[EntityRef, str], str | None]
"""By entity and id, the version that a script has now; None where it is gone."""
_Column = Callable[[Execution], object]
"""What stands in one column; None for nothing."""


def execution_href(base: str, execution: Execution, execution_id: str | None = None) -> str:
    """Build the path of an execution, or of another one of the same script."""
    script = f'{base}/{execution.entity.path}/scripts/{execution.script_id}'
    return f'{script}/executions/{execution_id or execution.id}'


class ExecutionRows:
    """Builds executions as lists show them, each with the columns that are asked for."""

    def __init__(
        self, base: str, present_versions: PresentVersions, columns: Iterable[str] | None = None
    ) -> None:
        """Take names of `EXECUTION_COLUMNS`; None for all of them."""

        def is_outdated(execution: Execution) -> bool:
            script = (execution.entity, execution.script_id)
            return execution.script_version != present_versions[script]

        def schedule(execution: Execution) -> str | None:
            other = execution.schedule
            return None if other is None else execution_href(base, execution, other)

        known: dict[str, _Column] = {
            **_OF_ITSELF,
            'href': lambda execution: execution_href(base, execution),
            'is_outdated': is_outdated,
            'schedule': schedule,
        }
        names = EXECUTION_COLUMNS if columns is None else columns
        self._columns = tuple((name, known[name]) for name in names)

    def row(self, execution: Execution) -> Json:
        """Build one; never with its output and its output parameters."""
        return {
            name: value
            for name, column in self._columns
            if (value := column(execution)) is not None
        }


async def rows_of(
    base: str,
    library: ScriptLibrary,
    executions: Iterable[Execution],
    columns: Collection[str] | None,
) -> ExecutionRows:
    """Return what builds these executions; their scripts are looked up where a column tells of
    them. Raises what `ScriptLibrary.versions_of` raises."""
    versions: PresentVersions = {}
    if columns is None or 'is_outdated' in columns:
        scripts = {(each.entity, each.script_id) for each in executions}
        versions = await library.versions_of(scripts)
    return ExecutionRows(base, versions, columns)


def execution_detail(
    base: str, execution: Execution, present_version: str | None, output: Output
) -> Json:
    """Build an execution's detail: with its input, its output and, once completed, its parameters
    and what of them are checks."""
    versions = {(execution.entity, execution.script_id): present_version}
    row = ExecutionRows(base, versions).row(execution)
    return row | _not_in_lists(execution) | {'output': dataclasses.asdict(output)}


def archived_execution(execution: Execution) -> Json:
    """Build an execution for the archive: its detail without its output, and without what is
    true of this gateway as it is now; `schedule` is an id."""
    row = ExecutionRows('', {}, _OF_ITSELF).row(execution)
    return row | present({'schedule': execution.schedule}) | _not_in_lists(execution)


def _not_in_lists(execution: Execution) -> Json:
    known: Json = {
        'input_parameters': dict(execution.input_parameters),
        'updated_at': rfc3339(execution.updated_at),
    }
    if execution.executor is not None:
        known['executor'] = dataclasses.asdict(execution.executor)
    if execution.output_parameters is not None:
        known['parameters'] = dict(execution.output_parameters)
    if checks := execution.checks:
        known['checks'] = [_check(check) for check in checks]
    return known


def _check(check: Check) -> Json:
    return present(dataclasses.asdict(check) | {'verdict': check.verdict.value})


def _time(name: str) -> _Column:
    moment_of: Callable[[Execution], datetime.datetime | None] = attrgetter(name)

    def time(execution: Execution) -> str | None:
        moment = moment_of(execution)
        return None if moment is None else rfc3339(moment)

    return time


def _last_start(execution: Execution) -> str | None:
    schedule = execution.as_schedule
    return None if schedule is None or not schedule.last_start else rfc3339(schedule.last_start.at)


def _trigger(trigger: Trigger | None) -> Json | None:
    if trigger is None:
        return None
    told: Json = {'type': trigger.type.value}
    if trigger.setting is not None:
        told['setting'] = trigger.setting
    if trigger.username is not None:
        told['username'] = trigger.username
    return told


def _unkillable(execution: Execution) -> list[Json] | None:
    return [
        {'pid': process.pid, 'user': process.user, 'command': process.command}
        for process in execution.unkillable_processes
    ] or None


def _resource_use(execution: Execution) -> Json | None:
    use = execution.resource_use
    if use is None:
        return None
    return {'max_memory_bytes': use.max_memory_bytes, 'cpu_sec': use.cpu_sec}


def _error(execution: Execution) -> Json | None:
    failure = execution.failure
    if failure is None:
        return None
    return {
        'error_code': 'vendor-error',
        'vendor_code': failure.reason.value,
        'message': failure.message,
        'parameters': dict(failure.parameters),
    }


_COLUMNS: dict[str, _Column | None] = {
    'id': attrgetter('id'),
    'status': lambda execution: execution.status.value,
    'href': None,
    'entity': lambda execution: execution.entity.path,
    'script_id': attrgetter('script_id'),
    'script_version': attrgetter('script_version'),
    'script_name': attrgetter('script_name'),
    'kind': lambda execution: execution.script_kind and execution.script_kind.value,
    'tags': lambda execution: list(execution.script_tags) or None,
    'mended': lambda execution: [mending.value for mending in execution.mended] or None,
    'is_outdated': None,
    'execution_type': lambda execution: execution.execution_type.value,
    'arguments': lambda execution: list(execution.arguments),
    'priority': attrgetter('priority'),
    'parent': attrgetter('parent'),
    'schedule': None,
    'scheduled': lambda execution: execution.is_schedule or None,
    'last_start_at': _last_start,
    'skipped_starts': lambda execution: (
        execution.as_schedule and execution.as_schedule.skipped_starts
    ),
    'trigger': lambda execution: _trigger(execution.trigger),
    'stop_trigger': lambda execution: _trigger(execution.stop_trigger),
    'created_at': _time('created_at'),
    'started_at': _time('started_at'),
    'completed_at': _time('completed_at'),
    'duration_ms': attrgetter('duration_ms'),
    'progress': lambda execution: execution.progress and execution.progress.percent,
    'progress_message': lambda execution: execution.progress and execution.progress.message,
    'exit_code': attrgetter('exit_code'),
    'signal': attrgetter('signal'),
    'leftover_processes': attrgetter('leftover_processes'),
    'unkillable_processes': _unkillable,
    'resource_use': _resource_use,
    'verdict': lambda execution: execution.verdict and execution.verdict.value,
    'summary': attrgetter('summary'),
    'metrics': lambda execution: dict(execution.metrics) or None,
    'error': _error,
    'terminating': lambda execution: execution.terminating or None,
    'warnings': lambda execution: list(execution.warnings) or None,
}

"""All columns in order; None for what differs from request to request."""
_OF_ITSELF = {name: column for name, column in _COLUMNS.items() if column is not None}

EXECUTION_COLUMNS = tuple(_COLUMNS)
"""All that an execution may have in a list, in order."""
