# SPDX-License-Identifier: Apache-2.0
"""The two ways through a list: from one id to the next ones, and page by page."""

from dataclasses import dataclass

from gateway_node.executions.pages import (
    FoundPage,
    KeysetPage,
    MAX_LIMIT,
    NumberedPage,
    Order,
)
from gateway_node.executions.summary_texts import SummaryText
from gateway_node.http_server.errors import InvalidParameter
from gateway_node.http_server.fields import Choice, ExecutionId, Integer
from gateway_node.http_server.representations import Json
from gateway_node.http_server.takes import query
from gateway_node.http_server.targets import Target

DEFAULT_LIMIT = -100
DEFAULT_PER_PAGE = 20
MAX_PAGE = 1_000_000_000

_KEYSET = ('limit', 'id_exclusive', 'before')
_NUMBERED = ('page', 'per_page')


@dataclass(frozen=True, kw_only=True)
class Numbered:
    """Takes which of the pages of a list is wanted."""

    page: int | None = query(
        Integer(1, MAX_PAGE), default=None, about='The number of a page, from 1.'
    )
    per_page: int | None = query(
        Integer(1, MAX_LIMIT), default=None, about='How many a page has; 20 where it is left out.'
    )


@dataclass(frozen=True, kw_only=True)
class Paging(Numbered):
    """Takes which part of a list is wanted."""

    limit: int | None = query(
        Integer(-MAX_LIMIT, MAX_LIMIT, nonzero=True),
        default=None,
        about='So many: above 0 those that follow `id_exclusive` upwards, or the oldest; below 0 '
        'those that precede it, or the newest. Without it, and without `page`, -100.',
    )
    id_exclusive: str | None = query(
        ExecutionId(),
        default=None,
        about='The id that the wanted ones follow or precede; it need not exist any more.',
    )
    before: str | None = query(
        ExecutionId(),
        default=None,
        about='A short form: the 100, or `limit`, that precede this id.',
    )
    sort: Order = query(
        Choice(Order),
        default=Order.ID,
        about='What pages are sorted by, the greatest first. `limit`, `id_exclusive` and `before` '
        'go with `id` alone.',
    )

    def __post_init__(self) -> None:
        """Check that the two ways are not mixed; InvalidParameter."""
        keyset = [name for name in _KEYSET if getattr(self, name) is not None]
        numbered = [name for name in _NUMBERED if getattr(self, name) is not None]
        wrong = []
        if numbered:
            reason = f'does not go with {numbered[0]}; allowed: one of the two ways'
            wrong = [(name, reason) for name in keyset]
        elif self.sort is not Order.ID:
            wrong = [(name, 'goes with sort=id alone') for name in keyset]
        if self.before is not None and self.id_exclusive is not None:
            wrong.append(('before', 'stands for id_exclusive; allowed: one of them'))
        if wrong:
            raise InvalidParameter.of_query(*wrong)

    @property
    def is_paged(self) -> bool:
        """Whether anything says which part."""
        names = (*_KEYSET, *_NUMBERED)
        return self.sort is not Order.ID or any(getattr(self, each) is not None for each in names)

    @property
    def numbered(self) -> NumberedPage | None:
        """The page that is wanted by its number; None where it is not."""
        if self.page is None and self.per_page is None and self.sort is Order.ID:
            return None
        return NumberedPage(
            number=self.page or 1, size=self.per_page or DEFAULT_PER_PAGE, order=self.sort
        )

    @property
    def keyset(self) -> KeysetPage:
        """The page that is wanted by an id.

        `before` says the direction itself: a positive limit beside it is as a negative one.
        """
        limit = self.limit or DEFAULT_LIMIT
        if self.before is not None:
            return KeysetPage(limit=-abs(limit), reference=self.before)
        return KeysetPage(limit=limit, reference=self.id_exclusive)


@dataclass(frozen=True, kw_only=True)
class Around:
    """What an answer says of the list around the part that it holds."""

    members: Json
    """Beside `items`."""
    links: dict[str, str]
    """By what they are, the most useful first."""


def around_keyset(target: Target, page: KeysetPage, found: FoundPage[SummaryText]) -> Around:
    """Tell what is around a part that was found by an id."""
    executions = found.executions

    def at(limit: int, reference: str | None) -> str:
        return target.with_query({'before': None, 'limit': limit, 'id_exclusive': reference})

    links = {}
    if found.more is not None:
        links['next'] = at(page.limit, found.more)
    if executions and page.reference is not None:
        links['prev'] = at(-page.limit, executions[0 if page.limit < 0 else -1].execution_id)
    links |= {'first': at(page.limit, None), 'last': at(-page.limit, None)}
    members: Json = {'next': links['next']} if 'next' in links else {}
    return Around(members=members | _incomplete(found.complete), links=links)


def around_numbered(
    target: Target,
    page: NumberedPage,
    total: int,
    *,
    shown: int,
    approximate: bool = False,
    complete: bool = True,
) -> Around:
    """Tell what is around a page that was found by its number; `shown` are on it."""
    pages = -(-total // page.size)
    # An estimate may fall short: where a page is full there may be another one.
    goes_on = page.number < pages or (approximate and shown == page.size)

    def at(number: int) -> str:
        return target.with_query({'page': number})

    links = {}
    if goes_on:
        links['next'] = at(page.number + 1)
    if page.number > 1:
        links['prev'] = at(page.number - 1 if approximate else min(page.number - 1, pages or 1))
    links['first'] = at(1)
    if pages and not approximate:
        links['last'] = at(pages)
    pagination: Json = {
        'page': page.number,
        'page_size': page.size,
        'total_items': total,
        'total_pages': pages,
    }
    if approximate:
        pagination['approximate'] = True
    members: Json = {'pagination': pagination}
    if 'next' in links:
        members['next'] = links['next']
    return Around(members=members | _incomplete(complete), links=links)


def _incomplete(complete: bool) -> Json:
    return {} if complete else {'complete': False}
