# SPDX-License-Identifier: Apache-2.0
"""The site's command that shows a code to who is beside the robot: a display, a light, a voice."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import PurePath
from typing import Protocol

from gateway_node.executions.errors import RunnerUnavailable, SpawnFailed
from gateway_node.executions.proximity import ProximityUnavailable
from gateway_node.executions.runner_ports import EndCause, Outcome
from gateway_node.process.sourcing import ScriptWorld

DEADLINE_SEC = 10.0
_UNHEARD = ('/bin/sh', '-c', 'exec "$@" > /dev/null 2>&1', 'sh')
"""Stands in front of a command, which is found by PATH of the environment of scripts: what it
writes may be the code, and is not to be on the disk even for that moment. It ends with 127 where
there is no such program."""


class Tell(Protocol):
    """Runs a command with a message on its stdin; RunnerUnavailable, SpawnFailed."""

    def __call__(
        self, argv: Sequence[str], message: str, world: ScriptWorld, *, timeout_sec: float
    ) -> Awaitable[Outcome]:
        """Return how it ended, with all that it started."""


class CodeCommand:
    """Runs it, in the environment of scripts, with the code on its stdin and nowhere else."""

    def __init__(
        self, argv: Sequence[str], world: Callable[[], Awaitable[ScriptWorld]], tell: Tell
    ) -> None:
        self._argv = tuple(argv)
        self._world = world
        self._tell = tell
        self._name = f'proximity.command {PurePath(argv[0]).name!r}'

    async def show(self, message: str) -> None:
        """Run it to its end; ProximityUnavailable where that is not exit code 0, or is late.

        What it writes is for nobody: it may be the code.
        """
        try:
            world = await self._world()
            outcome = await self._tell(
                (*_UNHEARD, *self._argv), message, world, timeout_sec=DEADLINE_SEC
            )
        except (RunnerUnavailable, SpawnFailed) as error:
            raise ProximityUnavailable(self._name, f'cannot be started: {error}') from error
        if outcome.cause is EndCause.TIMED_OUT:
            raise ProximityUnavailable(self._name, f'did not end within {DEADLINE_SEC:g} s')
        if outcome.cause is not EndCause.EXITED or outcome.exit_code != 0:
            raise ProximityUnavailable(self._name, f'failed: {_how(outcome)}')


def _how(outcome: Outcome) -> str:
    if outcome.exit_code == 127:
        return 'it is not found, or ended with exit code 127'
    if outcome.exit_code is not None:
        return f'exit code {outcome.exit_code}'
    return f'signal {outcome.signal}' if outcome.signal is not None else outcome.cause.value
