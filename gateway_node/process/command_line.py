"""From a script's kind to its command line."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway_node.executions.ports import StartOrder
from gateway_node.scripts.arguments import declared_arguments
from gateway_node.scripts.values import ScriptKind


@dataclass(frozen=True, kw_only=True)
class Interpreters:
    """Absolute paths of what runs scripts, resolved once for an environment."""

    python: str
    sh: str = '/bin/sh'
    bash: str = '/bin/bash'


def command_line(order: StartOrder, interpreters: Interpreters, script: str) -> list[str]:
    """Return what is executed for the order; `script` is the path of the file to run.

    Arguments that the script's definitions make of the parameters come before the request's.

    Raises:
        ParametersInvalid: a parameter cannot be an argument.
    """
    arguments = [*declared_arguments(order.script, order.parameters), *order.arguments]
    match order.script.kind:
        case ScriptKind.PYTHON:
            return [*python_command(order, interpreters), script, *arguments]
        case ScriptKind.SH:
            return [interpreters.sh, script, *arguments]
        case ScriptKind.BASH:
            return [interpreters.bash, script, *arguments]
        case ScriptKind.EXECUTABLE:
            return [script, *arguments]
        case ScriptKind.LAUNCH:
            return [*launch_program(interpreters), 'execute', script, *arguments]


def python_command(order: StartOrder, interpreters: Interpreters) -> Sequence[str]:
    """Return the interpreter and its options.

    An uploaded script's folder is the library's own: `-P` keeps Python from importing from there.
    """
    return [interpreters.python] if order.script.managed else [interpreters.python, '-P']


def launch_program(interpreters: Interpreters) -> list[str]:
    """Return the program that runs launch fragments, or tells what they declare."""
    return [interpreters.python, '-P', '-m', 'gateway_node.child.launch_sequence']
