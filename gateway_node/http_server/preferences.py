# SPDX-License-Identifier: Apache-2.0
"""What a client would like, and need not get (RFC 7240): how long it waits for an answer.

Nothing here is refused: what cannot be read is no preference.
"""

from collections.abc import Iterator
import re
from typing import Any

from gateway_node.http_server.fields import Field

PREFER = 'Prefer'
PREFERENCE_APPLIED = 'Preference-Applied'
MAX_WAIT_SEC = 3600
"""Who would wait for longer is answered then."""

_SPACE = r'[ \t]*+'
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_VALUE = rf'(?:{_SPACE}={_SPACE}(?:{_TOKEN}|{_QUOTED}))?'
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*+(?:"|\\?$))+', re.DOTALL)
"""What stands between two commas, of which those within quotes are none."""
_PREFERENCE = re.compile(
    rf'{_SPACE}(?P<name>{_TOKEN})(?:{_SPACE}={_SPACE}(?P<value>{_TOKEN}|{_QUOTED}))?'
    rf'(?:{_SPACE};(?:{_SPACE}{_TOKEN}{_VALUE})?)*{_SPACE}',
    re.DOTALL,
)
_SECONDS = re.compile(r'0*([0-9]+)', re.ASCII)


class Wait(Field[int | None]):
    """`wait=N`: the whole seconds after which a client has an answer, whatever it then says."""

    def read(self, value: object) -> int | None:
        """Return the seconds, at most MAX_WAIT_SEC; None where none are preferred."""
        return self.read_texts([str(value)])

    def read_texts(self, texts: list[str]) -> int | None:
        """Return those of the first field that has the preference; a further one says nothing."""
        return next(
            (_seconds(value) for name, value in _preferences(texts) if name == 'wait'), None
        )

    def schema(self) -> dict[str, Any]:
        """Tell that it is a text: none is refused."""
        return {'type': 'string'}


def _preferences(fields: list[str]) -> Iterator[tuple[str, str]]:
    """Yield name, in lower case, and value of each preference that can be read."""
    for field in fields:
        for element in _ELEMENT.findall(field):
            found = _PREFERENCE.fullmatch(element)
            if found is not None:
                yield found['name'].lower(), _unquoted(found['value'] or '')


def _unquoted(value: str) -> str:
    return re.sub(r'\\(.)', r'\1', value[1:-1]) if value.startswith('"') else value


def _seconds(value: str) -> int | None:
    found = _SECONDS.fullmatch(value)
    if found is None:
        return None
    digits = found[1]
    # int() refuses what has thousands of digits.
    wait_sec = MAX_WAIT_SEC if len(digits) > len(str(MAX_WAIT_SEC)) else int(digits)
    return min(wait_sec, MAX_WAIT_SEC) or None
