# SPDX-License-Identifier: Apache-2.0
"""What must hold for an instance that the scripts manifest declares."""

from gateway_node.manifest_files import ManifestInvalid
from gateway_node.scripts.errors import ParametersInvalid
from gateway_node.scripts.instances import InstanceDefinition
from gateway_node.scripts.ports import SchemaChecker
from gateway_node.scripts.values import Script, ScriptKind


async def check_managed_instance(
    script: Script, instance: InstanceDefinition, schemas: SchemaChecker
) -> None:
    """Return where a script takes an instance as it is declared; ManifestInvalid,
    SchemaCheckUnavailable."""
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
