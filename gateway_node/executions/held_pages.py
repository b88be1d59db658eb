# SPDX-License-Identifier: Apache-2.0
"""The pages that were found last, which are found again as long as nothing happened."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.pages import FoundNumberedPage, FoundPage
from gateway_node.executions.store_ports import EventLog
from gateway_node.executions.summary_texts import SummaryText

MAX_PAGES = 8
"""Each client has one or two that it asks for again and again."""
MAX_EXECUTIONS = 100
"""Of a page that is held: some 100 KB."""

Page = TypeVar('Page')
Found = TypeVar('Found', bound=FoundPage[SummaryText] | FoundNumberedPage[SummaryText])


class HeldPages(Generic[Page, Found]):
    """Finds pages of one kind.

    All that lists tell changes with an event of the log. So what was found before the last one
    is found no more, and what was found since is what the store would find.
    """

    def __init__(
        self, log: EventLog, find: Callable[[ExecutionFilter, Page], Awaitable[Found]]
    ) -> None:
        """`find` asks the store."""
        self._log = log
        self._find = find
        self._end = log.end
        self._held: deque[tuple[ExecutionFilter, Page, Found]] = deque(maxlen=MAX_PAGES)

    async def find(self, wanted: ExecutionFilter, page: Page) -> Found:
        """Return a page of the executions that are wanted; raises what the store raises."""
        if self._end != self._log.end:
            self._end = self._log.end
            self._held.clear()
        for held_wanted, held_page, held in self._held:
            if held_page == page and held_wanted == wanted:
                return held
        # Before the store is asked: what happens meanwhile may be in the page, or not.
        end = self._log.end
        found = await self._find(wanted, page)
        if end == self._log.end == self._end and len(found.executions) <= MAX_EXECUTIONS:
            self._held.append((wanted, page, found))
        return found
