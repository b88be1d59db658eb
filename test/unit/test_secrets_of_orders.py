# SPDX-License-Identifier: Apache-2.0
"""Secrets on their way to a script: on stdin, and neither in a variable nor in an argument."""

from pathlib import Path
from typing import Any

import pytest

from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.process.environment import script_environment
from gateway_node.process.launch_fragments import (
    argument_violations,
    Declaration,
    DeclaredArgument,
)
from gateway_node.scripts.arguments import declared_arguments
from gateway_node.scripts.errors import ParametersInvalid
from gateway_node.scripts.values import ArgumentDefinition, Script, ScriptKind

SEED = 'hunter2-8b1f'
GIVEN = {'key': SEED, 'login': {'key': SEED}, 'user': 'anna', 'user-name': 'b', 'KEY': 'open'}


def script(*arguments: str) -> Script:
    """Return a script that takes parameters as arguments."""
    return Script(
        id='script_1',
        name='x',
        kind=ScriptKind.SH,
        path=Path('/library/x'),
        version='0',
        size=1,
        managed=True,
        argument_definitions=tuple(
            ArgumentDefinition(name=name, flag=f'--{name}') for name in arguments
        ),
    )


def variables(secrets: tuple[str, ...]) -> dict[str, str]:
    """Return a script's own variables that are parameters."""
    order = StartOrder(
        execution_id='exec_1',
        entity=EntityRef(entity_type=EntityType.APP, entity_id='a'),
        script=script(),
        parameters=GIVEN,
        arguments=(),
        timeout_sec=1,
        stop_grace_period_sec=1,
        secrets=secrets,
    )
    made = script_environment({}, order, Path('/python'))
    assert not any(SEED in value for value in made.base.values())
    return {name: value for name, value in made.own.items() if name.startswith('PARAM_')}


def test_a_secret_is_no_variable() -> None:
    """What is none still is, and no name clashes with one that is not exported."""
    assert variables(('/key', '/login/key')) == {
        'PARAM_KEY': 'open',
        'PARAM_USER': 'anna',
        'PARAM_USER_NAME': 'b',
    }
    assert variables(('',)) == {}


@pytest.mark.parametrize('name', ['key', 'login'])
def test_a_secret_is_no_argument(name: str) -> None:
    """Every user of the machine can read a command line: the start is refused."""
    secrets = ('/key', '/login/key')
    assert declared_arguments(script('user'), GIVEN, secrets) == ('--user', 'anna')
    with pytest.raises(ParametersInvalid, match='on its command line') as refused:
        declared_arguments(script('user', name), GIVEN, secrets)
    assert [each.path for each in refused.value.violations] == [f'/{name}']
    assert SEED not in str(refused.value)


def test_a_launch_fragment_refuses_a_secret_without_telling_it() -> None:
    """What is allowed is said."""
    declared = DeclaredArgument(name='key', required=True, choices=('a', 'b'))
    declaration = Declaration(arguments=(declared,), complete=True)
    given: list[tuple[str, Any]] = [('key', SEED)]
    (violation,) = argument_violations(declaration, given, frozenset({'key'}))
    assert violation.reason == 'what is given is secret, and is not allowed; allowed: a, b'
    (open_violation,) = argument_violations(declaration, given)
    assert SEED in open_violation.reason
