# SPDX-License-Identifier: Apache-2.0
"""Notes are kept in order, and no disk holds up who has something noted."""

import asyncio
from collections.abc import AsyncIterator, Sequence
import contextlib
import hmac
import threading

from fakes import FakeClock
import pytest

from gateway_node.access import audit_trail
from gateway_node.access.audit import Asked, AuditNote, NoteKind, NotesPage, NotesWanted
from gateway_node.access.audit_trail import AuditTrail
from gateway_node.access.errors import AuditUnavailable

FOREVER_SEC = 600.0


class MoodyLog:
    """An `AuditLog` in memory, on a disk that may be full, or answer nothing."""

    def __init__(self) -> None:
        self.kept: list[AuditNote] = []
        self.full = False
        self.is_closed = False
        self.answers = threading.Event()
        self.answers.set()

    def append(self, notes: Sequence[AuditNote]) -> int:
        """Keep notes."""
        self.answers.wait()
        if self.full:
            raise OSError(28, 'No space left on device')
        self.kept.extend(notes)
        return len(self.kept) - len(notes) + 1

    def close(self) -> None:
        """Let go of nothing."""
        self.is_closed = True

    def page(self, wanted: NotesWanted) -> NotesPage:
        """Return how many notes there are, as one document."""
        self.answers.wait()
        return NotesPage(documents=[{'notes': len(self.kept)}])

    def statuses(self) -> list[int | None]:
        """Return what the notes say was answered."""
        return [note.status for note in self.kept]


@pytest.fixture
def log() -> MoodyLog:
    """Return a log on a disk that works."""
    return MoodyLog()


@contextlib.asynccontextmanager
async def trail_on(
    log: MoodyLog, *, required: bool = False, patience_sec: float = FOREVER_SEC
) -> AsyncIterator[AuditTrail]:
    """Open a trail; at the end the disk answers."""
    trail = AuditTrail(log, FakeClock(), key=b'key', required=required, patience_sec=patience_sec)
    trail.open()
    try:
        yield trail
    finally:
        log.answers.set()
        await trail.close()


def note(status: int, kind: NoteKind = NoteKind.REQUEST) -> AuditNote:
    """Return a note of a request."""
    asked = Asked(method='POST', origin='192.0.2.7')
    return AuditNote(kind=kind, time=FakeClock().now(), asked=asked, status=status)


async def written_again(trail: AuditTrail) -> None:
    """Wait until nothing is wrong with a trail."""
    while trail.warnings:
        await trail.page(NotesWanted(limit=1))


async def test_a_note_is_kept_when_it_is_returned_from(log: MoodyLog) -> None:
    """Those that come at once are kept in their order."""
    async with trail_on(log) as trail:
        await trail.note(note(200))
        assert log.statuses() == [200]
        await asyncio.gather(*(trail.note(note(number)) for number in range(300, 400)))
        assert log.statuses() == [200, *range(300, 400)]
        assert not trail.warnings


async def test_nothing_is_open_after_the_end(log: MoodyLog) -> None:
    """Also of a disk that was full; one that hangs is waited for no longer than patience lasts."""
    async with trail_on(log) as trail:
        await trail.note(note(200))
        assert not log.is_closed
    assert log.is_closed


async def test_what_nobody_waits_for_is_kept_at_the_end(log: MoodyLog) -> None:
    """And so is what was counted of refusals."""
    async with trail_on(log) as trail:
        trail.note_soon(note(200))
        for _ in range(30):
            trail.refused(note(401))
    assert log.statuses() == [200, *[401] * 10, None]
    assert log.kept[-1].statuses == {401: 20}


async def test_a_disk_that_answers_nothing_holds_nobody_up_for_long(log: MoodyLog) -> None:
    """The first one waits as long as patience lasts, those behind it not at all; it is said."""
    async with trail_on(log, patience_sec=0.05) as trail:
        await trail.note(note(200))
        log.answers.clear()
        await trail.note(note(201))
        for _ in range(100):
            await trail.note(note(202))
        assert trail.warnings == ('the audit cannot be written: its disk does not answer',)
    assert log.statuses() == [200, 201, *[202] * 100]


