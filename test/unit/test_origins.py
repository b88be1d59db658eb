# SPDX-License-Identifier: Apache-2.0
"""The rules of whose request it is: hosts, origins, sites."""

import pytest

from gateway_node.http_server.origins import (
    Authority,
    is_foreign_site,
    is_own_host,
    is_own_origin,
    own_names,
    parse_authority,
    target_authority,
)

NAMES = own_names(['robot7', 'Robot7.lab.example.'], ['fleet.example', 'Kiosk.'])


def own(text: str) -> bool | None:
    """Tell whether a `Host` is ours; None where it is no host at all."""
    authority = parse_authority(text)
    return None if authority is None else is_own_host(authority, NAMES)


@pytest.mark.parametrize(
    'text',
    [
        'localhost',
        'localhost:8080',
        'LOCALHOST:8080',
        'localhost.',
        'localhost.:8080',
        'localhost:',
        'robot7',
        'robot7.local',
        'ROBOT7.Local:80',
        'robot7.lab.example',
        'robot7.lab.example.:65535',
        'fleet.example',
        'kiosk:8080',
        '127.0.0.1',
        '127.0.0.1:8080',
        '192.168.1.7:3000',
        '8.8.8.8',
        '0.0.0.0',
        '[::1]',
        '[::1]:8080',
        '[2001:DB8::7]:8080',
        '[::ffff:127.0.0.1]',
        '[fe80::1%eth0]',
        '[fe80::1%25eth0]:8080',
    ],
)
def test_addresses_and_known_names_are_ours(text: str) -> None:
    """Any address, in any port; localhost, the host's names, what is allowed, in any case."""
    assert own(text) is True


@pytest.mark.parametrize(
    'text',
    [
        'evil.example',
        'evil.example:8080',
        'localhost.evil.example',
        'localhost.local',
        'evil.localhost',
        '127.0.0.1.evil.example',
        '127-0-0-1.evil.example',
        'robot7.evil.example',
        'robot7.lab.example.evil.example',
        'evil.robot7.local',
        'evil.fleet.example',
        'example',
        'local',
        'robot7-local',
        'robot77',
        '2130706433',
        '0x7f000001',
        '0x7f.1',
        '0177.0.0.1',
        '127.1',
        '127.0.0.01',
        '127.0.0.256',
        '127.0.0.1.1',
        'a' * 5000,
    ],
)
def test_every_other_name_is_foreign(text: str) -> None:
    """What begins or ends like ours is not ours; an address has four decimal numbers."""
    assert own(text) is False


@pytest.mark.parametrize(
    'text',
    [
        '',
        ' ',
        '.',
        ':',
        ':8080',
        'localhost:80a',
        'localhost:-1',
        'localhost:+80',
        'localhost: 80',
        'localhost:65536',
        'localhost:999999999999',
        'localhost:80:80',
        'localhost:\u0663',
        ' localhost',
        'localhost\t',
        'localhost\n',
        'localhost\0.evil.example',
        'evil@localhost',
        'user:word@127.0.0.1:80',
        'localhost/',
        'localhost/@evil.example',
        'localhost?',
        'localhost#',
        'localhost,evil.example',
        'localhost, localhost',
        'evil.example localhost',
        'localhost\\@evil.example',
        '%6cocalhost',
        'l\xf6calhost',
        '\uff4cocalhost',
        'lo\u017fcalhost',
        '::1',
        '[::1',
        '::1]',
        '[::1]]',
        '[]',
        '[127.0.0.1]',
        '[localhost]',
        '[::1]evil.example',
        '[::1]80',
        '[::g]',
        '[1:2:3:4:5:6:7:8:9]',
        '[::1%]',
        '[::1%a%b]',
        '[v1.a]',
        'http://localhost',
        '*',
    ],
)
def test_what_is_no_host_at_all_is_told_apart(text: str) -> None:
    """User information, paths, lists, other scripts' digits, broken brackets and ports."""
    assert own(text) is None


def test_a_host_is_read_into_its_parts() -> None:
    """Lower case, no trailing dot, no brackets; an address in one spelling; the port a number."""
    assert parse_authority('Robot7.:080') == Authority(host='robot7', port=80, is_address=False)
    assert parse_authority('a:') == Authority(host='a', port=None, is_address=False)
    assert parse_authority('[0:0::0001]:0') == Authority(host='::1', port=0, is_address=True)


