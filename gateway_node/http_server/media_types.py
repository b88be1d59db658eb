# SPDX-License-Identifier: Apache-2.0
"""Which of the media types that a route can answer with a client wants (RFC 9110, 12.5.1)."""

from collections.abc import Iterator
import re
from typing import Any

from aiohttp import hdrs

from gateway_node.http_server.fields import Field
from gateway_node.http_server.takes import header, Taken, taken_by

JSON = 'application/json'
HTML = 'text/html'
TEXT = 'text/plain'
CSV = 'text/csv'
NDJSON = 'application/x-ndjson'
EVENT_STREAM = 'text/event-stream'
ZIP = 'application/zip'
FORM = 'application/x-www-form-urlencoded'
OCTETS = 'application/octet-stream'
"""Bytes of which nothing is known."""

_QUALITY = re.compile(r'\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*', re.IGNORECASE)
_UNWANTED = (0.0, 0)


class MediaType(Field[str]):
    """The one that `Accept` prefers among those that are offered, by their names.

    A client that wants none of them, or is not understood, gets the first: it can tell by
    `Content-Type`.
    """

    def __init__(self, *offered: str) -> None:
        self.offered = offered

    def read(self, value: object) -> str:
        """Return the preferred one."""
        ranges = dict(_ranges(str(value)))
        return max(self.offered, key=lambda offered: _rank(offered, ranges))

    def read_texts(self, texts: list[str]) -> str:
        """Return the preferred one of all that several headers name."""
        return self.read(','.join(texts))

    def schema(self) -> dict[str, Any]:
        """Tell nothing: the description has what may be answered in its place."""
        return {'type': 'string'}


def accepts(*offered: str) -> str:
    """Declare that `Accept` chooses among media types; the first is what there is by itself."""
    return header(hdrs.ACCEPT, MediaType(*offered), default=offered[0])


def is_accept(taken: Taken) -> bool:
    """Tell whether this chooses among media types."""
    return isinstance(taken.field, MediaType)


def offered_by(takes: type) -> tuple[str, ...]:
    """Return the media types that a route can answer with which takes this; the first is what
    its schema is of."""
    fields = [taken.field for taken in taken_by(takes)]
    return next((field.offered for field in fields if isinstance(field, MediaType)), (JSON,))


def preferred_by(takes: type, accept: list[str]) -> str:
    """Return the one that a client wants by all of its headers of that name."""
    field = MediaType(*offered_by(takes))
    return field.read_texts(accept) if accept else field.offered[0]


def _ranges(text: str) -> Iterator[tuple[str, float]]:
    """Yield each range that is named, in lower case, with its quality."""
    for each in text.split(','):
        name, *parameters = each.split(';')
        qualities = [float(q[1]) for q in map(_QUALITY.fullmatch, parameters) if q]
        yield name.strip().lower(), min(1.0, *qualities, 1.0)


def _rank(offered: str, ranges: dict[str, float]) -> tuple[float, int]:
    """Return how much a media type is wanted; between equals, the one that is named itself."""
    kind = offered.partition('/')[0]
    for closeness, name in enumerate((offered, f'{kind}/*', '*/*')):
        if name in ranges:
            return (ranges[name], -closeness) if ranges[name] else _UNWANTED
    return _UNWANTED
