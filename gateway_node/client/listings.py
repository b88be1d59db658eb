# SPDX-License-Identifier: Apache-2.0
"""Lists that come page by page."""

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from gateway_node.client.json_exchange import Api, get, understood
from gateway_node.client.queries import target, Wanted
from gateway_node.client.values import Execution, Script

_SCRIPTS_A_PAGE = 100


def list_scripts(api: Api, wanted: Mapping[str, Wanted]) -> Iterator[Script]:
    """Go through scripts, entity by entity."""
    page, pages = 1, 1
    while page <= pages:
        where = target('scripts', **wanted, page=page, per_page=_SCRIPTS_A_PAGE)
        body = api.read(get(where), dict)
        with understood(where):
            found = [Script.of(each['entity'], each) for each in body['items']]
            page, pages = page + 1, body['pagination']['total_pages']
        yield from found


def list_executions(api: Api, wanted: Mapping[str, Wanted]) -> Iterator[Execution]:
    """Go through executions, each once, though others come and go meanwhile."""
    where = target('executions', **wanted)
    while where:
        body = api.read(get(where), dict)
        with understood(where):
            found = [Execution.of(each) for each in body['items']]
            # The path before it may be one that a proxy in front does not know.
            query = urlsplit(body['next']).query if 'next' in body else ''
        yield from found
        where = f'/executions?{query}' if query else ''
