# SPDX-License-Identifier: Apache-2.0
"""Which part of the executions that a filter finds, and what was found of it."""

from dataclasses import dataclass
import enum
from typing import Generic, TypeVar

T_co = TypeVar('T_co', covariant=True)
"""What stands for each execution."""

MAX_LIMIT = 1000
"""Executions of one page."""


@dataclass(frozen=True, kw_only=True)
class KeysetPage:
    """So many executions before or after one, by id."""

    limit: int
    """Above 0: the next ones above the reference, or the oldest; below 0: those below it, or the
    newest. At most MAX_LIMIT either way."""
    reference: str | None = None
    """An id, itself not among them; nothing of that id has to exist any more."""
    below: int | None = None
    """The number of an id, from which on nothing is told; None where all is."""


class Order(enum.Enum):
    """What a numbered page is sorted by, the greatest first; where two are equal, by id."""

    ID = 'id'
    """The newest first."""
    CREATED = 'created'
    """By the wall clock, which may have been set back."""
    COMPLETED = 'completed'
    """By the wall clock; open ones, which are not completed, are last."""
    DURATION = 'duration'
    """Open ones, and those whose duration nobody measured, are last."""


@dataclass(frozen=True, kw_only=True)
class NumberedPage:
    """One of the pages that a list has at the moment."""

    number: int
    """From 1."""
    size: int
    """Executions on each; at most MAX_LIMIT."""
    order: Order = Order.ID


@dataclass(frozen=True, kw_only=True)
class FoundPage(Generic[T_co]):
    """What a keyset page found, newest first."""

    executions: tuple[T_co, ...]
    """Each as its summary tells it."""
    more: str | None
    """The reference behind which there may be more in the page's direction; None where there are
    none."""
    complete: bool = True
    """False where a bounded number of rows was looked at and there may be more behind them: the
    page is shorter than asked for, perhaps empty, and `more` leads on."""


@dataclass(frozen=True, kw_only=True)
class FoundNumberedPage(Generic[T_co]):
    """What a numbered page found, in its order."""

    executions: tuple[T_co, ...]
    """Each as its summary tells it."""
    total: int
    """Executions on all pages."""
    approximate: bool = False
    """True where counting them all would have taken too long: `total` is then an estimate."""
    complete: bool = True
    """False where getting to the page would have taken too long: it lacks some or all."""
