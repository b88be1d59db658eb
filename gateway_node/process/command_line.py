# SPDX-License-Identifier: Apache-2.0
"""From a script's kind, and its first line, to its command line."""

from collections.abc import Sequence
from dataclasses import dataclass
import sys

from gateway_node.child.contract import EXECUTE, LAUNCH_PROGRAM, SAFE_PATH
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.scripts.arguments import declared_arguments
from gateway_node.scripts.values import Interpreter, Script, ScriptKind


@dataclass(frozen=True, kw_only=True)
class Interpreters:
    """Absolute paths of what runs scripts, resolved once for an environment."""

    python: str
    python_version: str
    """Major and minor: `3.12`."""
    sh: str = '/bin/sh'
    bash: str = '/bin/bash'


GATEWAYS_OWN = Interpreters(
    python=sys.executable, python_version=f'{sys.version_info.major}.{sys.version_info.minor}'
)
"""Where no set-up files choose others."""


def command_line(order: StartOrder, runs_by: Sequence[str]) -> list[str]:
    """Return what is executed for the order; `runs_by` stands in front of the script.

    Arguments that the script's definitions make of the parameters come before the request's. The
    script's path is absolute, so that no interpreter takes it for an option.

    Raises:
        ParametersInvalid: a parameter cannot be an argument.
    """
    declared = declared_arguments(order.script, order.parameters)
    return [*runs_by, str(order.script.runs_from), *declared, *order.arguments]


def wanted_interpreter(script: Script, interpreters: Interpreters) -> Interpreter | None:
    """Return what is to run a script, its first line asked first; None where it runs itself.

    A program without a slash is still to be found on the search path.
    """
    match script.kind:
        case ScriptKind.PYTHON:
            return _python(script, interpreters)
        case ScriptKind.SH:
            return script.interpreter or Interpreter(program=interpreters.sh)
        case ScriptKind.BASH:
            return script.interpreter or Interpreter(program=interpreters.bash)
        case ScriptKind.EXECUTABLE:
            return None
        case ScriptKind.LAUNCH:
            program, *options = launch_program(interpreters)
            return Interpreter(program=program, options=(*options, EXECUTE))


def _python(script: Script, interpreters: Interpreters) -> Interpreter:
    """Return the Python and its options.

    The folder of an uploaded file is the library's own: `-P` keeps Python from importing from
    there. Where the upload is of several files, they are each other's.
    """
    has_neighbours = script.managed or script.entry is not None
    asked = script.interpreter or Interpreter(program='python3')
    environments = asked.program in ('python', 'python3', f'python{interpreters.python_version}')
    return Interpreter(
        program=interpreters.python if environments else asked.program,
        options=asked.options if has_neighbours else (SAFE_PATH, *asked.options),
    )


def launch_program(interpreters: Interpreters) -> list[str]:
    """Return the program that runs launch fragments, or tells what they declare."""
    return [interpreters.python, SAFE_PATH, '-m', LAUNCH_PROGRAM]
