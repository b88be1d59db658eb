# SPDX-License-Identifier: Apache-2.0
"""What a script says on its progress channel, line by line.

A line is a number (`45`, `45.5`, `45%`), a number and a text (`45 reading sensors`), or a JSON
object with `progress`, `message` or both. Anything else is counted and forgotten.
"""

import codecs
import re

from gateway_node.child.contract import MAX_PROGRESS_LINE_BYTES
from gateway_node.strict_json import JsonRefused, parse

READ_LINES = 64
"""Of one read: of a flood only the last lines are looked at, the others are superseded."""

_PLAIN = re.compile(r'([-+]?(?:\d+(?:\.\d*)?|\.\d+))\s*%?(?:\s+(.*))?')


class ProgressLines:
    """Cuts the channel's bytes into lines and keeps what was said last."""

    def __init__(self) -> None:
        self.percent: int | None = None
        self.message: str | None = None
        self.garbage = 0
        """Lines that were looked at and not understood, or too long."""
        self._rest = b''
        self._skipping = False

    def feed(self, chunk: bytes) -> bool:
        """Take what was read; return True where it said something new."""
        *lines, rest = (self._rest + chunk).rsplit(b'\n', READ_LINES)
        news = False
        if len(lines) == READ_LINES and b'\n' in lines[0]:
            del lines[0]
            self._skipping = False
        for line in lines:
            if self._skipping:
                self._skipping = False
            elif line.strip():
                news = self._take(line) or news
        if len(rest) > MAX_PROGRESS_LINE_BYTES:
            if not self._skipping:
                self.garbage += 1
            self._skipping = True
        self._rest = b'' if self._skipping else rest
        return news

    def finish(self) -> bool:
        """Take a last line without its end; return True where it said something new."""
        return bool(self._rest) and self.feed(b'\n')

    def _take(self, line: bytes) -> bool:
        said = _parse(line) if len(line) <= MAX_PROGRESS_LINE_BYTES else None
        if said is None:
            self.garbage += 1
            return False
        percent, message = said
        if percent is not None:
            self.percent = percent
        self.message = message
        return True


def _parse(line: bytes) -> tuple[int | None, str | None] | None:
    line = line.removeprefix(codecs.BOM_UTF8).strip()
    if line.startswith(b'{'):
        return _parse_object(line)
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return None
    match = _PLAIN.fullmatch(text)
    if match is None:
        return None
    return _clamped(float(match[1])), match[2] or None


def _parse_object(line: bytes) -> tuple[int | None, str | None] | None:
    try:
        said = parse(line)
    except JsonRefused:
        return None
    percent, message = said.get('progress'), said.get('message')
    if not isinstance(message, str | None):
        return None
    if percent is None:
        return None if message is None else (None, message)
    if isinstance(percent, bool) or not isinstance(percent, int | float):
        return None
    return _clamped(percent), message


def _clamped(percent: float) -> int:
    return int(min(max(percent, 0), 100))
