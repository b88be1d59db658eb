# SPDX-License-Identifier: Apache-2.0
"""Errors that stop the gateway's start."""

from collections.abc import Sequence
import difflib
import errno
import os
from pathlib import Path
import re


class ConfigurationInvalid(Exception):
    """The gateway cannot start with what it was given; the message is one line."""


class ParameterInvalid(ConfigurationInvalid):
    """A parameter has a value that is not allowed."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f'parameter {name} is {_shown(value)}; allowed: {allowed}')
        self.name = name
        self.value = value
        self.allowed = allowed


class ParameterUnknown(ConfigurationInvalid):
    """A parameter was given that the gateway does not have."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        similar = difflib.get_close_matches(name, known, n=1)
        hint = f'did you mean {similar[0]}?' if similar else f'known: {", ".join(known)}'
        super().__init__(f'parameter {_shown(name)} does not exist; {hint}')
        self.name = name


class ParameterFileInvalid(ConfigurationInvalid):
    """A parameter file that cannot be used; `reason` continues a sentence about it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f'parameter file {_shown(str(path))} {reason}')
        self.path = path
        self.reason = reason


class ArgumentUnknown(ConfigurationInvalid):
    """An argument that is none of ROS's."""

    def __init__(self, argument: str) -> None:
        super().__init__(
            f'argument {_shown(argument)} is not known; parameters are given as '
            '--ros-args -p server.port:=8080, see docs/configuration.md'
        )
        self.argument = argument


class RosRefused(ConfigurationInvalid):
    """ROS refuses an argument, the environment's domain, or a name, and would again."""

    def __init__(self, reason: str) -> None:
        super().__init__(_told_by_ros(reason))


class RosUnavailable(Exception):
    """ROS does not start, and may the next time: the disk is full, or DDS fails."""

    def __init__(self, reason: str) -> None:
        told = _told_by_ros(reason)
        if 'logging' in told or 'opening file' in told:
            told += (
                '; set HOME, or ROS_LOG_DIR and the parameter state_dir, to directories that can '
                'be written'
            )
        elif os.strerror(errno.EAGAIN) in told:
            told += '; the user or the service has too many processes: ulimit -u, or TasksMax='
        super().__init__(told)


def start_error(reason: str) -> RosRefused | RosUnavailable:
    """Return the error that a reason of rcl's stands for: it has a message alone."""
    return RosRefused(reason) if _OF_WHAT_IS_GIVEN.search(reason) else RosUnavailable(reason)


_OF_WHAT_IS_GIVEN = re.compile(
    "unknown arguments|Couldn't parse|[Ee]nclave name|invalid node name|"
    'ROS_DOMAIN_ID is not|external configuration'
)
"""In messages of rcl, of the middleware, and of the logging backend (`--log-config-file`)."""


def _told_by_ros(reason: str) -> str:
    # rcl appends the places in its own sources, which tell a user nothing.
    told = re.sub(r', at /\S+:\d+', '', ' '.join(reason.split()))
    return f'ROS does not start: {told}'


def _shown(value: object) -> str:
    """Return `value` for a message: on one line, and not endless."""
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 200 else f'{text[:200]}…'
