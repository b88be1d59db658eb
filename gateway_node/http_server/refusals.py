# SPDX-License-Identifier: Apache-2.0
"""What the HTTP parser refuses: one line a request, and a count where there are many."""

import asyncio
import logging
import re
from typing import Any

from aiohttp.http_exceptions import HttpProcessingError

INTERVAL_SEC = 10.0
"""After a line about a refused request, the next ones are counted for so long."""
_MAX_REASON = 200
_SENT = re.compile(r"""b?(['"]).*\1(\.{3})?""", re.DOTALL)
"""What aiohttp quotes of a request: the line may hold a credential."""


class RefusalLog(logging.LoggerAdapter[logging.Logger]):
    """The logger that aiohttp gets for its connections; belongs to the event loop.

    aiohttp writes a traceback for each request that its parser refuses, or nothing, by version.
    """

    def __init__(self, logger: logging.Logger, interval_sec: float = INTERVAL_SEC) -> None:
        super().__init__(logger)
        self._interval_sec = interval_sec
        self._counted = 0
        self._reason = ''
        self._timer: asyncio.TimerHandle | None = None

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Pass a record on, unless it is about a refused request."""
        error = kwargs.get('exc_info')
        if isinstance(error, HttpProcessingError):
            self.refused(_one_line(error.message))
        else:
            super().log(level, msg, *args, **kwargs)

    def close(self) -> None:
        """Tell what has been counted."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell_counted()

    def refused(self, reason: str) -> None:
        """Tell that a request was refused, or count it."""
        if self._timer is None:
            self.logger.warning('a request was refused: %s', reason)
            self._arm()
        else:
            self._counted += 1
            self._reason = reason

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._interval_sec, self._on_interval)

    def _on_interval(self) -> None:
        self._timer = None
        if self._counted:
            self._tell_counted()
            self._arm()

    def _tell_counted(self) -> None:
        if self._counted:
            self.logger.warning(
                'more requests were refused (%d), the last: %s', self._counted, self._reason
            )
        self._counted = 0


def _one_line(text: str) -> str:
    """Return `text` on one line, without what was sent and control characters, not endless."""
    line = ' '.join(_SENT.sub('…', text).split())
    line = ''.join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    return line if len(line) <= _MAX_REASON else f'{line[:_MAX_REASON]}…'
