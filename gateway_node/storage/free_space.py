# SPDX-License-Identifier: Apache-2.0
"""Whether the state directory's file system has the room that the gateway leaves to others."""

import logging
import os
from pathlib import Path

from gateway_node.clock import Clock
from gateway_node.executions.errors import DiskSpaceLow
from gateway_node.threads import Look, Threads

_log = logging.getLogger(__name__)

_MIB = 1024 * 1024
_INTERVAL_SEC = 1.0
"""For which what was found counts: many starts are one look."""
_PATIENCE_SEC = 2.0
"""For a file system that does not answer; then what was found before counts."""


class StateSpace:
    """Looks when it is asked, in a thread of its own; fulfils the port `FreeSpace`."""

    def __init__(self, state_dir: Path, min_free_mb: float, clock: Clock) -> None:
        """`min_free_mb` MiB are to be free; 0 sets no bound, and then nobody looks."""
        self._state_dir = state_dir
        self._min_free_mb = min_free_mb
        self._clock = clock
        self._look = Look(Threads('free space', 1), self._free_mb, _PATIENCE_SEC)
        self._again_at = clock.monotonic()
        self._shortage: str | None = None
        self._silent = False

    async def check(self) -> None:
        """Raise DiskSpaceLow where less is free than `state_min_free_mb`."""
        shortage = await self.shortage()
        if shortage is not None:
            raise DiskSpaceLow(shortage)

    async def shortage(self) -> str | None:
        """Say that less is free than should be; None where enough is, or nobody knows."""
        if self._min_free_mb and self._clock.monotonic() >= self._again_at:
            # Who asks meanwhile takes what was found before.
            self._again_at = self._clock.monotonic() + _INTERVAL_SEC
            await self._look_anew()
        return self._shortage

    async def _look_anew(self) -> None:
        try:
            self._note(await self._look.answer())
            self._silent = False
        except (OSError, TimeoutError) as error:
            if not self._silent:
                _log.warning('what is free in %s is not known: %r', self._state_dir, error)
            self._silent = True

    def _free_mb(self) -> float:
        found = os.statvfs(self._state_dir)
        # What is left for root alone does not count.
        return found.f_bavail * found.f_frsize / _MIB

    def _note(self, free_mb: float) -> None:
        before, self._shortage = self._shortage, None
        if free_mb < self._min_free_mb:
            self._shortage = (
                f'{self._state_dir} has {free_mb:.1f} MiB free, less than state_min_free_mb '
                f'({self._min_free_mb:g}): no script is started or uploaded'
            )
            if before is None:
                _log.warning('%s', self._shortage)
        elif before is not None:
            _log.info('scripts can start again: %s has %.1f MiB free', self._state_dir, free_mb)
