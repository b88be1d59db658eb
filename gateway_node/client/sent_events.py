# SPDX-License-Identifier: Apache-2.0
"""Server-Sent Events, as the WHATWG's HTML describes them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SentEvent:
    """One event of a stream."""

    kind: str
    data: str
    last_id: str | None
    """Behind which event the stream goes on from here; None before the first that says so."""


def sent_events(lines: Iterable[bytes]) -> Iterator[SentEvent]:
    """Go through the events of a stream; what has no end by its end is none."""
    last_id: str | None = None
    kind, data = '', list[str]()
    for line in lines:
        if not line.endswith(b'\n'):
            return
        text = line.decode().rstrip('\r\n')
        name, _, value = text.partition(':')
        value = value.removeprefix(' ')
        if not text:
            if data:
                yield SentEvent(kind=kind or 'message', data='\n'.join(data), last_id=last_id)
            kind, data = '', []
        elif name == 'event':
            kind = value
        elif name == 'data':
            data.append(value)
        elif name == 'id' and '\0' not in value:
            last_id = value
