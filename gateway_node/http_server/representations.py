# SPDX-License-Identifier: Apache-2.0
"""How the values of the inner rooms look in JSON. What is unknown or unset is left out."""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway_node.clock import rfc3339
from gateway_node.entities.values import App, Area, Component, Function
from gateway_node.executions.documents import present
from gateway_node.scripts.script_summaries import script_summary
from gateway_node.scripts.values import Script, ScriptVersion

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
        | present(optional)
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
    return entry | present(optional) | {'hosts': f'{entry["href"]}/hosts'}


def script_detail(scripts_href: str, script: Script) -> Json:
    """Build a script's representation; the same in lists."""
    detail = script_summary(script) | {'href': f'{scripts_href}/{script.id}'}
    if script.fault:
        detail['unavailable'] = script.fault
    if script.parameters_schema is not None:
        detail['parameters_schema'] = script.parameters_schema
    return detail


def content_href(script_href: str, version: str) -> str:
    """Build the path of the file of a version of a script."""
    return f'{script_href}/content?version={version}'


def script_version(
    script_href: str, version: ScriptVersion, named: Mapping[str, int] | None
) -> Json:
    """Build a version of a script, with what is known of the script as it was then; `named` has
    how many executions name each version, where that is told."""
    then = {} if version.script is None else script_detail('', version.script)
    told = {name: value for name, value in then.items() if name not in ('id', 'href', 'managed')}
    uploaded_at = None if version.uploaded_at is None else rfc3339(version.uploaded_at)
    return told | present(
        {
            'version': version.version,
            'href': content_href(script_href, version.version),
            'current': version.current,
            'file_name': version.path.name,
            'size': version.size,
            'executions': None if named is None else named.get(version.version, 0),
            'uploaded_at': uploaded_at,
            'uploaded_by': version.uploaded_by,
        }
    )
