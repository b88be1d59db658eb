# SPDX-License-Identifier: Apache-2.0
"""The places of streams: how many there are for an address, for an identity, and for all."""

import contextlib
from dataclasses import replace

from clients import CLIENT
import pytest

from gateway_node.executions.actors import Actor
from gateway_node.http_server.errors import TooManyStreams
from gateway_node.http_server.stream_places import StreamPlaces, StreamSettings

ANNA = replace(CLIENT, name='anna')
ELSEWHERE = '198.51.100.1'


def may_read(places: StreamPlaces, reader: Actor) -> bool:
    """Tell whether somebody gets a further stream."""
    try:
        places.check(reader)
    except TooManyStreams:
        return False
    return True


def test_an_identity_has_as_many_as_an_address() -> None:
    """Wherever it reads from; and an address no more than that, whoever reads there."""
    places = StreamPlaces(StreamSettings(max_streams=10, max_per_client=2))
    with places.taken(ANNA), places.taken(replace(ANNA, origin=ELSEWHERE)):
        assert not may_read(places, replace(ANNA, origin='203.0.113.1'))
        assert may_read(places, replace(ANNA, name='bert'))
        with places.taken(CLIENT):
            assert not may_read(places, replace(ANNA, name='bert'))
            assert len(places) == 3
        assert may_read(places, CLIENT)
    assert may_read(places, ANNA)
    assert places.counts == {'open': 0, 'limit': 10, 'refused': 2}


def test_an_address_of_ipv6_is_its_network() -> None:
    """Who has one has 2**64 of them."""
    places = StreamPlaces(StreamSettings(max_per_client=1))
    with places.taken(replace(CLIENT, origin='2001:db8::1')):
        assert not may_read(places, replace(CLIENT, origin='2001:db8::2'))
        assert may_read(places, replace(CLIENT, origin='2001:db8:0:1::1'))


def test_a_stream_that_fails_frees_its_place() -> None:
    """However it ends."""
    places = StreamPlaces(StreamSettings(max_streams=1))
    with contextlib.suppress(ConnectionError), places.taken(ANNA):
        assert not may_read(places, CLIENT)
        raise ConnectionError
    places.check(CLIENT)
    with pytest.raises(TooManyStreams, match=r'streams\.max\b'), places.taken(CLIENT):
        places.check(replace(CLIENT, origin=ELSEWHERE))
