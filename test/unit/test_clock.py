# SPDX-License-Identifier: Apache-2.0
"""The clocks, and how moments are written."""

import datetime

from gateway_node.clock import rfc3339, SystemClock


def test_a_moment_is_written_in_utc_with_z_to_the_millisecond() -> None:
    """Whatever its zone, and also where the fraction is zero."""
    east = datetime.timezone(datetime.timedelta(hours=2))
    moment = datetime.datetime(2026, 1, 2, 1, 4, 5, 678_999, tzinfo=east)
    assert rfc3339(moment) == '2026-01-01T23:04:05.678Z'
    whole = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    assert rfc3339(whole) == '2026-01-02T00:00:00.000Z'


def test_what_was_written_reads_as_the_same_moment() -> None:
    """To the millisecond."""
    now = SystemClock().now()
    read = datetime.datetime.fromisoformat(rfc3339(now))
    assert datetime.timedelta(0) <= now - read < datetime.timedelta(milliseconds=1)
