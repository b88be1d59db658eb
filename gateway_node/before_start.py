# SPDX-License-Identifier: Apache-2.0
"""What the entry point checks and answers before anything is imported; standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import importlib.metadata
import itertools
import os
import re
import sys

from gateway_node import __version__

LEAST_PYTHON = (3, 11)
LEAST_VERSIONS = {
    'aiohttp': '3.9.1',
    'cryptography': '41.0.7',
    'jsonschema': '4.10.3',
    'PyJWT': '2.7.0',
    'PyYAML': '6.0.1',
}
"""By distribution, as in setup.py: what Ubuntu 24.04 ships."""
MISCONFIGURED = os.EX_CONFIG
"""The exit status where another start would be refused as well, until somebody changes something.

Whoever starts the gateway again and again can stop at this one (man 3 sysexits).
"""
_HELP = """\
usage: gateway_node [--help | --version] [--ros-args ARGUMENT...]

Serves the diagnostic script gateway until SIGINT or SIGTERM.

  --help      show this
  --version   show the version
  --ros-args  what follows is for ROS:
      -p NAME:=VALUE      set a parameter, such as server.port:=18080
      --params-file FILE  set the parameters that a YAML file has for /gateway_node or /**
      -r __node:=NAME     use another name; -r __ns:=/NAMESPACE another namespace
      --log-level LEVEL   debug, info, warn, error or fatal

The parameters are described in docs/configuration.md, which is installed in share/gateway_node.
"""


class StartRefused(Exception):
    """Ends the process with one line and the status MISCONFIGURED."""


def answer_to(arguments: Sequence[str]) -> str | None:
    """Return what a command line asks for without starting the gateway; None where it starts.

    What stands between `--ros-args` and `--` is ROS's to take, but for the first of it, which
    `ros2 run … --ros-args --help` means for the gateway.
    """
    answers = {'--help': _HELP, '-h': _HELP, '--version': f'gateway_node {__version__}\n'}
    of_ros = False
    for before, argument in itertools.pairwise(['', *arguments]):
        if argument in answers and (not of_ros or before == '--ros-args'):
            return answers[argument]
        if argument in ('--ros-args', '--'):
            of_ros = argument == '--ros-args'
    return None


def too_old(
    python: tuple[int, int] = sys.version_info[:2],
    least_versions: Mapping[str, str] = LEAST_VERSIONS,
) -> Iterator[str]:
    """Yield a sentence for what is older than the gateway needs.

    What is missing, or does not tell its version, comes up when it is imported.
    """
    if python < LEAST_PYTHON:
        yield f'Python {_dotted(python)} is too old; at least {_dotted(LEAST_PYTHON)} is needed'
    for name, least in least_versions.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        # None for a folder without METADATA, which an interrupted installation can leave.
        if found is not None and _numbers(found) < _numbers(least):
            yield f'{name} {found} is too old; at least {least} is needed'


def _numbers(version: str) -> tuple[int, ...]:
    """Return the release of a version (PEP 440), as numbers."""
    release = re.match(r'[0-9.]*', version)
    return tuple(int(number) for number in (release[0] if release else '').split('.') if number)


def _dotted(numbers: tuple[int, ...]) -> str:
    return '.'.join(map(str, numbers))
