# SPDX-License-Identifier: Apache-2.0
"""What a script has the gateway execute: children of its own execution.

The client is imported where it is used: most scripts start nothing.
"""

from collections.abc import Mapping
import os
from typing import Any, TYPE_CHECKING, Unpack

from gateway_node.child.contract import ENTITY_VARIABLE, EXECUTION_ID_VARIABLE, URL_VARIABLE

if TYPE_CHECKING:
    from gateway_node.client import Execution, Gateway, StartOptions


def start(
    script: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    entity: str | None = None,
    **options: 'Unpack[StartOptions]',
) -> 'Execution':
    """Start a script by its id; return the execution as it was accepted.

    It is one of this script's own entity, or of another `entity` (`apps/temp_sensor`); what else
    a start takes is in `gateway_node.client.StartOptions`. It is a child of this execution, and
    is stopped with it. What is not waited for goes on when this script has ended.

    Raises:
        RuntimeError: nothing says where the gateway is, or of which entity the script is.
        gateway_node.client.GatewayError: the gateway refuses, or cannot be reached.
    """
    # By hand it is nobody's child.
    options.setdefault('parent', os.environ.get(EXECUTION_ID_VARIABLE))
    entity = entity or _variable(ENTITY_VARIABLE, 'start', 'apps/temp_sensor')
    with _gateway('start') as gateway:
        return gateway.start(entity, script, parameters, **options)


def wait(execution: 'Execution | str', timeout_sec: float | None = None) -> 'Execution':
    """Wait until an execution has ended; return it, with its output and what came of it.

    Raises:
        RuntimeError: nothing says where the gateway is.
        gateway_node.client.StillOpen: it has not ended within `timeout_sec`; it goes on.
        gateway_node.client.GatewayError: the gateway refuses, or cannot be reached.
    """
    with _gateway('wait') as gateway:
        return gateway.wait(execution, timeout_sec)


def _gateway(caller: str) -> 'Gateway':
    from gateway_node.client import Gateway

    return Gateway(_variable(URL_VARIABLE, caller, 'http://127.0.0.1:8080'))


def _variable(name: str, caller: str, example: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise RuntimeError(
            f'{caller}() needs {name}, which the gateway sets for scripts that it executes; '
            f'by hand: {name}={example} python3 …'
        )
    return value
