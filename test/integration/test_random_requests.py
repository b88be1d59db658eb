# SPDX-License-Identifier: Apache-2.0
"""schemathesis reads the description of an assembled gateway, and sends it whatever that allows
and forbids: each answer has to be one that is described."""

import asyncio
from collections.abc import AsyncIterator, Mapping
import contextlib
import hashlib
import json
from pathlib import Path
import sys
from typing import Any

from aiohttp import ClientSession
from assembled_gateway import assembled_gateway, OWN_NODE
from clients import bearer
import pytest

from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.actors import Role

TEMP_SENSOR = NodeName(namespace='/powertrain/engine', name='temp_sensor')
BASE = '/api/v1'
SCRIPT = f'{BASE}/apps/temp_sensor/scripts/self_test'
MANIFEST = """
scripts:
  - {id: self_test, name: Self test, path: self_test.sh, entities: ['apps/*']}
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
"path.execution_id" = "{execution_id}"
"path.area_id" = "powertrain"
"path.function_id" = "monitoring"

[[operations]]
include-path-regex = "^/components/"
parameters = {{ "path.entity_id" = "powertrain_engine" }}
"""
TARGETS_THAT_FIT = """
import urllib.parse

import schemathesis


@schemathesis.hook
def filter_query(context, query):
    return len(urllib.parse.urlencode(query or {}, doseq=True)) < 7500
"""
"""Longer ones are refused by the HTTP parser, in plain text, whatever the values are."""
WHAT_NO_SCHEMA_TELLS = """
# What is too large is refused, whatever else is wrong with it.
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "415", "429", "5xx"]

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
    "list_events", "list_execution_events"
]
checks.content_type_conformance.enabled = false
checks.positive_data_acceptance.enabled = false
"""


@contextlib.asynccontextmanager
async def gateway_with(
    tmp_path: Path, others: Mapping[str, object]
) -> AsyncIterator[ClientSession]:
    """Serve a gateway with something of each kind, and with other parameters."""
    (tmp_path / 'self_test.sh').write_text('true\n')
    (tmp_path / 'scripts.yaml').write_text(MANIFEST)
    (tmp_path / 'entities.yaml').write_text(ENTITIES)
    parameters = {
        'scripts.manifest': str(tmp_path / 'scripts.yaml'),
        'entities.manifest': str(tmp_path / 'entities.yaml'),
        **others,
    }
    graph = GraphSnapshot(nodes=frozenset({OWN_NODE, TEMP_SENSOR}))
    async with assembled_gateway(tmp_path / 'state', graph, parameters=parameters) as client:
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
    entries.append({'name': 'narrowed', 'role': 'operator', 'entities': ['apps/temp_*']})
    for entry in entries:
        entry['sha256'] = hashlib.sha256(entry['name'].encode()).hexdigest()
    path = tmp_path / 'tokens.yaml'
    path.touch(0o600)
    path.write_text(json.dumps({'tokens': entries}))  # JSON is YAML too
    async with gateway_with(tmp_path, {'auth.tokens_file': str(path)}) as client:
        yield client


WHO = pytest.mark.parametrize('who', [*(role.value for role in Role), 'narrowed'])


async def known_ids(gateway: ClientSession, headers: Mapping[str, str] | None = None) -> str:
    """Start an execution; return the configuration that names it and all else that is there."""
    answer = await gateway.post(
        f'{SCRIPT}/executions', json={'execution_type': 'now'}, headers=headers
    )
    return WHAT_IS_THERE.format(execution_id=(await answer.json())['id'])


async def find_nothing(
    gateway: ClientSession, directory: Path, config: str, *options: str, who: str | None = None
) -> None:
    """Have schemathesis send requests, of somebody with a token; it finds nothing."""
    hooks = directory / 'targets_that_fit.py'
    hooks.write_text(TARGETS_THAT_FIT)
    (directory / 'schemathesis.toml').write_text(
        f'hooks = "{hooks}"\n{config}{WHAT_NO_SCHEMA_TELLS}'
    )
    headers = {} if who is None else bearer(who)
    description = await gateway.get(f'{BASE}/openapi.json', headers=headers)
    options += tuple(f'--header={name}:{value}' for name, value in headers.items())
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, '-m', 'schemathesis.cli', '--config-file', 'schemathesis.toml', 'run'),
        *(str(description.url), '--seed=1', '--no-color', '--warnings=off'),
        *options,
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    # A request may have a megabyte.
    lines = [line[:400] for line in output.decode(errors='replace').splitlines()]
    assert process.returncode == 0, '\n'.join(lines)


async def test_a_few_requests_are_answered_as_described(
    gateway: ClientSession, tmp_path: Path
) -> None:
    """The short form of the campaigns below."""
    config = await known_ids(gateway)
    await find_nothing(gateway, tmp_path, config, '--phases=fuzzing', '-n', '4')


async def test_a_few_requests_of_who_may_not_do_all_are_answered_as_described(
    guarded: ClientSession, tmp_path: Path
) -> None:
    """An operator of some entities: the short form of the campaign below."""
    config = await known_ids(guarded, bearer('operator'))
    options = ('--phases=fuzzing', '-n', '1')
    await find_nothing(guarded, tmp_path, config, *options, who='narrowed')


@WHO
@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_requests_of_each_role_are_answered_as_described(
    guarded: ClientSession, tmp_path: Path, who: str
) -> None:
    """Each value at its bounds and beyond, and then any."""
    config = await known_ids(guarded, bearer('operator'))
    options = ('--phases=coverage,fuzzing', '-n', '50', '--continue-on-failure')
    await find_nothing(guarded, tmp_path, config, *options, who=who)


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_requests_for_what_is_there_are_answered_as_described(
    gateway: ClientSession, tmp_path: Path
) -> None:
    """Each value at its bounds and beyond, and then any."""
    config = await known_ids(gateway)
    options = ('--phases=coverage,fuzzing', '-n', '200', '--continue-on-failure')
    await find_nothing(gateway, tmp_path, config, *options)


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_requests_for_anything_are_answered_as_described(
    gateway: ClientSession, tmp_path: Path
) -> None:
    """Ids too; and requests that follow from each other, but no start: who knows of what."""
    options = ('-n', '200', '--continue-on-failure', '--exclude-operation-id', 'start_execution')
    await find_nothing(gateway, tmp_path, '', *options)
