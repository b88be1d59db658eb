# SPDX-License-Identifier: Apache-2.0
"""The audit as requests meet it: notes are on the disk, or have been waited for, when it returns.

No disk holds the gateway up: notes are written by a thread of their own, in the order in which
they came, and nobody waits for it for long.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
import concurrent.futures
import contextlib
import dataclasses
from dataclasses import dataclass
import hmac
import json
import logging
from typing import Any

from gateway_node.access.audit import AuditLog, AuditNote, NoteKind, NotesPage, NotesWanted
from gateway_node.access.errors import AuditUnavailable
from gateway_node.access.floods import Refusals
from gateway_node.clock import Clock
from gateway_node.threads import Threads

_log = logging.getLogger(__name__)

MAX_WAITING = 10_000
"""Notes that wait to be written; what comes beyond them is lost, and counted."""
_BATCH = 1000
"""Notes that are written at a time."""
_RETRY_SEC = 5.0
_READ_SEC = 10.0

_canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(',', ':')).encode


@dataclass(frozen=True, kw_only=True, eq=False)
class _Waiting:
    note: AuditNote | None
    """None stands for the place in the line alone."""
    done: 'asyncio.Future[int | None]'
    """Its sequence; None where it is not kept, or not yet."""


class AuditTrail:
    """Notes what is asked of the gateway; to be used on one event loop."""

    def __init__(
        self,
        log: AuditLog,
        clock: Clock,
        *,
        key: bytes,
        required: bool = False,
        patience_sec: float = 2.0,
    ) -> None:
        """`key` is what parameters are hashed with; where it is `required`, nothing is changed
        that cannot be noted before; nobody waits for a note for longer than `patience_sec`."""
        self.is_required = required
        self._log = log
        self._clock = clock
        self._key = key
        self._patience_sec = patience_sec
        self._writer = Threads('audit', 1)
        self._reader = Threads('audit reader', 1)
        self._refusals = Refusals()
        self._waiting: deque[_Waiting] = deque()
        self._in_flight = 0
        """Those that are being written."""
        self._writing_since: float | None = None
        """By the event loop's time."""
        self._failure: str | None = None
        self._lost = 0
        self._again: asyncio.TimerHandle | None = None
        self._telling: asyncio.TimerHandle | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with it, in sentences."""
        told = []
        if self._failure is not None:
            told.append(f'the audit cannot be written: {self._failure}')
        elif self._hangs:
            told.append('the audit cannot be written: its disk does not answer')
        if told and self.is_required:
            told.append('nothing is changed, as no audit of it can be kept (audit.required)')
        if self._lost:
            told.append(f'{self._lost} notes of the audit are lost')
        return tuple(told)

    def hash_of(self, parameters: Mapping[str, Any]) -> str:
        """Return what proves which parameters, JSON values, were given, and tells none of them.

        It is HMAC-SHA256 of their JSON in UTF-8, with sorted names and without spaces.
        """
        return hmac.digest(self._key, _canonical(parameters).encode(), 'sha256').hex()

    def open(self) -> None:
        """See whether it can be written, before anything has to be; `warnings` tells."""
        self._put(None)

    async def begin(self, note: AuditNote) -> int:
        """Note that a change is about to be made; return the sequence. AuditUnavailable."""
        done = self._put(note)
        sequence = None if self._hangs else await self._within_patience(done)
        if sequence is None:
            done.cancel()
            raise AuditUnavailable(self._failure or 'its disk does not answer')
        return sequence

    async def note(self, note: AuditNote) -> None:
        """Note what was changed; wait until that is written, as long as patience lasts."""
        done = self._put(note)
        if not self._hangs:
            await self._within_patience(done)

    def note_soon(self, note: AuditNote) -> None:
        """Note something for which nobody waits."""
        self._put(note)

    def refused(self, note: AuditNote) -> None:
        """Note that something was refused; of a flood, how much of it."""
        now = self._clock.monotonic()
        self._tell_counted(now)
        if self._refusals.is_noted(note, now):
            self._put(note)
        elif self._telling is None:
            self._tell_later(now)

    async def page(self, wanted: NotesWanted) -> NotesPage:
        """Return notes, those included that came before this call; AuditUnavailable."""
        if not self._hangs:
            await self._within_patience(self._put(None))
        try:
            async with asyncio.timeout(_READ_SEC):
                return await self._reader.run(self._log.page, wanted)
        except TimeoutError as error:
            raise AuditUnavailable('its disk does not answer') from error
        except (OSError, RuntimeError) as error:
            raise AuditUnavailable(str(error)) from error

    async def close(self) -> None:
        """Write what is left, as long as patience lasts, and let go of the files."""
        if self._telling is not None:
            self._telling.cancel()
        self._tell_counted(float('inf'))
        await self._within_patience(self._put(None))
        if self._again is not None:
            self._again.cancel()
        if self._writing_since is None:
            with contextlib.suppress(TimeoutError, RuntimeError):
                async with asyncio.timeout(self._patience_sec):
                    await self._writer.run(self._log.close)
        left = len(self._waiting) + self._in_flight + self._lost
        if left:
            _log.error('%d notes of the audit are lost', left)

    @property
    def _hangs(self) -> bool:
        since = self._writing_since
        return since is not None and _now() - since > self._patience_sec

    async def _within_patience(self, done: 'asyncio.Future[int | None]') -> int | None:
        """Wait in as few turns of the loop as can be: all else that is due goes before each."""
        timer = asyncio.get_running_loop().call_later(self._patience_sec, _settle, done, None)
        try:
            return await done
        finally:
            timer.cancel()

    def _put(self, note: AuditNote | None) -> 'asyncio.Future[int | None]':
        done: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        if len(self._waiting) + self._in_flight >= MAX_WAITING:
            self._lost += note is not None
            done.set_result(None)
        else:
            self._waiting.append(_Waiting(note=note, done=done))
        self._write_waiting()
        return done

    def _write_waiting(self) -> None:
        """Have the thread write what waits, unless it does already: then that comes next."""
        if self._writing_since is not None or not (self._waiting or self._lost):
            return
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH))]
        # Nothing is begun for who has given up waiting.
        batch = [each for each in batch if not (_begins(each) and each.done.done())]
        notes = [each.note for each in batch if each.note is not None]
        lost = self._lost
        if lost:
            notes.append(AuditNote(kind=NoteKind.LOST, time=self._clock.now(), lost=lost))
        self._writing_since, self._in_flight = _now(), len(batch)
        try:
            writing = self._writer.submit(self._log.append, notes)
        except RuntimeError as error:
            self._not_written(batch, error)
            return
        loop = asyncio.get_running_loop()

        def tell(writing: 'concurrent.futures.Future[int]') -> None:
            # The loop is closed where a disk answers after the end.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._after_writing, batch, lost, writing)

        writing.add_done_callback(tell)

    def _after_writing(
        self, batch: list[_Waiting], lost: int, writing: 'concurrent.futures.Future[int]'
    ) -> None:
        error = writing.exception()
        if error is not None:
            self._not_written(batch, error)
            return
        if self._failure is not None:
            _log.info('the audit is written again')
        self._failure = None
        self._writing_since, self._in_flight = None, 0
        self._lost -= lost
        sequence = writing.result()
        for each in batch:
            _settle(each.done, sequence)
            sequence += each.note is not None
        self._write_waiting()

    def _not_written(self, batch: list[_Waiting], error: BaseException) -> None:
        """Keep what was to be written for another attempt, and let nobody wait for that."""
        if self._failure is None:
            _log.error('the audit cannot be written: %s', error)
        self._failure = str(error)
        self._writing_since, self._in_flight = None, 0
        left = [*batch, *self._waiting]
        for each in left:
            _settle(each.done, None)
        # What was to begin is not made.
        kept = (each for each in left if each.note and not _begins(each))
        self._waiting = deque(kept)
        if self._again is None:
            self._again = asyncio.get_running_loop().call_later(_RETRY_SEC, self._try_again)

    def _try_again(self) -> None:
        self._again = None
        self._write_waiting()

    def _tell_counted(self, now: float) -> None:
        for counted in self._refusals.due(now):
            self._put(dataclasses.replace(counted, time=self._clock.now()))

    def _tell_later(self, now: float) -> None:
        """Tell what is counted when its minute is over, though nothing be refused any more."""
        due = self._refusals.next_due
        if due is not None:
            loop = asyncio.get_running_loop()
            self._telling = loop.call_later(max(due - now, 0.1), self._tell_due)

    def _tell_due(self) -> None:
        self._telling = None
        now = self._clock.monotonic()
        self._tell_counted(now)
        self._tell_later(now)


def _begins(waiting: _Waiting) -> bool:
    return waiting.note is not None and waiting.note.kind is NoteKind.BEGUN


def _settle(done: 'asyncio.Future[int | None]', sequence: int | None) -> None:
    if not done.done():
        done.set_result(sequence)


def _now() -> float:
    return asyncio.get_running_loop().time()
