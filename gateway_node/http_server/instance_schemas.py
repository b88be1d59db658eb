# SPDX-License-Identifier: Apache-2.0
"""The JSON Schemas of what the routes of instances take and answer."""

from gateway_node.conditions.condition_schema import condition_schema, preconditions_schema
from gateway_node.http_server.schema_parts import (
    AMOUNT,
    ANY_OBJECT,
    array_of,
    choice_of,
    COUNT,
    FLAG,
    href_to,
    list_of,
    object_of,
    reference_to,
    Schema,
    TEXT,
    TEXTS,
    TIME,
)
from gateway_node.scripts.evidence_policy import EVIDENCE_SCHEMA
from gateway_node.scripts.instance_schema import instance_schema
from gateway_node.scripts.instances import OnLimit, WhileDown

_SCRIPT_PATH = '/apps/temp_sensor/scripts/check'
_INSTANCE_PATH = f'{_SCRIPT_PATH}/instances/when_hot'
_CONDITION = reference_to('Condition')
_PRECONDITIONS = preconditions_schema(_CONDITION)
_TRIGGER: Schema = {'condition': _CONDITION, 'text': TEXT}
_STATE: Schema = {
    'state': object_of(
        {
            'armed': FLAG,
            'truth': {'type': ['boolean', 'null']},
            'fired': COUNT,
            'dropped': COUNT,
            'damped': COUNT,
        },
        {
            'armed_since': TIME,
            'parts': ANY_OBJECT,
            'next': TIME,
            'last_fired': object_of(
                {'firing': COUNT, 'at': TIME}, {'execution': TEXT, 'dropped': TEXT}
            ),
            'why_not': TEXT,
        },
    )
}
"""How a trigger stands, as `LiveTrigger.shown` tells it."""
_SUMMARY: Schema = {
    'name': TEXT,
    'href': href_to(_INSTANCE_PATH),
    'managed': FLAG,
    'enabled': FLAG,
    'version': TEXT,
    'description': TEXT,
    'priority': COUNT,
}
_OPEN: Schema = {
    'execution': object_of(
        {
            'id': TEXT,
            'href': href_to(f'{_SCRIPT_PATH}/executions/exec_01KXJ5M8Q2N4T6V8W0Y2Z4B6D8'),
        }
    )
}

INSTANCE_BODY = instance_schema(_CONDITION, _PRECONDITIONS, named=True)
"""Of what makes an instance."""
REPLACING_BODY = instance_schema(_CONDITION, _PRECONDITIONS, named=False)
"""Of what replaces one: the path has the name."""

INSTANCE_SCHEMAS: dict[str, Schema] = {
    'Condition': condition_schema(_CONDITION),
    'InstanceReference': object_of(_SUMMARY, _OPEN),
    'InstanceList': list_of('InstanceReference'),
    'Instance': object_of(
        _SUMMARY
        | {
            'entity': TEXT,
            'script_id': TEXT,
            'parameters': ANY_OBJECT,
            'arguments': TEXTS,
            'start_triggers': array_of(
                object_of(
                    _TRIGGER
                    | {
                        'min_interval_sec': AMOUNT,
                        'while_down': choice_of(WhileDown),
                        'on_limit': choice_of(OnLimit),
                    },
                    _STATE,
                )
            ),
            'stop_triggers': array_of(object_of(_TRIGGER, _STATE)),
            'preconditions': _PRECONDITIONS,
            'executions': href_to('/apps/temp_sensor/executions?instance=check:when_hot'),
        },
        _OPEN
        | {
            'timeout_sec': AMOUNT,
            'evidence': dict(EVIDENCE_SCHEMA),
            'confirmation': TEXT,
            'created_at': TIME,
            'created_by': TEXT,
            'changed_at': TIME,
            'fault': TEXT,
        },
    ),
}
