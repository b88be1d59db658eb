# SPDX-License-Identifier: Apache-2.0
"""Parts of an answer, and answers that a client has already (RFC 9110, sections 13 and 14)."""

from dataclasses import dataclass
import hashlib
import re

from aiohttp import hdrs

from gateway_node.http_server.errors import RangeUnsatisfiable
from gateway_node.http_server.fields import Text
from gateway_node.http_server.takes import header

_ONE_RANGE = re.compile(r'bytes=([0-9]{0,18})-([0-9]{0,18})', re.IGNORECASE)
_ENTITY_TAG = re.compile(r'"[^"]*"')


class Lists(Text):
    """A list that may stand in several lines (RFC 9110, section 5.3)."""

    def read_texts(self, texts: list[str]) -> str:
        """Return them as one."""
        return ', '.join(texts)


@dataclass(frozen=True, kw_only=True)
class OfKnown:
    """Takes what says that there need be no answer, as the client has it."""

    if_none_match: str | None = header(hdrs.IF_NONE_MATCH, Lists(), default=None)


@dataclass(frozen=True, kw_only=True)
class OfPart(OfKnown):
    """Takes what says that a part of the answer will do, or that there need be none."""

    range: str | None = header(hdrs.RANGE, Text(), default=None)
    if_range: str | None = header(hdrs.IF_RANGE, Text(), default=None)


def entity_tag(content: bytes) -> str:
    """Return a strong validator: nothing else has it."""
    return f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'


def is_known(asked: OfKnown, tag: str) -> bool:
    """Tell whether the client has what has this validator."""
    known = asked.if_none_match
    return known is not None and (known.strip() == '*' or tag in _ENTITY_TAG.findall(known))


def part_of(asked: OfPart, tag: str, size: int) -> tuple[int, int] | None:
    """Return where the part that will do begins and where it ends; None for the whole.

    That is also what an unknown unit, several ranges, and what is no range get, and the range of
    another validator, a date included. Of nothing there is no part.

    Raises:
        RangeUnsatisfiable: it begins behind the end.
    """
    found = _ONE_RANGE.fullmatch(asked.range.strip()) if asked.range is not None else None
    if found is None or not size or (asked.if_range is not None and asked.if_range.strip() != tag):
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:
        if not int(last):
            raise RangeUnsatisfiable(size)
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise RangeUnsatisfiable(size)
    return int(first), min(size, int(last) + 1) if last else size
