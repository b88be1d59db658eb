# SPDX-License-Identifier: Apache-2.0
"""Which scripts may begin in an interpreter that has their modules loaded."""

from collections.abc import Sequence
import re

from gateway_node.child.contract import SAFE_PATH
from gateway_node.process.sourcing import ScriptWorld
from gateway_node.scripts.values import Script, ScriptKind

_ACTS_AT_THE_START = re.compile(
    r'PYTHON.*|LD_.*|GLIBC_TUNABLES|MALLOC_.*|LC_.*|LANG|LANGUAGE|TZ|HOME'
    r'|RMW_.*|AMENT_.*|ROS_PYTHON_CHECK_FIELDS|LTTNG_.*|TRACETOOLS_.*'
    r'|(?:OMP|OPENBLAS|MKL|BLIS|NPY|NUMPY|OPENSSL)_.*'
)
"""Variables that the interpreter, the linker, or modules and libraries read as they are loaded."""


def may_be_warm(script: Script, argv: Sequence[str], world: ScriptWorld) -> bool:
    """Tell whether a script asks for nothing that an interpreter takes only at its start."""
    if script.kind is not ScriptKind.PYTHON or not script.warm:
        return False
    program, *options = argv[: argv.index(str(script.runs_from))]
    if program != world.interpreters.python or options not in ([], [SAFE_PATH]):
        return False
    return not any(
        _ACTS_AT_THE_START.fullmatch(name) and world.variables.get(name) != value
        for name, value in script.environment.items()
    )
