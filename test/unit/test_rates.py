# SPDX-License-Identifier: Apache-2.0
"""Token buckets: how many requests may come from whom."""

import datetime

from fakes import FakeClock
import pytest

from gateway_node.access import rates as rates_module
from gateway_node.access.errors import RateLimited
from gateway_node.access.rates import Rates, RateSettings

CLIENT = '192.0.2.7'


class Door:
    """Rates, and the clock that they go by: five at once, two a second."""

    def __init__(self, requests_per_sec: float = 2.0, burst: int = 5) -> None:
        self.clock = FakeClock()
        settings = RateSettings(requests_per_sec=requests_per_sec, burst=burst)
        self.rates = Rates(settings, self.clock.monotonic)

    def passed(self, times: int, client: str = CLIENT, name: str | None = None) -> int:
        """Send requests; return how many pass."""
        passed = 0
        for _ in range(times):
            try:
                self.rates.take(client, name)
            except RateLimited:
                continue
            passed += 1
        return passed


def test_a_burst_passes_and_then_the_rate() -> None:
    """What was refused does not count; nobody saves up more than a burst."""
    door = Door()
    assert door.passed(20) == 5
    door.clock.advance(0.4)
    assert door.passed(20) == 0
    door.clock.advance(0.1)
    assert door.passed(20) == 1
    door.clock.advance(3600)
    assert door.passed(20) == 5


@pytest.mark.parametrize('requests_per_sec', [0.1, 0.3, 3.0, 7.0, 100.0, 99999.0])
def test_who_keeps_to_the_rate_is_never_refused(requests_per_sec: float) -> None:
    """Whatever floats make of it, also where one at a time may come."""
    door = Door(requests_per_sec, burst=1)
    for _ in range(1000):
        assert door.passed(1) == 1
        door.clock.seconds += 1 / requests_per_sec


def test_who_is_refused_hears_how_long_to_wait() -> None:
    """In whole seconds, rounded up: who comes then is let in."""
    door = Door(requests_per_sec=0.4, burst=1)
    door.passed(1)
    with pytest.raises(RateLimited) as caught:
        door.rates.take(CLIENT)
    assert caught.value.headers == {'Retry-After': '3'}
    assert 'rate_limit.requests_per_sec' in str(caught.value)
    door.clock.advance(3)
    assert door.passed(1) == 1


def test_names_and_addresses_have_buckets_of_their_own() -> None:
    """A name has one wherever it comes from; who has none shares one with their address. So a
    stranger keeps nobody out who comes from the same address and has a name."""
    door = Door()
    assert door.passed(20) == 5
    assert door.passed(20, name='anna') == 5
    assert door.passed(20, '198.51.100.1', 'anna') == 0
    assert door.passed(20, name='bert') == 5
    assert door.passed(20, '198.51.100.1') == 5
    assert door.passed(20, name=CLIENT) == 5


def test_an_address_of_ipv6_is_its_network() -> None:
    """Who has one has 2**64 of them; IPv4 in the clothes of IPv6 is IPv4."""
    door = Door()
    assert door.passed(20, '2001:db8::1') == 5
    assert door.passed(20, '2001:db8::ffff:1') == 0
    assert door.passed(20, '2001:db8:0:1::1') == 5
    assert door.passed(20) == 5
    assert door.passed(20, f'::ffff:{CLIENT}') == 0


@pytest.mark.parametrize('client', ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1'])
def test_this_host_is_not_counted(client: str) -> None:
    """Nor is a name that comes from it: scripts have those of who started them."""
    door = Door()
    assert door.passed(100, client) == 100
    assert door.passed(100, client, 'anna') == 100
    assert door.passed(20, name='anna') == 5


def test_without_a_rate_nobody_is_counted() -> None:
    """0 stands for any number."""
    assert Door(requests_per_sec=0).passed(1000) == 1000


def test_the_wall_clock_has_no_part_in_it() -> None:
    """Set back a year, it keeps nobody out for one."""
    door = Door()
    door.passed(5)
    door.clock.wall -= datetime.timedelta(days=366)
    door.clock.seconds += 0.5
    assert door.passed(20) == 1


def test_the_memory_of_buckets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who came last longest ago is forgotten, to their advantage."""
    monkeypatch.setattr(rates_module, 'MAX_BUCKETS', 3)
    door = Door()
    for last in range(3):
        door.passed(5, f'192.0.2.{last}')
    door.clock.advance(0.5)
    assert door.passed(5, '192.0.2.0') == 1
    door.passed(1, '192.0.2.3')
    assert door.passed(9, '192.0.2.0') == 0
    assert door.passed(9, '192.0.2.1') == 5
