# SPDX-License-Identifier: Apache-2.0
"""The environment variables that a script finds, and the folder from which it imports."""

from collections.abc import Mapping
import json
import os
from pathlib import Path
import re
from typing import Any, NamedTuple

from gateway_node.child.contract import (
    ARTIFACTS_DIRECTORY,
    ARTIFACTS_VARIABLE,
    CREDENTIALS_VARIABLE,
    ENTITY_VARIABLE,
    EXECUTION_ID_VARIABLE,
    GIVEN_RESULT_FILE,
    NODE_VARIABLE,
    PROGRESS_FIFO,
    PROGRESS_VARIABLE,
    RESULT_VARIABLE,
    SCRIPT_ID_VARIABLE,
    URL_VARIABLE,
    WORKING_DIRECTORY,
)
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.masking import looks_secret, names_in

LOG_DIRECTORY = '.ros_log'
"""In the working directory, with which it goes: what ROS logs of a script."""
MAX_EXPORTED_BYTES = 32 * 1024
"""Longest value of a `PARAM_*` variable."""
SHELLS_OWN = frozenset({'_', 'SHLVL', 'PWD', 'OLDPWD'})
"""What a shell says of itself and where it is; true of nobody that it hands them on to."""

_GATEWAYS_OWN = re.compile(
    r'GATEWAY_.*|NOTIFY_SOCKET|LISTEN_(?:FDS|PID|FDNAMES)|WATCHDOG_(?:USEC|PID)|INVOCATION_ID'
    r'|ROS_LOG_DIR|JOURNAL_STREAM|SYSTEMD_EXEC_PID|MANAGERPID|MEMORY_PRESSURE_(?:WATCH|WRITE)'
)


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what is the gateway's own.

    That are its secrets, and what its service and its shell told it.
    """
    return {
        name: value
        for name, value in environment.items()
        if name not in SHELLS_OWN
        and not looks_secret(name, value)
        and not _GATEWAYS_OWN.fullmatch(name)
    }


class ProgramEnvironment(NamedTuple):
    """All variables of a program, as a supervisor is told them: see `SupervisorOrder`."""

    base: dict[str, str]
    own: dict[str, str]
    of_folder: dict[str, str]


def format_scalar(value: Any) -> str | None:
    """Return a JSON scalar as a script reads it; None for null, arrays and objects."""
    match value:
        case bool():
            return 'true' if value else 'false'
        case int() | float():
            return json.dumps(value)
        case str():
            return value
        case _:
            return None


def parameter_variables(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the `PARAM_<NAME>` variables of the parameters that can be exported.

    ASCII letters become upper case, what is neither letter nor digit of ASCII becomes `_`.
    Not exported are null, arrays, objects, values with NUL or lone surrogates or of more than
    MAX_EXPORTED_BYTES, and parameters whose names become the same variable.
    """
    by_variable: dict[str, list[Any]] = {}
    for name, value in parameters.items():
        variable = 'PARAM_' + re.sub(r'[^A-Za-z0-9_]', '_', name).upper()
        by_variable.setdefault(variable, []).append(value)
    return {
        variable: text
        for variable, values in by_variable.items()
        if len(values) == 1 and (text := _exportable(values[0])) is not None
    }


def _exportable(value: Any) -> str | None:
    text = format_scalar(value)
    if text is None or '\0' in text:
        return None
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return None
    return text if size <= MAX_EXPORTED_BYTES else None


def script_environment(
    base: Mapping[str, str],
    order: StartOrder,
    python_folder: Path,
    *,
    gateway_url: str | None = None,
    credentials: Path | None = None,
) -> ProgramEnvironment:
    """Return all variables for the order's script.

    `base` is the sourced environment, `python_folder` one in which Python finds
    `gateway_node.script`, `gateway_url` the API's base where one is served, `credentials` the
    file of what the script shows there. Parameters that are, or hold, secrets are not exported.
    """
    script = order.script
    secret = names_in(order.secrets, order.parameters)
    exported = {name: each for name, each in order.parameters.items() if name not in secret}
    own = {
        **script.environment,
        **parameter_variables(exported),
        EXECUTION_ID_VARIABLE: order.execution_id,
        ENTITY_VARIABLE: order.entity.path,
        SCRIPT_ID_VARIABLE: script.id,
    }
    if order.node is not None:
        own[NODE_VARIABLE] = order.node.fully_qualified_name
    if gateway_url is not None:
        own[URL_VARIABLE] = gateway_url
    if credentials is not None:
        own[CREDENTIALS_VARIABLE] = str(credentials)
    environment = internal_environment(base, own, python_folder)
    environment.of_folder[PROGRESS_VARIABLE] = PROGRESS_FIFO
    environment.of_folder[ARTIFACTS_VARIABLE] = ARTIFACTS_DIRECTORY
    return environment


def internal_environment(
    base: Mapping[str, str], own: Mapping[str, str], python_folder: Path
) -> ProgramEnvironment:
    """Return the variables for a program that gives a result: those of the base, and its `own`.

    Python writes at once what it prints, so that output can be followed and survives a kill. ROS
    logs to a directory that goes with the working directory, unless somebody says where.
    """
    folders = (own.get('PYTHONPATH', base.get('PYTHONPATH')), str(python_folder))
    environment = ProgramEnvironment(
        base=dict(base),
        own={
            **own,
            'PYTHONPATH': os.pathsep.join(folder for folder in folders if folder),
            'PYTHONUNBUFFERED': '1',
        },
        of_folder={'PWD': WORKING_DIRECTORY, RESULT_VARIABLE: GIVEN_RESULT_FILE},
    )
    if 'ROS_LOG_DIR' not in base and 'ROS_LOG_DIR' not in own:
        logs = f'{WORKING_DIRECTORY}/{LOG_DIRECTORY}'
        environment.of_folder['ROS_LOG_DIR'] = logs
    return environment


def make_python_folder(folder: Path) -> None:
    """Make a folder in which Python finds this package and nothing else.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(exist_ok=True, mode=0o700)
    package = Path(__file__).resolve().parent.parent
    link = folder / package.name
    if not link.is_symlink() or link.readlink() != package:
        link.unlink(missing_ok=True)
        link.symlink_to(package)
