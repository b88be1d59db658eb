# SPDX-License-Identifier: Apache-2.0
"""The parameters of the way to the server."""

import pytest

from gateway_node.ros.configuration_reading import configuration_from
from gateway_node.ros.errors import ParameterInvalid

ENVIRON = {'HOME': '/home/kim'}


@pytest.mark.parametrize(
    ('text', 'origin'),
    [
        ('https://fleet.example', 'https://fleet.example'),
        ('https://Fleet.Example:443', 'https://fleet.example'),
        ('http://robot:80', 'http://robot'),
        ('http://10.0.0.7:3000', 'http://10.0.0.7:3000'),
        ('http://[FD00:0::1]:8080', 'http://[fd00::1]:8080'),
    ],
)
def test_an_origin_is_what_a_browser_makes_of_it(text: str, origin: str) -> None:
    """In lower case, without the port of its scheme (RFC 6454, section 6.1): so it is compared."""
    configuration = configuration_from({'cors.allowed_origins': [text]}, environ=ENVIRON)
    assert configuration.cors.allowed_origins == (origin,)


@pytest.mark.parametrize(
    ('given', 'missing'),
    [
        ('certificate_file', 'key_file'),
        ('key_file', 'certificate_file'),
        ('client_ca_file', 'certificate_file'),
    ],
)
def test_a_part_of_what_tls_needs_is_refused(given: str, missing: str) -> None:
    """A gateway that was to speak TLS must not come up without it."""
    with pytest.raises(ParameterInvalid, match=f'server.tls.{missing}'):
        configuration_from({f'server.tls.{given}': '/etc/tls.pem'}, environ=ENVIRON)


def test_without_any_of_them_plain_http_is_spoken() -> None:
    """With both of a pair TLS is."""
    assert configuration_from({}, environ=ENVIRON).server.tls is None
    given = {'server.tls.certificate_file': '/c.pem', 'server.tls.key_file': '~/k.pem'}
    tls = configuration_from(given, environ=ENVIRON).server.tls
    assert tls is not None
    assert (str(tls.certificate_file), str(tls.key_file)) == ('/c.pem', '/home/kim/k.pem')
    assert tls.client_ca_file is None


@pytest.mark.parametrize(
    'text',
    [
        '*',
        'null',
        'fleet.example',
        'https://*.fleet.example',
        'https://fleet.example/',
        'https://kim@fleet.example',
        'https://fleet.example:99999',
        'https://[fd00::g]',
        'https://[:::]',
        'ftp://fleet.example',
    ],
)
def test_all_pages_and_what_is_no_origin_are_refused(text: str) -> None:
    """A star would let any page that a user visits run scripts as that user may."""
    with pytest.raises(ParameterInvalid, match=r'cors\.allowed_origins') as raised:
        configuration_from({'cors.allowed_origins': [text]}, environ=ENVIRON)
    assert text in str(raised.value)