async def test_what_a_full_disk_did_not_take_is_kept_later(log: MoodyLog) -> None:
    """Who had it noted is not held up; it is said as long as it is so."""
    async with trail_on(log) as trail:
        log.full = True
        await trail.note(note(200))
        assert log.statuses() == []
        assert trail.warnings == (
            'the audit cannot be written: [Errno 28] No space left on device',
        )
        log.full = False
        await trail.note(note(201))
        assert log.statuses() == [200, 201]
        assert not trail.warnings


async def test_a_full_disk_is_tried_again_by_itself(
    log: MoodyLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nothing more is to be noted."""
    monkeypatch.setattr(audit_trail, '_RETRY_SEC', 0.01)
    async with trail_on(log) as trail:
        log.full = True
        await trail.note(note(200))
        log.full = False
        await written_again(trail)
        assert log.statuses() == [200]


async def test_what_finds_no_room_is_counted_and_told_in_the_audit(
    log: MoodyLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The audit itself says that something is missing, and how much."""
    monkeypatch.setattr(audit_trail, '_RETRY_SEC', 0.01)
    monkeypatch.setattr(audit_trail, 'MAX_WAITING', 3)
    async with trail_on(log) as trail:
        log.full = True
        for number in range(200, 206):
            await trail.note(note(number))
        assert trail.warnings[1:] == ('3 notes of the audit are lost',)
        log.full = False
        await trail.note(note(206))
        await written_again(trail)
        await trail.note(note(210))
    assert [status for status in log.statuses() if status] == [200, 201, 202, 210]
    assert sum(each.lost or 0 for each in log.kept) == 4


async def test_nothing_is_begun_that_cannot_be_noted(log: MoodyLog) -> None:
    """Where the audit is required. What was refused so is not noted as begun later."""
    async with trail_on(log, required=True) as trail:
        assert await trail.begin(note(200, NoteKind.BEGUN)) == 1
        log.full = True
        with pytest.raises(AuditUnavailable, match='No space left'):
            await trail.begin(note(201, NoteKind.BEGUN))
        assert len(trail.warnings) == 2
        log.full = False
        assert await trail.begin(note(202, NoteKind.BEGUN)) == 2
    assert log.statuses() == [200, 202]


async def test_nothing_is_begun_on_a_disk_that_does_not_answer(log: MoodyLog) -> None:
    """Neither the one that waited for it, nor those that come then."""
    async with trail_on(log, required=True, patience_sec=0.5) as trail:
        await trail.begin(note(200, NoteKind.BEGUN))
        log.answers.clear()
        trail.note_soon(note(201))
        for number in (202, 203):
            with pytest.raises(AuditUnavailable, match='does not answer'):
                await trail.begin(note(number, NoteKind.BEGUN))
    assert log.statuses() == [200, 201]


async def test_what_was_changed_is_kept_though_nobody_waits_any_more(log: MoodyLog) -> None:
    """A client that leaves takes no note with it; what it had not begun yet is not begun."""
    async with trail_on(log, required=True) as trail:
        await trail.note(note(200))
        log.answers.clear()
        trail.note_soon(note(201))
        changed = asyncio.ensure_future(trail.note(note(202)))
        begun = asyncio.ensure_future(trail.begin(note(203, NoteKind.BEGUN)))
        await asyncio.sleep(0)
        for waiting in (changed, begun):
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
    assert log.statuses() == [200, 201, 202]


async def test_a_page_has_what_came_before_it(log: MoodyLog) -> None:
    """What nobody waited for included."""
    async with trail_on(log) as trail:
        for _ in range(50):
            trail.note_soon(note(200))
        page = await trail.page(NotesWanted(limit=1))
        assert page.documents == [{'notes': 50}]


def test_parameters_are_hashed_with_a_key() -> None:
    """The same ones to the same text, whatever their order; with another key to another one."""
    clock, log = FakeClock(), MoodyLog()
    one, other = (AuditTrail(log, clock, key=key) for key in (b'a', b'b'))
    assert one.hash_of({'a': 1, 'b': 'é'}) == one.hash_of({'b': 'é', 'a': 1})
    assert one.hash_of({'a': 1}) != one.hash_of({'a': 2})
    assert one.hash_of({'a': 1}) != other.hash_of({'a': 1})
    expected = hmac.new(b'a', '{"a":{"c":"é","d":2}}'.encode(), 'sha256').hexdigest()
    assert one.hash_of({'a': {'d': 2, 'c': 'é'}}) == expected
