# SPDX-License-Identifier: Apache-2.0
"""How the values of the inner rooms look in JSON. What is unknown or unset is left out."""

from collections.abc import Iterable, Mapping
import dataclasses
import datetime
from typing import Any

from gateway_node.clock import rfc3339
from gateway_node.entities.values import App, Area, Component, Function
from gateway_node.executions.findings import Check
from gateway_node.executions.values import Execution, Failure, Output, Trigger
from gateway_node.scripts.script_summaries import script_summary
from gateway_node.scripts.values import Mending, Script

Json = dict[str, Any]


def listing(entries: Iterable[Json]) -> Json:
    """Build the body of a list."""
    return {'items': list(entries)}


def reference(base: str, collection: str, entity_id: str, name: str) -> Json:
    """Build an entry of a list of entities."""
    return {'id': entity_id, 'name': name, 'href': f'{base}/{collection}/{entity_id}'}


def app_reference(base: str, app: App) -> Json:
    """Build an app's entry in a list."""
    return reference(base, 'apps', app.id, app.node.name) | {'online': app.online}


def app_detail(base: str, app: App) -> Json:
    """Build an app's detail."""
    href = f'{base}/{app.ref.path}'
    return app_reference(base, app) | {
        'fully_qualified_name': app.node.fully_qualified_name,
        'namespace': app.node.namespace,
        **({'area': f'{base}/areas/{app.area_id}'} if app.area_id else {}),
        'is-located-on': f'{href}/is-located-on',
        'scripts': f'{href}/scripts',
    }


def component_reference(base: str, component: Component) -> Json:
    """Build a component's entry in a list."""
    return reference(base, 'components', component.id, component.name) | {
        'kind': component.kind.value,
        'online': component.online,
    }


def component_detail(base: str, component: Component) -> Json:
    """Build a component's detail."""
    href = f'{base}/{component.ref.path}'
    optional = {
        'description': component.description or None,
        'namespace': component.namespace,
        'area': f'{base}/areas/{component.area_id}' if component.area_id else None,
    }
    return (
        component_reference(base, component)
        | _present(optional)
        | {'hosts': f'{href}/hosts', 'scripts': f'{href}/scripts'}
    )


def area_detail(base: str, area: Area) -> Json:
    """Build an area's detail."""
    entry = reference(base, 'areas', area.id, area.name)
    return entry | {'components': f'{entry["href"]}/components'}


def function_detail(base: str, function: Function) -> Json:
    """Build a function's detail."""
    entry = reference(base, 'functions', function.id, function.name)
    optional = {'description': function.description or None}
    return entry | _present(optional) | {'hosts': f'{entry["href"]}/hosts'}


def script_detail(scripts_href: str, script: Script) -> Json:
    """Build a script's representation; the same in lists."""
    detail = script_summary(script) | {'href': f'{scripts_href}/{script.id}'}
    if script.parameters_schema is not None:
        detail['parameters_schema'] = script.parameters_schema
    return detail


def execution_href(base: str, execution: Execution, execution_id: str | None = None) -> str:
    """Build the path of an execution, or of another one of the same script."""
    script = f'{base}/{execution.entity.path}/scripts/{execution.script_id}'
    return f'{script}/executions/{execution_id or execution.id}'


def execution_summary(base: str, execution: Execution, present_version: str | None) -> Json:
    """Build an execution as lists show it: without its output and output parameters.

    `present_version` is the script's version now; None where the script is gone.
    """
    known = {
        'id': execution.id,
        'status': execution.status.value,
        'href': execution_href(base, execution),
        'entity': execution.entity.path,
        'script_id': execution.script_id,
        'script_version': execution.script_version,
        'script_name': execution.script_name,
        'kind': execution.script_kind.value if execution.script_kind else None,
        'tags': list(execution.script_tags) or None,
        'mended': _mended(execution.mended),
        'is_outdated': execution.script_version != present_version,
        'execution_type': execution.execution_type.value,
        'arguments': list(execution.arguments),
        'priority': execution.priority,
        'parent': execution.parent,
        'schedule': (
            execution_href(base, execution, execution.schedule) if execution.schedule else None
        ),
        **_schedule(execution),
        'trigger': _trigger(execution.trigger),
        'stop_trigger': _trigger(execution.stop_trigger),
        'created_at': _time(execution.created_at),
        'started_at': _time(execution.started_at),
        'completed_at': _time(execution.completed_at),
        'duration_ms': execution.duration_ms,
        'progress': execution.progress.percent if execution.progress else None,
        'progress_message': execution.progress.message if execution.progress else None,
        'exit_code': execution.exit_code,
        'signal': execution.signal,
        'leftover_processes': execution.leftover_processes,
        'unkillable_processes': [
            {'pid': process.pid, 'user': process.user, 'command': process.command}
            for process in execution.unkillable_processes
        ]
        or None,
        'resource_use': (
            dataclasses.asdict(execution.resource_use) if execution.resource_use else None
        ),
        'verdict': execution.verdict and execution.verdict.value,
        'summary': execution.summary,
        'metrics': dict(execution.metrics) or None,
        'error': _failure(execution.failure),
        'terminating': execution.terminating or None,
        'warnings': list(execution.warnings) or None,
    }
    return _present(known)


def execution_detail(
    base: str, execution: Execution, present_version: str | None, output: Output
) -> Json:
    """Build an execution's detail: with its input, its output and, once completed, its parameters
    and what of them are checks."""
    detail = execution_summary(base, execution, present_version) | {
        'input_parameters': dict(execution.input_parameters),
        'updated_at': _time(execution.updated_at),
    }
    if execution.executor is not None:
        detail['executor'] = dataclasses.asdict(execution.executor)
    if execution.output_parameters is not None:
        detail['parameters'] = dict(execution.output_parameters)
    if checks := execution.checks:
        detail['checks'] = [_check(check) for check in checks]
    return detail | {'output': dataclasses.asdict(output)}


def _check(check: Check) -> Json:
    return _present(dataclasses.asdict(check) | {'verdict': check.verdict.value})


def _mended(mendings: tuple[Mending, ...]) -> list[str] | None:
    return [mending.value for mending in mendings] or None


def _schedule(execution: Execution) -> Json:
    schedule = execution.as_schedule
    if schedule is None:
        return {}
    last = schedule.last_start
    return {
        'scheduled': True,
        'last_start_at': _time(last.at) if last else None,
        'skipped_starts': schedule.skipped_starts,
    }


def _time(moment: datetime.datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def _trigger(trigger: Trigger | None) -> Json | None:
    if trigger is None:
        return None
    optional = {'setting': trigger.setting, 'username': trigger.username}
    return {'type': trigger.type.value} | _present(optional)


def _failure(failure: Failure | None) -> Json | None:
    if failure is None:
        return None
    return {
        'error_code': 'vendor-error',
        'vendor_code': failure.reason.value,
        'message': failure.message,
        'parameters': dict(failure.parameters),
    }


def _present(values: Mapping[str, Any]) -> Json:
    return {name: value for name, value in values.items() if value is not None}
