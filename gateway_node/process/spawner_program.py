# SPDX-License-Identifier: Apache-2.0
"""What is executed as a spawner."""

from collections.abc import Mapping
from dataclasses import dataclass
import os
from pathlib import Path
import sys

_PROGRAM = (
    'import sys; sys.path.append(sys.argv.pop(1)); '
    'from gateway_node.child.supervision.spawner import main; main()'
)


@dataclass(frozen=True, kw_only=True)
class SpawnerProgram:
    """A program that serves as `child.supervision.spawner` does."""

    argv: tuple[str, ...]
    """With the numbers of the control socket and of the gateway's pidfd behind it."""
    environment: Mapping[str, str]


def cold_spawner() -> SpawnerProgram:
    """Return the spawner whose supervisors execute each script's program anew.

    It runs by the gateway's own Python, which finds this package and the standard library alone.
    """
    package_parent = str(Path(__file__).resolve().parent.parent.parent)
    return SpawnerProgram(
        argv=(sys.executable, '-I', '-S', '-c', _PROGRAM, package_parent),
        environment={'PATH': os.defpath, 'LC_ALL': 'C.UTF-8'},
    )
