# SPDX-License-Identifier: Apache-2.0
"""The last lines of /rosout, bounded."""

import datetime

from gateway_node.evidence.values import LogLine
from gateway_node.ros.log_ring import LogRing

AT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def line(received: float, node: str = 'arm', message: str = 'text') -> LogLine:
    """Return a line that came at some time."""
    return LogLine(received=received, at=AT, level='INFO', node=node, message=message)


def test_lines_of_a_part_of_time_are_told_in_order() -> None:
    """From its begin up to, and without, its end."""
    ring = LogRing()
    lines = [line(float(number)) for number in range(10)]
    for each in lines:
        ring.add(each)
    found = ring.between(3.0, 7.0)
    assert found.lines == tuple(lines[3:7])
    assert found.lost == 0


def test_a_logger_that_floods_pushes_out_its_own_lines_only() -> None:
    """It has a quarter of the ring."""
    ring = LogRing(max_lines=100)
    ring.add(line(1.0, 'quiet'))
    for number in range(1000):
        ring.add(line(2.0 + number, 'flood'))
    found = ring.between(0.0, 2000.0)
    assert [each.node for each in found.lines].count('quiet') == 1
    assert [each.received for each in found.lines[1:]] == [float(at) for at in range(977, 1002)]
    assert found.lost == 975


def test_what_many_loggers_say_is_bounded() -> None:
    """The oldest lines go, whoever logged them, and are counted by their time."""
    ring = LogRing(max_lines=100)
    for number in range(1000):
        ring.add(line(float(number), f'logger_{number}'))
    found = ring.between(0.0, 1000.0)
    assert [each.received for each in found.lines] == [float(at) for at in range(900, 1000)]
    assert found.lost == 900
    assert ring.between(900.0, 1000.0).lost == 0


def test_long_lines_are_bounded_together() -> None:
    """Whoever logs much holds little of it."""
    ring = LogRing(max_characters=100)
    for number in range(10):
        ring.add(line(float(number), message='x' * 30))
    found = ring.between(0.0, 10.0)
    assert [each.received for each in found.lines] == [7.0, 8.0, 9.0]
    assert found.lost == 7


def test_lines_that_were_never_seen_count_as_lost() -> None:
    """As those that are not held any more."""
    ring = LogRing()
    ring.miss(5.0, 40)
    ring.add(line(5.0))
    assert ring.between(4.0, 6.0).lost == 40
    ring.clear()
    assert ring.between(0.0, 10.0).lost == 0
    assert ring.between(0.0, 10.0).lines == ()
