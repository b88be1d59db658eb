# SPDX-License-Identifier: Apache-2.0
"""The parameters of the way to the server."""

import pytest

from gateway_node.ros.configuration import configuration_from
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
