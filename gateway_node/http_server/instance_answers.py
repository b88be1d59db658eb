# SPDX-License-Identifier: Apache-2.0
"""How instances of scripts look in JSON. What is unknown or unset is left out."""

from collections.abc import Iterable, Mapping, Sequence
import itertools

from gateway_node.clock import rfc3339
from gateway_node.executions.documents import present
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.http_server.execution_columns import href_of
from gateway_node.http_server.representations import Json
from gateway_node.scripts.instances import InstanceTrigger
from gateway_node.triggers.values import Instance


def instance_summary(base: str, instance: Instance, open_id: str | None) -> Json:
    """Build an instance's entry in a list; `open_id` is that of its open execution."""
    ref = instance.ref
    body: Json = {
        'name': ref.name,
        'href': f'{base}/{ref.subject}',
        'managed': instance.managed,
        'enabled': instance.enabled,
        'version': instance.version,
        'description': instance.definition.description,
        'priority': instance.definition.priority,
    }
    if open_id is not None:
        href = href_of(base, ref.entity.path, ref.script_id, open_id)
        body['execution'] = {'id': open_id, 'href': href}
    return body


def instance_detail(
    base: str,
    instance: Instance,
    open_id: str | None,
    *,
    fault: str | None,
    states: Mapping[str, Sequence[Json]],
) -> Json:
    """Build an instance's detail; `states` tell how its triggers stand, by what they are for."""
    ref, definition = instance.ref, instance.definition
    created_at, changed_at = instance.created_at, instance.changed_at
    return instance_summary(base, instance, open_id) | present(
        {
            'entity': ref.entity.path,
            'script_id': ref.script_id,
            'parameters': dict(definition.parameters),
            'arguments': list(definition.arguments),
            'timeout_sec': definition.timeout_sec,
            'start_triggers': _with_states(
                map(_start_trigger, definition.start_triggers), states['start_triggers']
            ),
            'stop_triggers': _with_states(
                map(_trigger, definition.stop_triggers), states['stop_triggers']
            ),
            'preconditions': [each.document for each in definition.preconditions],
            'evidence': definition.evidence and definition.evidence.document(),
            'confirmation': instance.confirmation,
            'executions': _executions(base, ref),
            'created_at': created_at and rfc3339(created_at),
            'created_by': instance.created_by,
            'changed_at': changed_at and rfc3339(changed_at),
            'fault': fault,
        }
    )


def _executions(base: str, ref: InstanceRef) -> str:
    """Return the path of the list of an instance's executions."""
    # Of its entity alone: a managed script is on several, with instances of one name.
    return f'{base}/{ref.entity.path}/executions?instance={ref.script_id}:{ref.name}'


def _with_states(triggers: Iterable[Json], states: Sequence[Json]) -> list[Json]:
    return [
        trigger | ({'state': state} if state is not None else {})
        for trigger, state in itertools.zip_longest(triggers, states)
    ]


def _trigger(trigger: InstanceTrigger) -> Json:
    return {'condition': trigger.condition.document, 'text': trigger.condition.text}


def _start_trigger(trigger: InstanceTrigger) -> Json:
    return _trigger(trigger) | {
        'min_interval_sec': trigger.min_interval_sec,
        'while_down': trigger.while_down.value,
        'on_limit': trigger.on_limit.value,
    }
