# SPDX-License-Identifier: Apache-2.0
"""What a script may be given, and the command line arguments of managed scripts that take their
parameters there."""

from collections.abc import Iterable, Mapping
import json
from typing import Any

from gateway_node.masking import names_in
from gateway_node.scripts.errors import ParametersInvalid
from gateway_node.scripts.values import Script
from gateway_node.strict_json import pointer_token
from gateway_node.violations import Violation

MAX_PARAMETERS = 1000
MAX_ARGUMENTS = 256
MAX_ARGUMENT_BYTES = 32 * 1024
"""Bytes of one argument; Linux takes 128 KiB (execve(2), MAX_ARG_STRLEN)."""


def declared_arguments(
    script: Script, parameters: Mapping[str, Any], secrets: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return the arguments that a script's argument definitions make of `parameters`.

    In the order of the definitions. A parameter that is missing, null or an empty array gives
    nothing; a string goes as it is; numbers, true, false and objects as JSON; an array gives one
    argument an item. With a flag, the flag stands in front of each value; true gives the flag
    alone and false nothing.

    Raises:
        ParametersInvalid: a string holds NUL, which no argument can (execve(2)); or one of
            `secrets`, JSON Pointers, would be an argument, which every user of the machine sees.
    """
    arguments: list[str] = []
    secret = names_in(secrets, parameters)
    for definition in script.argument_definitions:
        if definition.name in secret:
            raise _secret_argument(definition.name)
        value = parameters.get(definition.name)
        for item in value if isinstance(value, list) else [value]:
            if item is None or (item is False and definition.flag):
                continue
            if definition.flag:
                arguments.append(definition.flag)
            if not (item is True and definition.flag):
                arguments.append(_argument(definition.name, item))
    return tuple(arguments)


def _secret_argument(name: str) -> ParametersInvalid:
    reason = (
        'is or holds a secret, and the script is to get it on its command line, which every user '
        'of the machine can read; allowed: on stdin alone, without an argument definition'
    )
    path = f'/{pointer_token(name)}'
    return ParametersInvalid(
        f'the parameter {name!r} {reason}', (Violation(path=path, reason=reason),)
    )


def _argument(name: str, value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if '\0' in text:
        path = f'/{pointer_token(name)}'
        raise ParametersInvalid(
            f'the parameter {name!r} holds NUL, which no command line argument can',
            (Violation(path=path, reason='holds NUL; it becomes a command line argument'),),
        )
    return text
