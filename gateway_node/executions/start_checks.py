# SPDX-License-Identifier: Apache-2.0
"""What must hold for a start, whoever wants it; each check raises where it does not."""

from dataclasses import replace

from gateway_node.executions.ports import FreeSpace
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.scripts.errors import ParametersInvalid
from gateway_node.scripts.ports import SchemaChecker
from gateway_node.scripts.values import ScriptKind
from gateway_node.strict_json import shown


class StartChecks:
    """Checks orders; limits are the line's, and what only the runner knows is asked later."""

    def __init__(self, schemas: SchemaChecker, free_space: FreeSpace) -> None:
        self._schemas = schemas
        self._free_space = free_space

    async def check(self, order: StartOrder) -> StartOrder:
        """Return the order where it may be carried out, with what of its parameters is secret.

        Raises:
            DiskSpaceLow, SchemaCheckUnavailable: as their names say.
            ParametersInvalid: the script does not take the parameters, or the arguments. Of an
                order that has secrets already it is not told why: the schema may be another by
                now, which does not mark them, and reasons quote values.
        """
        script = order.script
        await self._free_space.check()
        if script.kind is ScriptKind.LAUNCH and order.arguments:
            raise ParametersInvalid(
                f"'arguments' begins with {shown(order.arguments[0])}; a launch fragment takes "
                "none, its launch arguments are given as 'parameters'"
            )
        if script.parameters_schema is None:
            return order
        try:
            found = await self._schemas.check_parameters(
                script.parameters_schema, order.parameters
            )
        except ParametersInvalid as error:
            if not order.secrets:
                raise
            raise _without_values(error) from None
        return replace(order, secrets=tuple(dict.fromkeys([*order.secrets, *found])))


def _without_values(error: ParametersInvalid) -> ParametersInvalid:
    reason = 'does not fit the parameters_schema; why is not told, for secrets are among them'
    return ParametersInvalid(
        f'what is given {reason}',
        tuple(replace(each, reason=reason) for each in error.violations),
    )
