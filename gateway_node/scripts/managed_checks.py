# SPDX-License-Identifier: Apache-2.0
"""What must hold for what the scripts manifest declares."""

from collections.abc import Iterable

from gateway_node.manifest_files import ManifestInvalid
from gateway_node.scripts.errors import ParametersInvalid, ScriptRefused
from gateway_node.scripts.instances import InstanceDefinition
from gateway_node.scripts.managed import ManagedScript
from gateway_node.scripts.ports import SchemaChecker
from gateway_node.scripts.values import Script, ScriptKind


async def check_managed(managed: Iterable[ManagedScript], schemas: SchemaChecker) -> None:
    """Return where scripts and their instances can be had as they are declared.

    Raises:
        ManifestInvalid: a script's parameters_schema is not acceptable, or a script takes an
            instance of it not as it is.
        SchemaCheckUnavailable: there are such schemas and nothing can check them.
    """
    for each in managed:
        script = each.script
        try:
            if script.parameters_schema is not None:
                await schemas.check_schema(script.parameters_schema)
        except ScriptRefused as error:
            raise ManifestInvalid(
                f'the scripts manifest: parameters_schema of script {script.id!r}: {error}'
            ) from error
        for instance in each.instances:
            await _check_instance(script, instance, schemas)


async def _check_instance(
    script: Script, instance: InstanceDefinition, schemas: SchemaChecker
) -> None:
    fault = await _fault(script, instance, schemas)
    if fault is not None:
        raise ManifestInvalid(
            f'the scripts manifest: instance {instance.name!r} of script {script.id!r}: {fault}'
        )


async def _fault(
    script: Script, instance: InstanceDefinition, schemas: SchemaChecker
) -> str | None:
    if script.kind is ScriptKind.LAUNCH and instance.arguments:
        return 'it has arguments; a launch fragment takes parameters alone'
    if instance.start_triggers and script.proximity_proof_required:
        return 'it has start_triggers, and its script requires a proof of proximity'
    if instance.start_triggers and script.confirmation is not None and not instance.confirmed:
        return (
            'it has start_triggers, and its script has a confirmation; set confirmed to true '
            'where that is confirmed for all that they start'
        )
    if script.parameters_schema is None:
        return None
    try:
        secrets = await schemas.check_parameters(script.parameters_schema, instance.parameters)
    except ParametersInvalid as error:
        return str(error)
    return f'the parameter {secrets[0]} is a secret, which no instance keeps' if secrets else None
