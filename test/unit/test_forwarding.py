# SPDX-License-Identifier: Apache-2.0
"""What proxies say of a request is believed where they are trusted."""

import ipaddress

import pytest

from gateway_node.http_server.errors import InvalidRequest
from gateway_node.http_server.forwarding import Forwarded, TrustedProxies

PROXY = '10.0.0.7'
TRUSTED = TrustedProxies(map(ipaddress.ip_network, (PROXY, '10.1.0.0/16', 'fd00::/8')))


def client(*forwarded_for: str, peer: str = PROXY) -> str:
    return TRUSTED.read(peer, forwarded_for=forwarded_for, prefixes=()).client


def prefix(*named: str) -> str:
    return TRUSTED.read(PROXY, forwarded_for=(), prefixes=named).prefix


@pytest.mark.parametrize('trusted', [TRUSTED, TrustedProxies()])
@pytest.mark.parametrize('peer', ['10.0.0.8', '192.0.2.9', '::1', 'unknown'])
def test_who_is_not_trusted_says_nothing(peer: str, trusted: TrustedProxies) -> None:
    """Neither an address nor a prefix is taken, and a bad one is no error."""
    said = trusted.read(peer, forwarded_for=['192.0.2.1'], prefixes=['//evil.example'])
    assert said == Forwarded(client=peer, prefix='')


@pytest.mark.parametrize('peer', [PROXY, '10.1.2.3', 'fd00::7', '::ffff:10.0.0.7'])
def test_a_trusted_proxy_names_the_client(peer: str) -> None:
    """By its address, or as one of a network, of either family."""
    assert client('192.0.2.1', peer=peer) == '192.0.2.1'


@pytest.mark.parametrize(
    ('forwarded_for', 'expected'),
    [
        ((), PROXY),
        (('192.0.2.1, 10.1.0.3, 10.1.0.2',), '192.0.2.1'),
        (('192.0.2.1', '10.1.0.3'), '192.0.2.1'),
        (('203.0.113.9, 192.0.2.1',), '192.0.2.1'),
        (('127.0.0.1, 203.0.113.9, 192.0.2.1, 10.1.0.3',), '192.0.2.1'),
        (('10.1.0.4, 10.1.0.3',), '10.1.0.4'),
    ],
)
def test_the_client_is_the_first_before_the_trusted_proxies(
    forwarded_for: tuple[str, ...], expected: str
) -> None:
    """What a client writes itself stands before its own address, and is not reached."""
    assert client(*forwarded_for) == expected


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('192.0.2.1:4711', '192.0.2.1'),
        ('[2001:DB8::1]:4711', '2001:db8::1'),
        ('[2001:db8::1]', '2001:db8::1'),
        ('2001:db8:0::1', '2001:db8::1'),
        ('::ffff:192.0.2.1', '192.0.2.1'),
        ('fe80::1%<b>', 'fe80::1'),
    ],
)
def test_an_address_is_read_as_proxies_write_it(text: str, expected: str) -> None:
    """With or without a port; what is kept is the address alone, in one form."""
    assert client(text) == expected


@pytest.mark.parametrize('text', ['unknown', '', '_hidden', 'unix:', '192.0.2', '1' * 60_000])
def test_what_is_no_address_ends_what_is_known(text: str) -> None:
    """The client is then the farthest address that a trusted proxy named."""
    assert client(f'192.0.2.1, {text}') == PROXY
    assert client(f'192.0.2.1, {text}, 10.1.0.3') == '10.1.0.3'


def test_a_chain_is_followed_within_bounds() -> None:
    """A client among the proxies cannot have a list read that never ends."""
    assert client(','.join(['192.0.2.1', *['10.1.0.3'] * 20_000])) == '10.1.0.3'


@pytest.mark.parametrize('named', ['', '/robots/r1', '/r1', '/a.b/~c_d-e', f'/{"r" * 255}'])
def test_a_trusted_proxy_names_the_prefix(named: str) -> None:
    """It is a path of plain segments; empty is none."""
    assert prefix(named) == named


@pytest.mark.parametrize(
    'named',
    [
        '/',
        '//evil.example',
        '/r1/',
        'r1',
        'https://evil.example',
        '/r1//x',
        '/r1/../x',
        '/.',
        '/r1?x',
        '/r1#x',
        '/r%2f1',
        '/r 1',
        '/r1\\x',
        '/r1\x7f',
        '/r1\n',
        '/röbot',
        f'/{"r" * 256}',
    ],
)
def test_a_prefix_that_is_none_is_refused(named: str) -> None:
    """The message names the header, its value and what is allowed."""
    with pytest.raises(InvalidRequest, match=r'X-Forwarded-Prefix is .*; allowed: once, segments'):
        prefix(named)


def test_several_prefixes_are_refused() -> None:
    """Nobody can tell which of them the proxy wrote, and which it passed on."""
    for named in (('/robots', '/r1'), ('/robots,/r1',)):
        with pytest.raises(InvalidRequest, match='X-Forwarded-Prefix'):
            prefix(*named)
