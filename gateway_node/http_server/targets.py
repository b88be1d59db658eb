# SPDX-License-Identifier: Apache-2.0
"""What a request is for, as whoever sends it sees it, and the links from there (RFC 8288)."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

MAX_LINK_BYTES = 4096
"""Of a `Link`: proxies take no header of any length."""

_UNQUOTED = '!$()*,/:?@'
"""What a query may have as it is (RFC 3986, section 3.4), but for what divides it, and what many
readers of `Link` divide or trim that by, within its brackets too."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Path and query of a request."""

    path: str
    """With what a proxy took off."""
    query: tuple[tuple[str, str], ...] = ()
    """Names and values, decoded."""

    def with_query(self, changes: Mapping[str, object]) -> str:
        """Return the same with other values for some names; None for those to be left out."""
        pairs = [each for each in self.query if each[0] not in changes]
        pairs += [(name, str(value)) for name, value in changes.items() if value is not None]
        query = urlencode(pairs, safe=_UNQUOTED, quote_via=quote)
        return f'{self.path}?{query}' if query else self.path


def link_field(links: Mapping[str, str]) -> str:
    """Build a `Link` field; where it gets too long, the last ones are left out.

    Many readers cut it at every comma, within its brackets too.
    """
    if not links:
        return ''
    fields: list[str] = []
    for relation, target in links.items():
        fields.append(f'<{target.replace(",", "%2C")}>; rel="{relation}"')
        if len(', '.join(fields)) > MAX_LINK_BYTES:
            fields.pop()
    return ', '.join(fields)