@pytest.mark.parametrize(
    ('method', 'target', 'authority'),
    [
        ('GET', '/api/v1/apps', None),
        ('GET', '/?next=http://evil.example/', None),
        ('GET', '//evil.example/api', None),
        ('OPTIONS', '*', None),
        ('GET', 'http://evil.example/api', 'evil.example'),
        ('GET', 'HTTPS://evil.example:80?x', 'evil.example:80'),
        ('GET', 'http://evil.example#/', 'evil.example'),
        ('GET', 'http://me@localhost/', 'me@localhost'),
        ('GET', 'http:///api', ''),
        ('GET', 'http://', ''),
        ('CONNECT', 'evil.example:80', 'evil.example:80'),
    ],
)
def test_a_target_may_name_the_host(method: str, target: str, authority: str | None) -> None:
    """The absolute form does, and that of CONNECT; the others leave it to `Host`."""
    assert target_authority(method, target) == authority


@pytest.mark.parametrize(
    ('origin', 'host'),
    [
        ('http://localhost', 'localhost'),
        ('http://localhost', 'LOCALHOST:80'),
        ('http://localhost:8080', 'localhost:8080'),
        ('http://robot7.local:8080', 'robot7.local.:8080'),
        ('http://192.168.1.7:8080', '192.168.1.7:8080'),
        ('http://[::1]:8080', '[::1]:8080'),
        ('http://[::1]:8080', '[0:0::1]:8080'),
        ('https://fleet.example', 'fleet.example'),
        ('https://fleet.example', 'fleet.example:443'),
        ('https://fleet.example:8443', 'fleet.example:8443'),
    ],
)
def test_the_origin_of_the_host_itself_is_ours(origin: str, host: str) -> None:
    """Host and port are equal; a port that is not named is the scheme's."""
    authority = parse_authority(host)
    assert authority is not None
    assert is_own_origin(origin, authority)


@pytest.mark.parametrize(
    'origin',
    [
        'null',
        '',
        '*',
        'http://evil.example',
        'http://evil.example:8080',
        'http://192.168.1.7:3000',
        'http://192.168.1.7',
        'https://192.168.1.7',
        'http://192.168.1.8:8080',
        'http://localhost:8080',
        'http://192.168.1.7.evil.example:8080',
        'http://192.168.1.7:8080.evil.example',
        'http://192.168.1.7:8080@evil.example',
        'http://evil@192.168.1.7:8080',
        'http://192.168.1.7:8080/',
        'http://192.168.1.7:8080 http://evil.example',
        'http://192.168.1.7:8080, http://evil.example',
        ' http://192.168.1.7:8080',
        '192.168.1.7:8080',
        '//192.168.1.7:8080',
        'http:192.168.1.7:8080',
        'http://',
        'file://',
        'file://192.168.1.7:8080',
        'ftp://192.168.1.7:8080',
        'chrome-extension://192.168.1.7:8080',
        'moz-extension://0d2d3a0a',
        'http://0xc0a80107:8080',
        'http://3232235783:8080',
    ],
)
def test_every_other_origin_is_foreign(origin: str) -> None:
    """Another address, another port of the same one, a file, a sandbox: none of them is ours."""
    authority = parse_authority('192.168.1.7:8080')
    assert authority is not None
    assert not is_own_origin(origin, authority)


def test_over_tls_a_page_of_plain_http_is_foreign() -> None:
    """Nobody serves one there but who stands in between."""
    authority = parse_authority('robot7:8443')
    assert authority is not None
    assert is_own_origin('https://robot7:8443', authority, over_tls=True)
    assert not is_own_origin('http://robot7:8443', authority, over_tls=True)


def test_a_page_of_another_site_and_of_a_sister_name_is_foreign() -> None:
    """`same-origin`, and `none` of what a person typed, are not; nor is what nobody defined."""
    assert [
        site
        for site in (
            'cross-site',
            ' Same-Site ',
            'none, cross-site',
            'same-origin',
            'none',
            '',
            'x',
        )
        if is_foreign_site(site)
    ] == ['cross-site', ' Same-Site ', 'none, cross-site']


def test_the_names_of_a_host_are_known_short_and_with_local() -> None:
    """Multicast DNS (RFC 6762) gives `.local`, search domains the short name."""
    assert own_names(['Robot7.lab.example', 'robot7.lab.example'], []) == {
        'localhost',
        'robot7.lab.example',
        'robot7',
        'robot7.local',
    }
