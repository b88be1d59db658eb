"""The environment that scripts find: the gateway's, with the set-up files sourced on top.

Sourcing takes 70 ms and more, so it is done once, in a bash under a supervisor of its own, and
captured; it is done anew when a set-up file changes, or when it is asked for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
import importlib.util
import json
import logging
import os
from pathlib import Path
import signal
import sys

from gateway_node.child.messages import SupervisorOrder
from gateway_node.executions.errors import RunnerUnavailable, SpawnFailed
from gateway_node.executions.ports import EndCause, Outcome
from gateway_node.process.command_line import Interpreters
from gateway_node.process.environment import SHELLS_OWN
from gateway_node.process.limits import NO_LIMITS

_log = logging.getLogger(__name__)

_SOURCE_TIMEOUT_SEC = 30.0
_SOURCE_GRACE_SEC = 1.0
_STDERR_TAIL = 2000
_PROBED_MODULES = ('launch', 'rclpy')

# Only the files' names are positional while a file is sourced: some look at "$@".
_PROGRAM = r"""
capture=$1 probe=$2 ask=$3
shift 3
__gateway_files=("$@")
set --
for __gateway_file in "${__gateway_files[@]}"; do
  . "$__gateway_file" || {
    __gateway_status=$?
    echo "$__gateway_file returned $__gateway_status" >&2
    exit "$__gateway_status"
  }
done
python3 -c "$ask" > "$probe" || rm -f "$probe"
exec /usr/bin/env -0 > "$capture"
"""
_ASK = (
    'import importlib.util, json, sys\n'
    f'specs = [importlib.util.find_spec(name) for name in {_PROBED_MODULES!r}]\n'
    'found = [spec.name for spec in specs if spec and spec.origin]\n'
    'print(json.dumps([sys.executable, found]))\n'
)


@dataclass(frozen=True, kw_only=True)
class ScriptWorld:
    """What was found when the set-up files were sourced."""

    variables: Mapping[str, str]
    interpreters: Interpreters
    modules: frozenset[str]
    """Of those that matter to the gateway, the ones that the environment's Python finds."""


Capture = Callable[[SupervisorOrder], Awaitable[tuple[Outcome, str]]]
"""Makes the order's directory, runs the order, returns its outcome and its stderr."""


class SourcedEnvironment:
    """Takes the environment and keeps it."""

    def __init__(
        self, base: Mapping[str, str], setup_files: Sequence[Path], folder: Path, capture: Capture
    ) -> None:
        self._base = dict(base)
        self._setup_files = tuple(setup_files)
        self._folder = folder
        self._capture = capture
        self._lock = asyncio.Lock()
        self._stamp: object = None
        self._world: ScriptWorld | None = None
        self._complaint = ''

    @property
    def warning(self) -> str | None:
        """What is wrong with the set-up files; None where they were sourced."""
        return self._complaint or None

    async def world(self) -> ScriptWorld:
        """Return the environment, taken anew where a set-up file has changed.

        Raises:
            SpawnFailed: the set-up files cannot be sourced; with their stderr.
        """
        if self._stamp != self._current_stamp():
            async with self._lock:
                if self._stamp != self._current_stamp():
                    await self._take()
        if self._world is None:
            raise SpawnFailed(self._complaint)
        return self._world

    async def refresh(self) -> None:
        """Take the environment anew."""
        async with self._lock:
            await self._take()

    def _current_stamp(self) -> tuple[object, ...]:
        return tuple(map(_stamp_of, self._setup_files))

    async def _take(self) -> None:
        stamp = self._current_stamp()
        try:
            self._world = await self._source() if self._setup_files else self._unsourced()
            self._complaint = ''
        except SpawnFailed as error:
            self._world, self._complaint = None, str(error)
            _log.warning('scripts cannot start: %s', error)
        self._stamp = stamp

    def _unsourced(self) -> ScriptWorld:
        # A mere folder of that name has a spec too, but no origin.
        specs = map(importlib.util.find_spec, _PROBED_MODULES)
        return ScriptWorld(
            variables=self._base,
            interpreters=Interpreters(python=sys.executable),
            modules=frozenset(spec.name for spec in specs if spec and spec.origin),
        )

    async def _source(self) -> ScriptWorld:
        capture, probe = self._folder / 'environment', self._folder / 'probe'
        try:
            outcome, stderr = await self._capture(self._order(capture, probe))
            self._check(outcome, stderr)
            return _world_of(parse_capture(capture.read_bytes()), probe)
        except (OSError, RunnerUnavailable) as error:
            raise SpawnFailed(f'{self._names()} cannot be sourced: {error}') from error
        finally:
            for path in (capture, probe):
                path.unlink(missing_ok=True)

    def _check(self, outcome: Outcome, stderr: str) -> None:
        if outcome.cause is EndCause.TIMED_OUT:
            raise SpawnFailed(
                f'sourcing {self._names()} took longer than {_SOURCE_TIMEOUT_SEC:g} s'
            )
        if outcome.exit_code != 0:
            tail = stderr.strip()[-_STDERR_TAIL:]
            raise SpawnFailed(f'sourcing {self._names()} failed: {tail or outcome.message}')

    def _order(self, capture: Path, probe: Path) -> SupervisorOrder:
        words = [str(capture), str(probe), _ASK, *map(str, self._setup_files)]
        return SupervisorOrder(
            execution_id='sourcing',
            directory=str(self._folder / 'sourcing'),
            argv=['/bin/bash', '--noprofile', '--norc', '-c', _PROGRAM, 'bash', *words],
            environment=self._base,
            stdin='',
            timeout_sec=_SOURCE_TIMEOUT_SEC,
            grace_sec=_SOURCE_GRACE_SEC,
            stop_signal=signal.SIGTERM,
            limits=NO_LIMITS,
            keep_working_directory=False,
        )

    def _names(self) -> str:
        return ', '.join(map(str, self._setup_files))


def parse_capture(content: bytes) -> dict[str, str]:
    """Return the variables of an `env -0`, without what is the shell's own."""
    pairs = (os.fsdecode(line).partition('=') for line in content.split(b'\0') if line)
    return {name: value for name, equals, value in pairs if equals and name not in SHELLS_OWN}


def _world_of(variables: Mapping[str, str], probe: Path) -> ScriptWorld:
    try:
        python, modules = json.loads(probe.read_bytes())
    except (OSError, ValueError):
        # No Python on the sourced PATH: the gateway's own will do.
        python, modules = sys.executable, []
    return ScriptWorld(
        variables=variables, interpreters=Interpreters(python=python), modules=frozenset(modules)
    )


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
