# SPDX-License-Identifier: Apache-2.0
"""Callbacks go where `callbacks.allowed` says, and nowhere that a name or a number hides."""

import ipaddress

from hypothesis import given
from hypothesis import strategies as st
import pytest

from gateway_node.callbacks.allowed import AllowedDestinations, destination_of, entry_of
from gateway_node.callbacks.errors import EntryInvalid
from gateway_node.callbacks.special_addresses import Address, is_public, reached_by
from gateway_node.executions.errors import CallbackRefused


def allowed(*entries: str) -> AllowedDestinations:
    return AllowedDestinations(map(entry_of, entries))


def may_go(url: str, *entries: str) -> bool:
    try:
        allowed(*entries).check(url)
    except CallbackRefused:
        return False
    return True


@pytest.mark.parametrize(
    ('url', 'host', 'port'),
    [
        ('http://fleet.example', 'fleet.example', 80),
        ('https://fleet.example', 'fleet.example', 443),
        ('HTTPS://Fleet.Example:8443/a/b?c=d%20e', 'fleet.example', 8443),
        ('http://fleet?x', 'fleet', 80),
        ('http://a_b-c.example/', 'a_b-c.example', 80),
        ('http://4pple.3com/', '4pple.3com', 80),
        ('http://10.0.0.7:81/x', '10.0.0.7', 81),
        ('http://[fd00::1]:81/x', 'fd00::1', 81),
        ('http://xn--bcher-kva.example/', 'xn--bcher-kva.example', 80),
    ],
)
def test_a_url_names_a_host_and_a_port(url: str, host: str, port: int) -> None:
    """In lower case; the port of the scheme where it has none."""
    destination = destination_of(url)
    assert (destination.host, destination.port) == (host, port)


@pytest.mark.parametrize(
    'url',
    [
        '',
        'fleet.example',
        '//fleet.example/',
        'ftp://fleet.example/',
        'file:///etc/passwd',
        'http:fleet.example',
        'http:///fleet.example',
        'http://',
        'http://user@fleet.example/',
        'http://user:pass@fleet.example/',
        'http://fleet.example@10.0.0.1/',
        'http://fleet.example/#part',
        'http://fleet.example\\@10.0.0.1/',
        'http://fleet.example:0/',
        'http://fleet.example:65536/',
        'http://fleet.example:/',
        'http://fleet.example:80:80/',
        'http://fleet.example /',
        'http://fleet.example/a b',
        'http://fleet.example/\r\nX-Header: 1',
        'http://fleet.example/\n',
        'http://fleet.example/%zz',
        'http://fleet.example./',
        'http://.fleet.example/',
        'http://fleet..example/',
        'http://-fleet.example/',
        'http://*.example/',
        'http://fl\u00e9et.example/',
        'http://\uff11\uff10.0.0.1/',
        'http://\u212aelvin.example/',
        'http://fleet%2eexample/',
        'http://2130706433/',
        'http://0x7f000001/',
        'http://0x7f.1/',
        'http://127.1/',
        'http://127.0.0.1./',
        'http://127.0.0.01/',
        'http://0177.0.0.1/',
        'http://256.0.0.1/',
        'http://1.2.3.4.5/',
        'http://a.b.0/',
        'http://a.0x1/',
        'http://[::1/',
        'http://::1/',
        'http://[127.0.0.1]/',
        'http://[fe80::1%25eth0]/',
        'http://[fe80::1%eth0]/',
        'http://[v1.x]/',
        f'http://fleet.example/{"a" * 2048}',
        f'http://{"a" * 64}.example/',
    ],
)
def test_what_hides_where_it_leads_is_no_url_of_a_callback(url: str) -> None:
    """One form of each host: what this reads is what every library reads."""
    with pytest.raises(CallbackRefused, match='allowed: an http or https URL') as refused:
        destination_of(url)
    assert refused.value.violations[0].path == '/body/callback'


def test_nothing_is_allowed_unless_it_is_listed() -> None:
    """The message names the parameter."""
    with pytest.raises(CallbackRefused, match=r"callback is 'http://a/'; .* callbacks\.allowed"):
        allowed().check('http://a/')


