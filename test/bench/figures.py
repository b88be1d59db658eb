# SPDX-License-Identifier: Apache-2.0
"""Series of measurements, what they are held against, and the table that shows both."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
import statistics
import time


@dataclass(frozen=True, kw_only=True)
class Series:
    """Measurements of one thing."""

    values: Sequence[float]
    unit: str = 'ms'

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    def percentile(self, percent: int) -> float:
        """Return the value that `percent` of a hundred do not exceed."""
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a figure should be, and whether it is."""

    text: str
    met: bool

    def __str__(self) -> str:
        return f'{self.text}: {"met" if self.met else "MISSED"}'


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table."""

    figure: str
    series: Series | None = None
    """None where it could not be measured; the figure tells why."""
    ratio: float | None = None
    """To the peer, as the function `ratio` has it."""
    goal: Goal | None = None


def at_most(limit: float, value: float, what: str, unit: str = '') -> Goal:
    """Return the goal that `value` is not above `limit`; `what` names the value."""
    end = f' {unit}' if unit else ''
    return Goal(
        text=f'{what} {_rounded(value)}{end}, at most {_rounded(limit)}{end}', met=value <= limit
    )


def at_least(limit: float, value: float, what: str) -> Goal:
    """Return the goal that `value` is not below `limit`; `what` names the value."""
    return Goal(text=f'{what} {_rounded(value)}, at least {_rounded(limit)}', met=value >= limit)


def ratio(measured: Series, peer: Series) -> float:
    """Return how often `peer` fits into `measured`: the median of the quotients of each round,
    where they were interleaved, so that a slow moment of the machine falls out."""
    return statistics.median(
        ours / theirs for ours, theirs in zip(measured.values, peer.values, strict=True)
    )


def surplus(measured: Series, peer: Series) -> float:
    """Return how much `measured` is above `peer`: the median of the differences of each round."""
    return statistics.median(
        ours - theirs for ours, theirs in zip(measured.values, peer.values, strict=True)
    )


def elapsed_ms(action: Callable[[], object]) -> float:
    """Return how long an action takes."""
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1000


def interleaved(count: int, *measures: Callable[[], float]) -> list[Series]:
    """Measure each `count` times in turn, so that what the machine does meanwhile hits all alike.

    One round before is not counted.
    """
    values: list[list[float]] = [[] for _ in measures]
    for measure in measures:
        measure()
    for position in turns(count, len(measures)):
        values[position].append(measures[position]())
    return [Series(values=each) for each in values]


async def interleaved_on_loop(
    count: int, *measures: Callable[[], Awaitable[float]]
) -> list[Series]:
    """As `interleaved`, on the event loop."""
    values: list[list[float]] = [[] for _ in measures]
    for measure in measures:
        await measure()
    for position in turns(count, len(measures)):
        values[position].append(await measures[position]())
    return [Series(values=each) for each in values]


def turns(count: int, measures: int) -> Iterator[int]:
    """Return whose turn it is, `count` rounds long; every other round goes backwards, so that
    nothing is always first."""
    for number in range(count):
        forwards = range(measures)
        yield from reversed(forwards) if number % 2 else forwards


def table(name: str, lines: Sequence[Line]) -> str:
    """Return the lines of one row of the benchmarks as plain text."""
    cells = [('', 'median', 'min', 'q1', 'q3', 'max', 'n', 'ratio', 'goal'), *map(_cells, lines)]
    cells[0] = (name, *cells[0][1:])
    widths = [max(len(each[column]) for each in cells) for column in range(len(cells[0]))]
    return '\n'.join(
        '  '.join(
            cell.ljust(width) if column in (0, 8) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(each, widths, strict=True))
        ).rstrip()
        for each in cells
    )


def _cells(line: Line) -> tuple[str, ...]:
    return (
        f'  {line.figure}',
        *_spread(line.series),
        '' if line.ratio is None else f'{line.ratio:.2f}',
        '' if line.goal is None else str(line.goal),
    )


def _spread(series: Series | None) -> tuple[str, ...]:
    if series is None:
        return ('',) * 6
    values = series.values
    first, _, third = (
        statistics.quantiles(values, method='inclusive') if len(values) > 1 else (*values,) * 3
    )
    return (
        f'{_rounded(series.median)} {series.unit}',
        *map(_rounded, (min(values), first, third, max(values))),
        str(len(values)),
    )


def _rounded(value: float) -> str:
    """Return three digits that count, without an exponent."""
    return f'{value:.0f}' if value >= 100 else f'{value:.3g}'
