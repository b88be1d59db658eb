# SPDX-License-Identifier: Apache-2.0
"""How an instance is kept, and what the log tells of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
import datetime
import math
from typing import Any

from gateway_node.clock import rfc3339
from gateway_node.executions.document_reading import rights_from
from gateway_node.executions.documents import present, rights_document
from gateway_node.executions.instance_refs import InstanceRef, KeptInstance, TriggerRef
from gateway_node.scripts.instances import InstanceTrigger, parse_instance
from gateway_node.triggers.values import Instance, Side, trigger_ref


@dataclass(frozen=True, kw_only=True)
class Switch:
    """What is kept of a managed instance: whether somebody turned its triggers on, or off."""

    ref: InstanceRef
    enabled: bool


def told_of(instance: Instance) -> dict[str, Any]:
    """Return what the log tells of an instance, in JSON values."""
    return {
        **instance.definition.document(),
        'enabled': instance.enabled,
        'version': instance.version,
    }


def kept_form(instance: Instance, before: Instance | None = None) -> KeptInstance:
    """Return an instance as it is to be kept, `before` as it was."""
    if instance.managed:
        document: dict[str, Any] = {'managed': True, 'enabled': instance.enabled}
    else:
        document = present(
            {
                'definition': instance.definition.document(),
                'enabled': instance.enabled,
                'rights': instance.rights and rights_document(instance.rights),
                'confirmation': instance.confirmation,
                'created_at': instance.created_at and rfc3339(instance.created_at),
                'created_by': instance.created_by,
                'changed_at': instance.changed_at and rfc3339(instance.changed_at),
            }
        )
    return KeptInstance(ref=instance.ref, document=document, stays=_staying(before, instance))


def _staying(before: Instance | None, after: Instance) -> frozenset[str]:
    """Return the conditions of the triggers that are what they were."""
    known = {} if before is None else _triggers_of(before)
    return frozenset(
        ref.condition for ref, each in _triggers_of(after).items() if known.get(ref) == each
    )


def _triggers_of(instance: Instance) -> dict[TriggerRef, tuple[Side, InstanceTrigger]]:
    return {
        trigger_ref(instance.ref, trigger): (side, trigger)
        for side, _, trigger in instance.triggers
    }


def kept_instance(kept: KeptInstance) -> Instance | Switch:
    """Return what `kept_form` was given.

    What was taken once is taken however often the robot is looked at now. Raises what a record
    raises that is damaged, or that another version of the gateway wrote: InstanceRefused,
    LookupError, TypeError, ValueError.
    """
    document: Mapping[str, Any] = kept.document or {}
    if document.get('managed'):
        return Switch(ref=kept.ref, enabled=document['enabled'])
    return Instance(
        ref=kept.ref,
        definition=parse_instance(document['definition'], max_rate_hz=math.inf),
        enabled=document['enabled'],
        rights=rights_from(document.get('rights')),
        confirmation=document.get('confirmation'),
        created_at=_moment(document.get('created_at')),
        created_by=document.get('created_by'),
        changed_at=_moment(document.get('changed_at')),
    )


def _moment(text: str | None) -> datetime.datetime | None:
    return None if text is None else datetime.datetime.fromisoformat(text)