@pytest.mark.parametrize(
    ('entry', 'url', 'expected'),
    [
        ('fleet.example', 'http://fleet.example/', True),
        ('Fleet.Example', 'https://FLEET.example:8443/', True),
        ('fleet.example', 'http://a.fleet.example/', False),
        ('fleet.example', 'http://fleet.example.evil/', False),
        ('fleet.example', 'http://notfleet.example/', False),
        ('fleet.example:443', 'https://fleet.example/', True),
        ('fleet.example:443', 'http://fleet.example/', False),
        ('*.fleet.example', 'http://a.fleet.example/', True),
        ('*.fleet.example', 'http://a.b.fleet.example/', True),
        ('*.fleet.example', 'http://fleet.example/', False),
        ('*.fleet.example', 'http://afleet.example/', False),
        ('*.fleet.example:81', 'http://a.fleet.example:81/', True),
        ('*.fleet.example:81', 'http://a.fleet.example/', False),
        ('10.0.0.7', 'http://10.0.0.7/', True),
        ('10.0.0.7', 'http://10.0.0.8/', False),
        ('10.0.0.7', 'http://[::ffff:10.0.0.7]/', True),
        ('10.0.0.7', 'http://[64:ff9b::10.0.0.7]/', True),
        ('10.0.0.7', 'http://[64:ff9b::10.0.0.8]/', False),
        ('10.0.0.0/8:81', 'http://10.1.2.3:81/', True),
        ('10.0.0.0/8:81', 'http://10.1.2.3:82/', False),
        ('10.0.0.0/8', 'http://fleet.example/', False),
        ('fleet.example', 'http://10.0.0.7/', False),
        ('93.184.216.34', 'http://93.184.216.34/', True),
        ('fleet.example', 'http://93.184.216.34/', False),
        ('fd00::/8', 'http://[fd12::1]/', True),
        ('[fd00::/8]:81', 'http://[fd12::1]:81/', True),
        ('[fd00::/8]:81', 'http://[fd12::1]/', False),
        ('::/0', 'http://[::ffff:10.0.0.7]/', False),
        ('0.0.0.0/0', 'http://[::1]/', False),
        ('localhost', 'http://localhost/', True),
        ('localhost', 'http://127.0.0.1/', True),
        ('localhost', 'http://127.9.9.9/', True),
        ('localhost', 'http://[::1]/', True),
        ('localhost', 'http://[::ffff:127.0.0.1]/', True),
        ('localhost:81', 'http://127.0.0.1/', False),
        ('localhost', 'http://10.0.0.1/', False),
        ('localhost', 'http://a.localhost/', False),
    ],
)
def test_an_entry_allows_what_it_names(entry: str, url: str, expected: bool) -> None:
    """A name needs an entry with the name, an address one that contains it; the port too."""
    assert may_go(url, entry) is expected


@pytest.mark.parametrize(
    'entry',
    [
        ' ',
        '*',
        '*:80',
        'a.*.example',
        '*fleet.example',
        'http://fleet.example',
        'fleet.example/path',
        'fleet.example:0',
        'fleet.example:65536',
        'fleet.example:',
        '10.0.0.1/8',
        '10.0.0.0/33',
        '10.0.0',
        '127.1',
        '0x7f.1',
        'fd00::1/8',
        'fd00::/8:81:x',
        '[10.0.0.1]',
        '[fd00::/8',
        '::ffff:10.0.0.0/104',
        '64:ff9b::/96',
        'fe80::1%eth0',
        'fl\u00e9et.example',
    ],
)
def test_what_is_no_entry_is_refused(entry: str) -> None:
    """A slip must not allow more, or less, than somebody means."""
    with pytest.raises(EntryInvalid):
        entry_of(entry)


SPECIAL = [
    '0.0.0.0',
    '10.255.255.255',
    '100.64.0.1',
    '127.0.0.1',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.8',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:169.254.169.254',
    '::ffff:0:127.0.0.1',
    '64:ff9b::127.0.0.1',
    '64:ff9b::10.0.0.1',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:2::1',
    '2001:db8::1',
    '2001:10::1',
    '2002:7f00:1::1',
    '2002:a00:1::1',
    '3fff::1',
    '5f00::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fe80::1%2',
    'fec0::1',
    'ff02::1',
    '4000::1',
]
PUBLIC = [
    '1.1.1.1',
    '9.255.255.255',
    '11.0.0.0',
    '93.184.216.34',
    '100.63.255.255',
    '100.128.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '223.255.255.255',
    '2001:200::1',
    '2606:4700::1111',
    '2a00:1450:4001::1',
    '::ffff:1.1.1.1',
    '64:ff9b::1.1.1.1',
]


@pytest.mark.parametrize('text', SPECIAL)
def test_no_name_leads_to_an_address_that_is_not_public(text: str) -> None:
    """Private, shared, loopback, link-local (clouds' metadata), multicast, reserved, tunnelled or
    translated: whatever resolves to it."""
    address = ipaddress.ip_address(text)
    assert not allowed('fleet.example', '*.example').permits(address, 80)


@pytest.mark.parametrize('text', PUBLIC)
def test_a_name_leads_to_a_public_address(text: str) -> None:
    """Without an entry of its own."""
    assert allowed('fleet.example').permits(ipaddress.ip_address(text), 80)


@pytest.mark.parametrize('text', SPECIAL)
def test_an_entry_opens_the_address_that_it_contains(text: str) -> None:
    """And no other port where it names one."""
    address = ipaddress.ip_address(text.partition('%')[0])
    reached = reached_by(address)
    entry = f'[{reached}]:81' if reached.version == 6 else f'{reached}:81'
    assert allowed(entry).permits(address, 81)
    assert not allowed(entry).permits(address, 80)


@given(address=st.ip_addresses())
def test_what_python_calls_private_is_not_public(address: Address) -> None:
    """A second opinion: `ipaddress` knows most of the registries."""
    reached = reached_by(address)
    if not reached.is_global or reached.is_multicast:
        # Some protocol assignments of 192.0.0.0/24 and 2001::/23 are global; here none is.
        assert not is_public(reached)


@given(url=st.text(max_size=30) | st.from_regex('https?://[^/]{0,20}(/.{0,5})?', fullmatch=True))
def test_any_text_is_a_url_or_refused(url: str) -> None:
    """Never anything else."""
    may_go(url, 'fleet.example')
