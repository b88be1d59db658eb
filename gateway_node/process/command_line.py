"""From a script's kind to its command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import shutil
import sys

from gateway_node.executions.ports import StartOrder
from gateway_node.scripts.arguments import declared_arguments
from gateway_node.scripts.values import ScriptKind


@dataclass(frozen=True, kw_only=True)
class Interpreters:
    """Absolute paths of what runs scripts, resolved once for an environment."""

    python: str
    sh: str = '/bin/sh'
    bash: str = '/bin/bash'


def resolve_interpreters(environment: Mapping[str, str], *, changed_path: bool) -> Interpreters:
    """Find the interpreters of an environment.

    Python is the gateway's own unless a set-up file changed PATH: a bare `python3` can be a slow
    shim, and the gateway's own has rclpy.
    """
    path = environment.get('PATH')
    python = shutil.which('python3', path=path) if changed_path else None
    return Interpreters(
        python=python or sys.executable,
        bash=shutil.which('bash', path=path) or '/bin/bash',
    )


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
            raise NotImplementedError


def python_command(order: StartOrder, interpreters: Interpreters) -> Sequence[str]:
    """Return the interpreter and its options.

    An uploaded script's folder is the library's own: `-P` keeps Python from importing from there.
    """
    return [interpreters.python] if order.script.managed else [interpreters.python, '-P']
