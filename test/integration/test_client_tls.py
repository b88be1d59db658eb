# SPDX-License-Identifier: Apache-2.0
"""The Python client of a gateway that speaks TLS and asks for a certificate."""

from pathlib import Path

from certificates import Authority
from gateway_in_a_thread import ENTITY, gateway_in_a_thread
import pytest

from gateway_node.client import Gateway, GatewayUnreachable


def test_a_client_shows_its_certificate(tmp_path: Path) -> None:
    """Without it, or with somebody else's, no gateway is reached, and the error says why."""
    robots, clients, others = Authority('robots'), Authority('clients'), Authority('others')
    files = robots.issue().write(tmp_path / 'server', client_ca=clients.certificate)
    parameters = {
        'python.warm': False,
        'server.tls.certificate_file': str(files.certificate),
        'server.tls.key_file': str(files.key),
        'server.tls.client_ca_file': str(files.client_ca),
    }
    mine = robots.trust(clients.issue('anna').write(tmp_path / 'anna'))
    with gateway_in_a_thread(tmp_path / 'state', parameters) as address:
        url = f'https://{address}'
        with Gateway(url, ssl_context=mine) as gateway:
            script = gateway.upload(ENTITY, b'echo seen', file_name='check.sh')
            execution = gateway.start(ENTITY, script)
            assert [line.text for line in gateway.lines(execution)] == ['seen']
        for shown in (None, others.issue('bert').write(tmp_path / 'bert')):
            stranger = Gateway(url, ssl_context=robots.trust(shown))
            with stranger, pytest.raises(GatewayUnreachable, match='alert'):
                stranger.entities()
        with Gateway(url) as careful, pytest.raises(GatewayUnreachable, match='verify failed'):
            careful.entities()


def test_what_belongs_to_tls_is_refused_without_it() -> None:
    """Nobody believes that a certificate protects what goes over the line as it is."""
    with pytest.raises(ValueError, match="an ssl_context is for a URL with https, not 'http:"):
        Gateway('http://127.0.0.1:8080', ssl_context=Authority().trust())
