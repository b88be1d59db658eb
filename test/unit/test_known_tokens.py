# SPDX-License-Identifier: Apache-2.0
"""Who bears a token of the tokens file, by what the clock of this host says."""

import datetime
from pathlib import Path

from fakes import FakeClock
import pytest

from gateway_node.access.credentials import Credential
from gateway_node.access.errors import CredentialExpired
from gateway_node.access.known_tokens import KnownTokens
from gateway_node.access.token_file import digest_of, parse_tokens, Tokens
from gateway_node.access.watched_file import WatchedFile
from gateway_node.executions.actors import Role

MADE, ENDS = '2026-03-01T10:00:00Z', '2026-03-01T14:00:00Z'
LASTING = Credential(name='lasting', role=Role.VIEWER)


@pytest.fixture
async def file(tmp_path: Path) -> WatchedFile[Tokens]:
    """Open a file with a token that lasts, and one that runs out."""
    path = tmp_path / 'tokens.yaml'
    path.write_text(
        f'tokens:\n- {{name: lasting, role: viewer, sha256: "{digest_of("one").hex()}"}}\n'
        f'- {{name: short, role: viewer, sha256: "{digest_of("other").hex()}", '
        f'created_at: "{MADE}", expires_at: "{ENDS}"}}\n'
    )
    path.chmod(0o600)
    file = WatchedFile('auth.tokens_file', path, parse_tokens)
    await file.open()
    return file


@pytest.fixture
def clock() -> FakeClock:
    """Return clocks that stand at noon, between the two."""
    return FakeClock(datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC))


def test_who_bears_a_token_is_known_by_it_or_by_its_hash(
    file: WatchedFile[Tokens], clock: FakeClock
) -> None:
    """Nobody by the hash in place of the token."""
    tokens = KnownTokens(file, clock)
    assert tokens.credential_of('one') == LASTING
    assert tokens.credential_of_digest(digest_of('one')) == LASTING
    for wrong in ('two', '', digest_of('one').hex()):
        assert tokens.credential_of(wrong) is None


@pytest.mark.parametrize(
    ('moment', 'told'),
    [
        ('2026-03-01T09:59:59Z', 'which is before the token was made'),
        (MADE, None),
        ('2026-03-01T13:59:59Z', None),
        (ENDS, 'the token ran out at 2026-03-01T14:00:00.000Z'),
        ('1970-01-01T00:00:00Z', 'which is before the token was made'),
    ],
)
def test_a_token_that_runs_out_is_good_from_when_it_was_made_until_then(
    file: WatchedFile[Tokens], clock: FakeClock, moment: str, told: str | None
) -> None:
    """A clock that lost its battery brings back nothing; a token that lasts does not care."""
    clock.wall = datetime.datetime.fromisoformat(moment)
    tokens = KnownTokens(file, clock)
    assert tokens.credential_of('one') == LASTING
    if told is None:
        assert tokens.credential_of('other') is not None
        return
    with pytest.raises(CredentialExpired, match=told):
        tokens.credential_of('other')
