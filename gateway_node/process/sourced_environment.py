# SPDX-License-Identifier: Apache-2.0
"""The environment that scripts find: the gateway's, with the set-up files sourced on top.

Sourcing takes 70 ms and more, so it is done once, in a bash under a supervisor of its own, and
captured; it is done anew when a set-up file changes, or when it is asked for. One that failed is
tried again by the first start after a pause, and the pauses grow. Files that do not answer, as on
a dead mount, are not sourced: what was taken before stands.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
import importlib.util
import logging
from pathlib import Path
import signal

from gateway_node.child.messages import SupervisorOrder
from gateway_node.clock import Clock, rfc3339
from gateway_node.executions.errors import RunnerUnavailable, SpawnFailed
from gateway_node.executions.runner_ports import Outcome
from gateway_node.process import sourcing
from gateway_node.process.command_line import GATEWAYS_OWN
from gateway_node.process.limits import NO_LIMITS
from gateway_node.process.sourcing import ScriptWorld
from gateway_node.threads import Look, Threads

_log = logging.getLogger(__name__)

_SOURCE_GRACE_SEC = 1.0
_FIRST_PAUSE_SEC = 1.0
_LONGEST_PAUSE_SEC = 60.0
_PATIENCE_SEC = 2.0
"""For a look at the files, whose mount may not answer."""

Capture = Callable[[SupervisorOrder], Awaitable[tuple[Outcome, str]]]
"""Makes the order's directory, runs the order, returns its outcome and its stderr."""


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """Sourcings that failed, one after the other, up to the last one."""

    since: str
    """RFC 3339, when the first of them failed."""
    reason: str
    pause_sec: float
    again_at: float
    """By the monotonic clock."""

    def __str__(self) -> str:
        return f'scripts cannot start since {self.since}: {self.reason}'


class SourcedEnvironment:
    """Takes the environment and keeps it."""

    def __init__(
        self,
        base: Mapping[str, str],
        setup_files: Sequence[Path],
        folder: Path,
        capture: Capture,
        clock: Clock,
    ) -> None:
        self._base = dict(base)
        self._setup_files = tuple(setup_files)
        self._folder = folder
        self._capture = capture
        self._clock = clock
        self._lock = asyncio.Lock()
        self._look = Look(Threads('set-up files', 1), self._file_stamps, _PATIENCE_SEC)
        self._files: tuple[object, ...] | None = None
        """As they were at the last look that was answered."""
        self._silent = False
        self._wishes = 0
        self._stamp: object = None
        """Wishes and files as they were at the last sourcing. Where that failed it is tried again
        all the same, at `_failure.again_at`."""
        self._world: ScriptWorld | None = None
        self._failure: _Failure | None = None

    @property
    def warnings(self) -> Sequence[str]:
        """What is wrong with the set-up files, in sentences."""
        if self._failure is not None:
            return (str(self._failure),)
        told = () if self._world is None else self._world.warnings
        return (self._silence, *told) if self._silent else told

    @property
    def present(self) -> ScriptWorld | None:
        """The environment as it was last taken; None where there is none at the moment."""
        return self._world

    async def world(self) -> ScriptWorld:
        """Return the environment, taken anew where a set-up file has changed.

        Raises:
            SpawnFailed: the set-up files cannot be sourced, since when, and why. At once where
                that is known already and the pause after it is not over.
        """
        await self._settle()
        if self._world is None:
            raise SpawnFailed(str(self._failure))
        return self._world

    async def refresh(self) -> None:
        """Take the environment anew; wishes that come while it is being taken are one."""
        self._wishes += 1
        await self._settle()

    async def _settle(self) -> None:
        await self._look_at_files()
        if self._is_due():
            async with self._lock:
                await self._look_at_files()
                if self._is_due():
                    await self._take()

    async def _look_at_files(self) -> None:
        if not self._setup_files:
            return
        try:
            self._files = await self._look.answer()
        except TimeoutError:
            if not self._silent:
                _log.warning('%s', self._silence)
            self._silent = True
        else:
            if self._silent:
                _log.info('the set-up files answer again')
            self._silent = False

    @property
    def _silence(self) -> str:
        names = ', '.join(map(str, self._setup_files))
        return f'set-up files do not answer, whether they have changed is unknown: {names}'

    def _is_due(self) -> bool:
        if self._silent and self._world is not None:
            return False
        if self._stamp != self._current_stamp():
            return True
        return self._failure is not None and self._clock.monotonic() >= self._failure.again_at

    def _current_stamp(self) -> tuple[object, ...]:
        return self._wishes, self._files

    def _file_stamps(self) -> tuple[object, ...]:
        return tuple(map(_stamp_of, self._setup_files))

    async def _take(self) -> None:
        stamp = self._current_stamp()
        try:
            world = await self._source() if self._setup_files else self._unsourced()
        except SpawnFailed as error:
            self._note_failure(str(error), is_news=stamp != self._stamp)
        else:
            if self._failure is not None:
                _log.info('scripts can start again: the set-up files were sourced')
            for warning in world.warnings:
                _log.warning('%s', warning)
            self._world, self._failure = world, None
        self._stamp = stamp

    def _note_failure(self, reason: str, *, is_news: bool) -> None:
        """Let no script start: the environment that was taken before is not the files' one."""
        last = self._failure
        pause_sec = _FIRST_PAUSE_SEC
        if last is not None and not is_news:
            pause_sec = min(2 * last.pause_sec, _LONGEST_PAUSE_SEC)
        self._world = None
        self._failure = _Failure(
            since=rfc3339(self._clock.now()) if last is None else last.since,
            reason=reason,
            pause_sec=pause_sec,
            again_at=self._clock.monotonic() + pause_sec,
        )
        if last is None or last.reason != reason:
            _log.warning('%s', self._failure)

    def _unsourced(self) -> ScriptWorld:
        # A mere folder of that name has a spec too, but no origin.
        specs = map(importlib.util.find_spec, sourcing.PROBED_MODULES)
        return ScriptWorld(
            variables=self._base,
            interpreters=GATEWAYS_OWN,
            modules=frozenset(spec.name for spec in specs if spec and spec.origin),
        )

    async def _source(self) -> ScriptWorld:
        if self._silent:
            # A shell that reads them could hang where nothing ends it.
            names = ', '.join(map(str, self._setup_files))
            raise SpawnFailed(f'{names} cannot be sourced: they do not answer')
        try:
            outcome, stderr = await self._capture(self._order())
            return sourcing.world_of(self._folder, self._setup_files, outcome, stderr)
        except (OSError, RunnerUnavailable) as error:
            names = ', '.join(map(str, self._setup_files))
            raise SpawnFailed(f'{names} cannot be sourced: {error}') from error
        finally:
            sourcing.clear(self._folder)

    def _order(self) -> SupervisorOrder:
        return SupervisorOrder(
            execution_id='sourcing',
            directory=str(self._folder / 'sourcing'),
            argv=sourcing.arguments(self._folder, self._setup_files),
            base_environment=self._base,
            environment={},
            stdin='',
            timeout_sec=sourcing.SOURCE_TIMEOUT_SEC,
            grace_sec=_SOURCE_GRACE_SEC,
            stop_signal=signal.SIGTERM,
            limits=NO_LIMITS,
            keep_working_directory=False,
        )


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
