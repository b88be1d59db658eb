# SPDX-License-Identifier: Apache-2.0
"""schemathesis reads the description of an assembled gateway, and sends it whatever that allows
and forbids: each answer has to be one that is described."""

import asyncio
from collections.abc import AsyncIterator, Mapping
import contextlib
from dataclasses import dataclass
import hashlib
import json
import os
from pathlib import Path
import sys
from typing import Any

from aiohttp import ClientSession
from assembled_gateway import assembled_gateway, OWN_NODE
from clients import bearer
from fakes import FakeRobot
import pytest

from gateway_node.conditions.sources import GraphKind, Presence
from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.actors import Role
from gateway_node.http_server.routes import ROUTES

TEMP_SENSOR = NodeName(namespace='/powertrain/engine', name='temp_sensor')
QUIET_ARM = NodeName(namespace='/powertrain/arms', name='yy_quiet_arm')
BASE = '/api/v1'
HOOKS = Path(__file__).parents[1] / 'support' / 'attacked_gateway.py'
SCRIPT = """
echo there >"$GATEWAY_ARTIFACTS/note.txt"
printf '{"verdict": "PASS", "metrics": {"volts": 12}}' >"$GATEWAY_RESULT"
sleep "${PARAM_SECONDS:-0}"
"""
QUIET = 'echo yy_quiet words\n'
MANIFEST = """
scripts:
  - {id: self_test, name: Self test, path: self_test.sh, entities: ['apps/temp_*'],
     evidence: always}
  - id: yy_quiet_check
    name: yy_quiet check
    path: yy_quiet.sh
    entities: ['apps/yy_*']
    evidence: always
    instances:
      - {name: yy_quiet_hours, description: yy_quiet text, parameters: {text: yy_quiet}}
"""
ENTITIES = """
components:
  - {id: engine_ecu, name: Engine ECU, nodes: ['/ecu/*']}
functions:
  - {id: monitoring, name: Monitoring, namespaces: ['/powertrain/*']}
"""
WHAT_IS_THERE = """
[parameters]
"path.collection" = "apps"
"path.entity_id" = "temp_sensor"
"path.script_id" = "self_test"
"path.execution_id" = "exec_01KXJ5M8Q2N4T6V8W0Y2Z4B6D8"
"path.instance" = "attacked"
"path.lock_id" = "lock_01KXJ5M8Q2N4T6V8W0Y2Z4B6D8"
"path.sequence" = 9007199254740991
"path.path" = "note.txt"
"path.area_id" = "powertrain"
"path.function_id" = "monitoring"

[[operations]]
include-path-regex = "^/components/"
parameters = { "path.entity_id" = "powertrain_engine" }
"""
"""Names that stand for what there is; of what comes and goes, the hooks say which."""
WITHOUT_SUCCESS = {
    'POST /auth/authorize',
    'POST /auth/token',
    'POST /auth/revoke',
    'POST /{collection}/{entity_id}/scripts',
}
"""No clients are known where no credentials are, and the name of a file has to tell its kind."""
WHAT_NO_SCHEMA_TELLS = """
# What is too large is refused, whatever else is wrong with it.
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "415", "429", "5xx"]

# How many bytes a file has, behind which no part of it begins.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "416", "429", "5xx"]

# After some wrong tokens the answer to each is 429.
[checks.ignored_auth]
enabled = false

# The name of a file has to tell its kind.
[[operations]]
include-operation-id = ["upload_script", "replace_script"]
checks.positive_data_acceptance.enabled = false

# Where an end may be told is a matter of the gateway's parameters, and how long a script may run
# one of its own.
[[operations]]
include-operation-id = [
    "start_execution", "start_group", "retry_execution",
    "retry_execution_of_executions_execution_id_retry"
]
checks.positive_data_acceptance.enabled = false

# Who would hold a lock the schema of a body cannot ask, and how long one may be held is a matter
# of the gateway's parameters.
[[operations]]
include-operation-id = ["acquire_lock", "extend_lock"]
checks.positive_data_acceptance.enabled = false

# Who asks for tokens, and in which of the ways there are, no schema tells.
[[operations]]
include-operation-id = ["authorize_client", "issue_token", "revoke_token"]
checks.positive_data_acceptance.enabled = false

# What is for one form, or one way through a list, is refused with another; so is a component
# that there is not.
[[operations]]
include-operation-id = [
    "show_output", "show_output_of_executions_execution_id_output", "list_executions",
    "list_entity_executions", "list_all_executions", "list_executions_by_status", "list_metric",
    "show_statistics", "list_events", "list_execution_events", "list_events_of_execution",
    "list_events_of_execution_of_executions_execution_id_events", "act_on_executions"
]
checks.positive_data_acceptance.enabled = false

# An instance starts now and not later, and what its conditions may be no schema tells whole: times
# of the clock, the same condition twice.
[[operations]]
include-operation-id = ["show_script_readiness", "create_instance", "replace_instance"]
checks.positive_data_acceptance.enabled = false

# What is too long for a target is refused by the parser, in plain text.
[[operations]]
include-operation-id = [
    "list_executions", "list_entity_executions", "list_all_executions",
    "list_executions_by_status", "list_metric", "list_all_scripts", "show_statistics",
    "list_events", "list_execution_events", "list_audit"
]
checks.content_type_conformance.enabled = false
checks.positive_data_acceptance.enabled = false
"""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What was answered."""

    counts: Mapping[str, Mapping[str, int]]
    """How often, by the operation and the status."""
    faults: tuple[str, ...]
    """What somebody was told who should not be."""

    @property
    def table(self) -> str:
        """A line for each operation."""
        lines = (
            f'{name:100} ' + ' '.join(f'{status}: {many}' for status, many in sorted(told.items()))
            for name, told in sorted(self.counts.items())
        )
        return '\n'.join(lines)

    def nothing_but(self, *statuses: int) -> list[str]:
        """Return the operations of which no answer had another status."""
        known = {str(status) for status in statuses}
        return [name for name, told in self.counts.items() if known.issuperset(told)]

    def without_success(self) -> set[str]:
        """Return the operations that never did what they are for."""
        return {
            name
            for name, told in self.counts.items()
            if not any(status.startswith('2') for status in told)
        }


@contextlib.asynccontextmanager
async def gateway_with(
    tmp_path: Path, others: Mapping[str, object]
) -> AsyncIterator[ClientSession]:
    """Serve a gateway with something of each kind, and with other parameters."""
    (tmp_path / 'self_test.sh').write_text(SCRIPT)
    (tmp_path / 'yy_quiet.sh').write_text(QUIET)
    (tmp_path / 'scripts.yaml').write_text(MANIFEST)
    (tmp_path / 'entities.yaml').write_text(ENTITIES)
    parameters = {
        'scripts.manifest': str(tmp_path / 'scripts.yaml'),
        'entities.manifest': str(tmp_path / 'entities.yaml'),
        'callbacks.allowed': ['127.0.0.1:9'],
        **others,
    }
    graph = GraphSnapshot(nodes=frozenset({OWN_NODE, TEMP_SENSOR, QUIET_ARM}))
    robot = FakeRobot()
    robot.set(Presence(kind=GraphKind.NODE, name='/driver'), True)
    async with assembled_gateway(
        tmp_path / 'state', graph, parameters=parameters, robot=robot
    ) as client:
        yield client


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[ClientSession]:
    """Serve one that lets in who is on its host."""
    async with gateway_with(tmp_path, {}) as client:
        yield client


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[ClientSession]:
    """Serve one that lets in who bears the name of a role, or an operator for less than all."""
    entries: list[dict[str, Any]] = [{'name': role.value, 'role': role.value} for role in Role]
    entries.append({'name': NARROWED, 'role': 'operator', 'entities': ['apps/temp_*']})
    for entry in entries:
        entry['sha256'] = hashlib.sha256(entry['name'].encode()).hexdigest()
    path = tmp_path / 'tokens.yaml'
    path.touch(0o600)
    path.write_text(json.dumps({'tokens': entries}))  # JSON is YAML too
    async with gateway_with(tmp_path, {'auth.tokens_file': str(path)}) as client:
        yield client


NARROWED = 'narrowed'
WHO = pytest.mark.parametrize('who', [*(role.value for role in Role), NARROWED])


async def attack(
    gateway: ClientSession, directory: Path, config: str, *options: str, who: str | None = None
) -> Heard:
    """Have schemathesis send requests, of somebody with a token; it finds nothing."""
    (directory / 'schemathesis.toml').write_text(
        f'hooks = "{HOOKS}"\n{config}{WHAT_NO_SCHEMA_TELLS}'
    )
    headers = {} if who is None else bearer(who)
    description = await gateway.get(f'{BASE}/openapi.json', headers=headers)
    options += tuple(f'--header={name}:{value}' for name, value in headers.items())
    counts = directory / 'counts.json'
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, '-m', 'schemathesis.cli', '--config-file', 'schemathesis.toml', 'run'),
        *(str(description.url), '--seed=1', '--no-color', '--warnings=off'),
        *options,
        cwd=directory,
        env={
            **os.environ,
            'ATTACKED_GATEWAY': str(description.url).removesuffix('/openapi.json'),
            'ATTACKED_COUNTS': str(counts),
            **({} if who is None else {'ATTACKED_TOKEN': Role.ADMIN.value}),
            **({'ATTACKED_BY_NARROWED': 'yes'} if who == NARROWED else {}),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    # A request may have a megabyte.
    lines = [line[:400] for line in output.decode(errors='replace').splitlines()]
    assert process.returncode == 0, '\n'.join(lines)
    heard = json.loads(counts.read_text())
    return Heard(counts=heard['counts'], faults=tuple(heard['faults']))


def too_much_for(role: Role) -> set[str]:
    """Return the operations that a role is too low for, as they are called in `Heard`."""
    roles = list(Role)
    return {
        f'{route.method} {route.path}'
        for route in ROUTES
        if roles.index(route.role) > roles.index(role)
    }


@pytest.mark.timeout(300)
async def test_a_few_requests_are_answered_as_described(
    gateway: ClientSession, tmp_path: Path
) -> None:
    """The short form of the campaigns below, which finds what it asks for."""
    heard = await attack(gateway, tmp_path, WHAT_IS_THERE, '--phases=fuzzing', '-n', '4')
    assert heard.nothing_but(404) == [], heard.table


@pytest.mark.timeout(300)
async def test_a_few_requests_of_who_may_not_do_all_are_answered_as_described(
    guarded: ClientSession, tmp_path: Path
) -> None:
    """An operator of some entities: the short form of the campaign below."""
    options = ('--phases=fuzzing', '-n', '1')
    heard = await attack(guarded, tmp_path, WHAT_IS_THERE, *options, who=NARROWED)
    assert heard.faults == ()


@WHO
@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_requests_of_each_role_are_answered_as_described(
    guarded: ClientSession, tmp_path: Path, who: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each value at its bounds and beyond, and then any; what a role is too low for it never
    does."""
    options = ('--phases=coverage,fuzzing', '-n', '50', '--continue-on-failure')
    heard = await attack(guarded, tmp_path, WHAT_IS_THERE, *options, who=who)
    show(heard, capsys)
    role = Role.OPERATOR if who == NARROWED else Role(who)
    assert too_much_for(role) - heard.without_success() == set()
    assert heard.faults == ()


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_requests_for_what_is_there_are_answered_as_described(
    gateway: ClientSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each value at its bounds and beyond, and then any; each route does what it is for."""
    options = ('--phases=coverage,fuzzing', '-n', '200', '--continue-on-failure')
    heard = await attack(gateway, tmp_path, WHAT_IS_THERE, *options)
    show(heard, capsys)
    assert heard.without_success() <= WITHOUT_SUCCESS


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_requests_for_anything_are_answered_as_described(
    gateway: ClientSession, tmp_path: Path
) -> None:
    """Ids too; and requests that follow from each other, but no start: who knows of what."""
    options = ('-n', '200', '--continue-on-failure', '--exclude-operation-id', 'start_execution')
    await attack(gateway, tmp_path, '', *options)


def show(heard: Heard, capsys: pytest.CaptureFixture[str]) -> None:
    """Print how often each operation was answered how."""
    with capsys.disabled():
        sys.stdout.write(f'\n{heard.table}\n')
