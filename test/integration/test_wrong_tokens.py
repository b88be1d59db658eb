# SPDX-License-Identifier: Apache-2.0
"""Whoever shows wrong tokens too often has to wait, and nobody else."""

from pathlib import Path

from api_support import serve_api
from clients import bearer, KnownTokens
from fakes import FakeClock

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.access.errors import CredentialExpired
from gateway_node.access.failures import Failures, FREE_FAILURES
from gateway_node.executions.actors import Role

KNOWN = KnownTokens({name: Credential(name=name, role=Role.VIEWER) for name in ('anna', 'bert')})


class Expired:
    """A source whose tokens have all run out."""

    def credential_of(self, token: str) -> Credential | None:
        """Tell of those that begin with `old`."""
        if token.startswith('old'):
            raise CredentialExpired('the token ran out')
        return None


async def test_nothing_more_is_looked_at_but_what_was_right_from_there_before(
    tmp_path: Path,
) -> None:
    """The answer says how long; it is the same for a token that would be right."""
    clock = FakeClock()
    authentication = Authentication([KNOWN], failures=Failures(clock.monotonic))
    async with serve_api(tmp_path, authentication=authentication) as api:
        assert (await api.request('GET', '/apps', headers=bearer('anna'))).status == 200
        for count in range(FREE_FAILURES):
            refused = await api.request('GET', '/apps', headers=bearer(f'guess {count}'))
            assert refused.status == 401
        for token in ('bert', 'guess'):
            slowed = await api.request('GET', '/apps', headers=bearer(token))
            assert slowed.status == 429
            assert slowed.headers['Retry-After'] == '1'
            assert (await slowed.json())['vendor_code'] == 'x-gateway-too-many-failures'
        assert (await api.request('GET', '/apps', headers=bearer('anna'))).status == 200
        assert (await api.request('GET', '/health/live')).status == 200
        clock.advance(1)
        assert (await api.request('GET', '/apps', headers=bearer('bert'))).status == 200


async def test_what_the_gateway_made_itself_is_always_looked_at(tmp_path: Path) -> None:
    """Nobody guesses it: one script that is wrong keeps no other script of this host out."""
    authentication = Authentication(
        [KNOWN],
        made_here=[KnownTokens({'of a script': Credential(name='anna', role=Role.VIEWER)})],
        failures=Failures(FakeClock().monotonic),
    )
    async with serve_api(tmp_path, authentication=authentication) as api:
        for count in range(FREE_FAILURES):
            await api.request('GET', '/apps', headers=bearer(f'guess {count}'))
        assert (await api.request('GET', '/apps', headers=bearer('bert'))).status == 429
        made_here = await api.request('GET', '/apps', headers=bearer('of a script'))
        assert made_here.status == 200


async def test_a_missing_or_expired_credential_is_no_guess(tmp_path: Path) -> None:
    """Who forgot it, and who polls on with one that ran out, slows nobody down."""
    authentication = Authentication([Expired(), KNOWN], failures=Failures(FakeClock().monotonic))
    async with serve_api(tmp_path, authentication=authentication) as api:
        for count in range(2 * FREE_FAILURES):
            assert (await api.request('GET', '/apps')).status == 401
            expired = await api.request('GET', '/apps', headers=bearer(f'old {count}'))
            assert (expired.status, 'ran out' in await expired.text()) == (401, True)
        assert (await api.request('GET', '/apps', headers=bearer('bert'))).status == 200
