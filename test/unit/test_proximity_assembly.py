# SPDX-License-Identifier: Apache-2.0
"""What checks proofs of proximity is what the configuration says."""

from dataclasses import replace
import importlib
from pathlib import Path
import re
import sys
import textwrap
from typing import Any

from fakes import FakeClock
import pytest
from shown_codes import RecordingDisplay

from gateway_node.access.verified_proximity import VerifiedProximity
from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.actors import Actor, Role
from gateway_node.executions.proximity import (
    NoProximityCheck,
    Proof,
    ProximityCheck,
    ProximityRefused,
)
from gateway_node.proximity_assembly import proximity_check
from gateway_node.ros.access_configuration import ProximityConfiguration
from gateway_node.ros.configuration_reading import configuration_from
from gateway_node.ros.errors import ParameterInvalid
from gateway_node.scripts.values import Script, ScriptKind

ARM = EntityRef(entity_type=EntityType.APP, entity_id='arm')
SCRIPT = Script(
    id='check', name='Check', kind=ScriptKind.SH, path=Path('/check.sh'), version='0', size=1
)
ANNA = Actor(name='anna', role=Role.OPERATOR, origin='192.0.2.7')

SITE = """
from gateway_node.access.proximity_verifier import Challenge

class Badges:
    async def challenge(self, presence):
        return Challenge(challenge=f'hold your badge to {presence.entity}', valid_sec=60)

    async def verify(self, presence, response):
        return response == f'badge of {presence.client}'

def needs_something(what):
    return Badges()

def fails():
    raise OSError('no reader')
"""


def configured(**parameters: Any) -> ProximityConfiguration:
    given = {f'proximity.{name}': value for name, value in parameters.items()}
    return configuration_from({'state_dir': '/x', **given}, environ={}).proximity


def made(*displays: RecordingDisplay, **parameters: Any) -> ProximityCheck:
    return proximity_check(configured(**parameters), FakeClock(), displays)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the site a module."""
    (tmp_path / 'site_of_ours.py').write_text(SITE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'site_of_ours', raising=False)


def test_without_anything_that_shows_codes_nothing_checks_proofs() -> None:
    """By default."""
    assert isinstance(made(), NoProximityCheck)


async def test_codes_are_as_the_parameters_say() -> None:
    """So many digits, for so long, so many failures."""
    display = RecordingDisplay()
    check = made(display, code_digits=8, valid_sec=30, max_failures=2)
    await check.challenge(ARM, SCRIPT, ANNA)
    (shown,) = display.shown
    assert (len(shown['code']), shown['valid_sec']) == (8, 30)
    assert isinstance(check, VerifiedProximity)
    assert check._max_failures == 2


@pytest.mark.usefixtures('site')
async def test_a_verifier_of_the_site_s_own_takes_the_place_of_codes() -> None:
    """Named by its module and by what makes it; as the documentation shows it."""
    check = made(verifier='site_of_ours:Badges')
    shown = await check.challenge(ARM, SCRIPT, ANNA)
    assert shown is not None
    assert shown.challenge == 'hold your badge to apps/arm'
    await check.check(ARM, SCRIPT, Proof(by=ANNA, response='badge of anna'))


@pytest.mark.usefixtures('site')
@pytest.mark.parametrize(
    ('name', 'why'),
    [
        ('no_such_module:Badges', 'no_such_module'),
        ('site_of_ours:Cards', 'Cards'),
        ('site_of_ours:needs_something', 'what'),
        ('site_of_ours:fails', 'no reader'),
    ],
)
def test_a_verifier_that_cannot_be_made_stops_the_start(name: str, why: str) -> None:
    """With one line that says why."""
    with pytest.raises(ParameterInvalid, match=why) as invalid:
        made(verifier=name)
    assert str(invalid.value).startswith(f"parameter proximity.verifier is '{name}'; allowed: ")


@pytest.mark.parametrize('name', ['badges', 'a.b', ':make', 'a:', 'a-b:c', 'a:b.c', 'a b:c'])
def test_what_names_no_factory_is_refused(name: str) -> None:
    """The form is package.module:factory."""
    with pytest.raises(ParameterInvalid, match=r'package\.module:factory'):
        configured(verifier=name)


@pytest.mark.parametrize('other', [{'command': ['show']}, {'topic': True}])
def test_a_verifier_and_codes_do_not_go_together(other: dict[str, Any]) -> None:
    """It would be unclear what a proof is."""
    with pytest.raises(ParameterInvalid, match=r'proximity\.verifier'):
        configured(verifier='a:b', **other)


async def test_the_verifier_in_the_documentation_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it stands there, but for the reader of badges itself."""
    text = (Path(__file__).parents[2] / 'docs' / 'security.md').read_text(encoding='utf-8')
    blocks = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    (block,) = [each for each in blocks if 'BadgeReader' in each]
    (tmp_path / 'site_of_the_docs.py').write_text(textwrap.dedent(block))
    monkeypatch.syspath_prepend(tmp_path)
    check = made(verifier='site_of_the_docs:BadgeReader')

    async def last_badge(reader: object) -> str:
        return 'anna'

    reader = importlib.import_module('site_of_the_docs').BadgeReader
    monkeypatch.setattr(reader, 'last_badge', last_badge, raising=False)
    shown = await check.challenge(ARM, SCRIPT, ANNA)
    assert shown is not None
    assert shown.challenge == 'hold your badge to apps/arm'
    await check.check(ARM, SCRIPT, Proof(by=ANNA, response=''))
    bert = replace(ANNA, name='bert')
    with pytest.raises(ProximityRefused):
        await check.check(ARM, SCRIPT, Proof(by=bert, response=''))
