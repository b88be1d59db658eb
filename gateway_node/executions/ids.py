# SPDX-License-Identifier: Apache-2.0
"""Ids of executions: `exec_` and a ULID, strictly growing whatever the wall clock does."""

import datetime
import random
import re

PREFIX = 'exec_'

_ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
_RANDOM_BITS = 65
_SEQUENCE_BITS = 15
"""Between the milliseconds and the random bits: ids of one millisecond count up."""
_LENGTH = 26
EXECUTION_ID_PATTERN = rf'{PREFIX}[0-7][{_ALPHABET}]{{{_LENGTH - 1}}}'
"""As a regular expression of Python and of JSON Schema."""
_FORM = re.compile(EXECUTION_ID_PATTERN)


def is_execution_id(text: str) -> bool:
    """Tell whether `text` has the form of an execution's id."""
    return _FORM.fullmatch(text) is not None


def number_of(execution_id: str) -> int:
    """Return what of an id makes it grow: 63 bits, another one for each id that is given.

    Ids of gateways before may share one; ValueError where it has not the form of an id.
    """
    if not is_execution_id(execution_id):
        raise ValueError(f'{execution_id!r} is no id of an execution')
    return _decode(execution_id.removeprefix(PREFIX)) >> _RANDOM_BITS


class ExecutionIds:
    """Gives ids that grow strictly, also past the greatest of an earlier life.

    Source of the form: the ULID specification (48 bits of milliseconds, 80 more, Crockford's
    base 32). Of the 80, the first 15 count up within a millisecond, and where the clock stands or
    goes back; the rest is random.
    """

    def __init__(self, last: str | None = None) -> None:
        """Begin after `last`, the greatest id ever given."""
        self._last = number_of(last) if last else -1
        # They keep ids of several gateways apart, and are no secret.
        self._random = random.Random()
        self._pending: set[str] = set()

    def next(self, now: datetime.datetime) -> str:
        """Return the next id at the wall time `now`; it is pending until it is settled."""
        milliseconds = int(now.timestamp() * 1000)
        self._last = max(milliseconds << _SEQUENCE_BITS, self._last + 1)
        number = self._last << _RANDOM_BITS | self._random.getrandbits(_RANDOM_BITS)
        execution_id = PREFIX + _encode(number)
        self._pending.add(execution_id)
        return execution_id

    def settle(self, *execution_ids: str) -> None:
        """Note that these are on record, or never will be; harmless where that was noted."""
        self._pending.difference_update(execution_ids)

    @property
    def unsettled_from(self) -> int:
        """The number from which on ids may still come on record, after greater ones.

        Who reads executions upwards stops short of it, as it was before the read, not to miss any.
        """
        return number_of(min(self._pending)) if self._pending else self._last + 1


def _encode(number: int) -> str:
    return ''.join(_ALPHABET[number >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))


def _decode(text: str) -> int:
    number = 0
    for character in text:
        number = number << 5 | _ALPHABET.index(character)
    return number
