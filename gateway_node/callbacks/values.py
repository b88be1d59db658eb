# SPDX-License-Identifier: Apache-2.0
"""Values of the room of callbacks."""

from dataclasses import dataclass, replace
import datetime
import enum

MIN_PAUSE_SEC = 5.0
MAX_PAUSE_SEC = 3600.0
GIVE_UP_SEC = 86400.0
"""Seconds of time up after the first attempt in which others follow."""
HTTP_GONE = 410


class CallbackStatus(enum.Enum):
    """Where a callback stands."""

    WAITING = 'waiting'
    """For the end of its execution, or for the next attempt."""
    DELIVERING = 'delivering'
    """An attempt is under way; never on record."""
    DELIVERED = 'delivered'
    """The receiver has answered 2xx."""
    FAILED = 'failed'
    """The receiver wants it no more (410), or took it in none of a day's attempts."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What came of one attempt."""

    at: datetime.datetime
    """When it was made, by the wall clock."""
    status: int | None = None
    """That the receiver answered with; None where it did not."""
    error: str | None = None
    """Why that is no delivery, for a person."""
    retry_after_sec: float = 0.0
    """Seconds in which the receiver does not want another one."""


@dataclass(frozen=True, kw_only=True)
class Callback:
    """One execution's callback; moments in seconds are of the gateway's total time up."""

    execution_id: str
    url: str
    status: CallbackStatus = CallbackStatus.WAITING
    attempts: int = 0
    since_sec: float | None = None
    """When the day began in which it is tried; None until its execution has ended."""
    next_sec: float | None = None
    """When it is tried next; None where it is not."""
    last_attempt_at: datetime.datetime | None = None
    last_status: int | None = None
    """HTTP status of the last answer; None where there was none at the last attempt."""
    last_error: str | None = None

    def due(self, now_sec: float) -> 'Callback':
        """Return it to be sent now, with a day before it."""
        return replace(self, status=CallbackStatus.WAITING, since_sec=now_sec, next_sec=now_sec)

    def after(self, attempt: Attempt, now_sec: float, *, jitter: float) -> 'Callback':
        """Return it after an attempt that has just ended.

        The pause to the next one is as long as it has been tried, within bounds: so pauses double.
        `jitter` is a factor around 1, so that what failed together is not tried together.
        """
        tried = replace(
            self,
            status=CallbackStatus.DELIVERED,
            attempts=self.attempts + 1,
            next_sec=None,
            last_attempt_at=attempt.at,
            last_status=attempt.status,
            last_error=attempt.error,
        )
        if attempt.error is None:
            return tried
        since_sec = now_sec if self.since_sec is None else self.since_sec
        pause_sec = jitter * max(MIN_PAUSE_SEC, min(now_sec - since_sec, MAX_PAUSE_SEC))
        next_sec = now_sec + max(pause_sec, min(attempt.retry_after_sec, MAX_PAUSE_SEC))
        if attempt.status == HTTP_GONE or next_sec > since_sec + GIVE_UP_SEC:
            return replace(tried, status=CallbackStatus.FAILED)
        return replace(tried, status=CallbackStatus.WAITING, next_sec=next_sec)
