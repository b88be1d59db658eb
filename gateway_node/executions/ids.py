# SPDX-License-Identifier: Apache-2.0
"""Ids of executions: `exec_` and a ULID, strictly growing whatever the wall clock does."""

import datetime
import re
import secrets

PREFIX = 'exec_'

_ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
_RANDOM_BITS = 80
_LENGTH = 26
EXECUTION_ID_PATTERN = rf'{PREFIX}[0-7][{_ALPHABET}]{{{_LENGTH - 1}}}'
"""As a regular expression of Python and of JSON Schema."""
_FORM = re.compile(EXECUTION_ID_PATTERN)


def is_execution_id(text: str) -> bool:
    """Tell whether `text` has the form of an execution's id."""
    return _FORM.fullmatch(text) is not None


class ExecutionIds:
    """Gives ids that grow strictly, also past the greatest of an earlier life.

    Source of the form: the ULID specification (48 bits of milliseconds, 80 random bits,
    Crockford's base 32). Where the clock stands or goes back, the last id plus one is next.
    """

    def __init__(self, last: str | None = None) -> None:
        """Begin after `last`, the greatest id ever given."""
        self._last = _decode(last.removeprefix(PREFIX)) if last else 0

    def next(self, now: datetime.datetime) -> str:
        """Return the next id at the wall time `now`."""
        milliseconds = int(now.timestamp() * 1000)
        fresh = milliseconds << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        self._last = max(fresh, self._last + 1)
        return PREFIX + _encode(self._last)


def _encode(number: int) -> str:
    return ''.join(_ALPHABET[number >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))


def _decode(text: str) -> int:
    number = 0
    for character in text:
        number = number << 5 | _ALPHABET.index(character)
    return number
