# SPDX-License-Identifier: Apache-2.0
"""A gateway with two of everything, and credentials that reach to the one, or to all."""

from collections.abc import AsyncIterator, Mapping
import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from api_support import Api, RECEIVER, serve_api
from clients import bearer, KnownTokens
from waiting import wait_until

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.actors import Role
from gateway_node.executions.scopes import EVERYTHING, Scope

SCOPES: Mapping[str, Scope] = {
    'everything': EVERYTHING,
    'entities': Scope(entities=('apps/arm_*', 'components/powertrain_arms')),
    'scripts': Scope(scripts=('check*',)),
    'tags': Scope(tags=('op?n', 'public')),
    'nothing': Scope(entities=()),
}
"""How far credentials reach: the first to all, the last to nothing, the others to
`DividedRobot.seen`."""

_OF_NO_ENTITY, _OF_NO_SCRIPT = ('yy_',), ('yy_one', 'yy_tag', 'zz_')
"""In every name and every text of what is beyond: where entities are narrowed, and where scripts
are, one of which is of the other entity."""
_NODES = (('powertrain/arms', 'arm_left'), ('powertrain/yy_ns', 'yy_node'))


@dataclass(frozen=True, kw_only=True)
class Part:
    """An entity with a script that was executed."""

    entity_id: str
    component: str
    script_id: str
    execution_id: str
    sequence: int
    """Of the event that tells of the execution."""
    lock_id: str = 'lock_none'
    instance: str = 'when_hot'
    """The name of one of the script's."""

    @property
    def names(self) -> dict[str, str]:
        """What stands for the placeholders of paths."""
        return {
            'collection': 'apps',
            'entity_id': self.entity_id,
            'area_id': 'powertrain',
            'function_id': 'monitoring',
            'script_id': self.script_id,
            'execution_id': self.execution_id,
            'lock_id': self.lock_id,
            'instance': self.instance,
            'sequence': str(self.sequence),
            'status': 'completed',
            'path': 'log.txt',
            'file': 'none.css',
        }


@dataclass(frozen=True, kw_only=True)
class DividedRobot:
    """The gateway, and what it has."""

    api: Api
    seen: Part
    """What every credential reaches that reaches anything."""
    beyond: Mapping[str, Part]
    """By the name of a scope, what is beyond it."""

    def secrets(self, scope: str) -> tuple[str, ...]:
        """Return the texts that nobody with this scope is to come across."""
        part = self.beyond[scope]
        marks = {'entities': _OF_NO_ENTITY, 'nothing': (*_OF_NO_ENTITY, *_OF_NO_SCRIPT)}
        return (*marks.get(scope, _OF_NO_SCRIPT), part.script_id, part.execution_id)


def token_of(role: Role, scope: str) -> str:
    """Return the token of a role that reaches so far."""
    return f'{role.value}-{scope}'


def showing(role: Role, scope: str) -> dict[str, str]:
    """Return the header that shows it."""
    return bearer(token_of(role, scope))


@contextlib.asynccontextmanager
async def divided_robot(directory: Path) -> AsyncIterator[DividedRobot]:
    """Serve it; who shows nothing else is an admin who sees everything."""
    tokens = {
        token_of(role, name): Credential(name=token_of(role, name), role=role, scope=scope)
        for role in Role
        for name, scope in SCOPES.items()
    }
    authentication = Authentication([KnownTokens(tokens)])
    async with serve_api(directory, authentication=authentication) as api:
        api.client.headers.update(showing(Role.ADMIN, 'everything'))
        nodes = (NodeName(namespace=f'/{space}', name=name) for space, name in _NODES)
        api.directory.update(GraphSnapshot(nodes=frozenset(nodes)))
        seen = await part_of(api, 'arm_left', 'powertrain_arms', 'check.sh', 'open')
        elsewhere = await part_of(api, 'yy_node', 'powertrain_yy_ns', 'yy_one.sh', 'yy_tag')
        elsewhere = replace(elsewhere, lock_id=await locked(api, 'apps/yy_node'))
        beside = await part_of(api, 'arm_left', 'powertrain_arms', 'zz_two.sh', 'zz_tag')
        yield DividedRobot(
            api=api,
            seen=seen,
            beyond={
                'entities': elsewhere,
                'scripts': beside,
                'tags': beside,
                'nothing': elsewhere,
            },
        )


async def part_of(api: Api, entity_id: str, component: str, name: str, tag: str) -> Part:
    """Upload a script and execute it to its end, with all that an execution may leave."""
    entity = f'apps/{entity_id}'
    about = f'{name} of {entity}'
    script_id = await api.upload(
        entity, name=name, tags=[tag], description=about, evidence='always'
    )
    execution_id = await executed(api, entity, script_id, name)
    await wait_until(lambda: execution_id in api.seen.files.kept, what='evidence that is kept')
    await instantiated(api, entity, script_id, 'when_hot')
    _, body = await api.json('GET', f'/executions/{execution_id}/events?limit=1')
    return Part(
        entity_id=entity_id,
        component=component,
        script_id=script_id,
        execution_id=execution_id,
        sequence=int(body['items'][0]['id'].rpartition('-')[2]),
    )


async def executed(api: Api, entity: str, script_id: str, said: str = 'nothing') -> str:
    """Execute a script to its end; return the id."""
    parameters: dict[str, Any] = {'said': said}
    callback = f'https://{RECEIVER}/{said}'
    execution_id, script = await api.running(
        entity, script_id, parameters=parameters, callback=callback
    )
    api.runner.outputs.say(execution_id, f'{said}\n')
    script.exit(0, printed={'verdict': 'PASS', 'summary': said, 'metrics': {'volts': 3}})
    await api.listener.wait_for(execution_id)
    api.runner.artifacts.left[execution_id] = {'log.txt': said.encode()}
    return execution_id


async def instantiated(api: Api, entity: str, script_id: str, name: str) -> None:
    """Make an instance of a script."""
    path = f'/{entity}/scripts/{script_id}/instances'
    status, body = await api.json('POST', path, json={'name': name})
    assert status == 201, body


async def locked(api: Api, entity: str, headers: Mapping[str, str] | None = None) -> str:
    """Lock an entity, or find it locked by the same one; return the lock's id."""
    status, body = await api.json(
        'POST',
        f'/{entity}/locks',
        json={'lock_expiration': 600, 'scopes': ['configurations']},
        headers=headers,
    )
    return str(body['id'] if status == 201 else body['parameters']['existing_lock_id'])
