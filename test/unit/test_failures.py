# SPDX-License-Identifier: Apache-2.0
"""Who shows wrong secrets is slowed down, and nobody beside them."""

from fakes import FakeClock
import pytest

from gateway_node.access import failures as failures_module
from gateway_node.access.client_addresses import is_loopback, network_of
from gateway_node.access.errors import TooManyFailures
from gateway_node.access.failures import Failures, FREE_FAILURES

CLIENT = '192.0.2.7'


def fail(failures: Failures, times: int, client: str = CLIENT) -> None:
    """Show wrong secrets that are looked at."""
    for _ in range(times):
        failures.check(client, 'wrong')
        failures.failed(client)


def wait_of(failures: Failures, client: str = CLIENT, secret: str = 'next') -> str | None:
    """Return how long a client is told to wait; None where its secret is looked at."""
    try:
        failures.check(client, secret)
    except TooManyFailures as error:
        return error.headers['Retry-After']
    return None


def test_each_failure_beyond_the_first_few_doubles_the_wait() -> None:
    """From a second to a minute; what comes meanwhile is not looked at."""
    clock = FakeClock()
    failures = Failures(clock.monotonic)
    fail(failures, FREE_FAILURES - 1)
    assert wait_of(failures) is None
    waits = []
    for _ in range(8):
        fail(failures, 1)
        wait = wait_of(failures)
        assert wait is not None
        waits.append(int(wait))
        clock.advance(waits[-1])
        assert wait_of(failures) is None
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_failure_is_forgotten_a_minute_after_its_wait() -> None:
    """Who is wrong now and then never waits."""
    clock = FakeClock()
    failures = Failures(clock.monotonic)
    for _ in range(10):
        fail(failures, FREE_FAILURES - 1)
        clock.advance(60)
        assert wait_of(failures) is None


def test_what_was_right_from_there_before_is_looked_at_all_the_same() -> None:
    """One client that is wrong keeps no other one behind its address out."""
    failures = Failures(FakeClock().monotonic)
    failures.succeeded(CLIENT, 'right')
    failures.succeeded('192.0.2.8', 'of another address')
    fail(failures, FREE_FAILURES)
    assert wait_of(failures, secret='right') is None
    assert wait_of(failures, secret='of another address') == '1'


def test_a_success_forgives_no_failure() -> None:
    """Who guesses behind the address of one that is right would else never wait."""
    failures = Failures(FakeClock().monotonic)
    fail(failures, FREE_FAILURES - 1)
    failures.succeeded(CLIENT, 'right')
    fail(failures, 1)
    assert wait_of(failures) == '1'


@pytest.mark.parametrize(
    ('one', 'another', 'is_same'),
    [
        ('2001:db8::1', '2001:db8::ffff:1', True),
        ('2001:db8::1', '2001:db8:0:1::1', False),
        ('::ffff:192.0.2.7', '192.0.2.7', True),
        ('192.0.2.7', '192.0.2.8', False),
        ('::1', '::2', False),
        ('fe80::1%eth0', 'fe80::2%eth1', True),
        ('unknown', 'unknown', True),
    ],
)
def test_all_addresses_that_one_client_may_take_count_as_one(
    one: str, another: str, *, is_same: bool
) -> None:
    """Of IPv6 that is a /64."""
    assert (network_of(one) == network_of(another)) is is_same
    failures = Failures(FakeClock().monotonic)
    fail(failures, FREE_FAILURES, one)
    assert (wait_of(failures, another) is not None) is is_same


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came last stays."""
    monkeypatch.setattr(failures_module, 'MAX_CLIENTS', 3)
    monkeypatch.setattr(failures_module, 'MAX_PROVEN', 3)
    failures = Failures(FakeClock().monotonic)
    clients = [f'192.0.2.{number}' for number in range(5)]
    for client in clients:
        fail(failures, FREE_FAILURES, client)
    assert [wait_of(failures, client) for client in clients] == [None, None, '1', '1', '1']
    for client in clients:
        failures.succeeded(clients[-1], client)
    looked_at = [wait_of(failures, clients[-1], secret=client) is None for client in clients]
    assert looked_at == [False, False, True, True, True]


@pytest.mark.parametrize(
    ('client', 'expected'),
    [('127.8.8.8', True), ('::1', True), ('::ffff:127.0.0.1', True), ('192.0.2.7', False)],
)
def test_loopback_is_this_host(client: str, *, expected: bool) -> None:
    """However it is written."""
    assert is_loopback(client) is expected
    assert not is_loopback('unknown')
