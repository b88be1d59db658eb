# SPDX-License-Identifier: Apache-2.0
"""Handlers of scripts."""

from collections.abc import Awaitable, Callable, Iterator
import contextlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway_node.access.seen_scripts import SeenScripts
from gateway_node.executions.actors import Role
from gateway_node.http_server.calls import Answer, Call, Download
from gateway_node.http_server.errors import ContentNotFound
from gateway_node.http_server.fields import Version
from gateway_node.http_server.once import made_once, MadeOnce
from gateway_node.http_server.parts import OfKnown
from gateway_node.http_server.representations import (
    listing,
    script_detail,
    script_version,
)
from gateway_node.http_server.subjects import OfEntity, OfScript
from gateway_node.http_server.takes import query
from gateway_node.http_server.uploads import Form, receive
from gateway_node.scripts.content import Content
from gateway_node.scripts.errors import LibraryUnavailable, NoPlainFile
from gateway_node.scripts.metadata import Metadata

MAX_VERSIONS = 1000
"""That a list has."""


@dataclass(frozen=True, kw_only=True)
class OfScriptList(OfEntity, OfKnown):
    """Takes an entity, and what a client has of the list of its scripts."""


@dataclass(frozen=True, kw_only=True)
class OfVersion(OfScript):
    """Takes a version of a script, or its present one."""

    version: str | None = query(Version(), default=None)


@dataclass(frozen=True, kw_only=True)
class OfUpload(OfEntity, MadeOnce):
    """Takes an entity, and the name of the request that makes a script of it."""


async def list_scripts(call: Call[OfScriptList, None]) -> Answer:
    """List the scripts of an entity."""
    scripts = await call.services.library.list(call.at.entity)
    href = _scripts_href(call)
    body = listing(script_detail(href, script) for script in scripts)
    return Answer(body=body, asked=call.at)


async def upload_script(call: Call[OfUpload, Form]) -> Answer:
    """Upload a script.

    With an `Idempotency-Key` a request that is sent again makes no second one.
    """
    entity, services = call.at.entity, call.services
    # The script may be there already: the limit on scripts is then asked when one is made.
    keyed = call.at.idempotency_key is not None
    async with receive(call.body, services.script_changes, replacing=keyed) as received:
        metadata = received.metadata or Metadata()
        made = await made_once(
            call,
            await received.fields() if keyed else {},
            lambda key: services.script_changes.upload(
                entity, received.upload, received.file_name, metadata, actor=call.actor, key=key
            ),
            lambda script_id: services.library.get(entity, script_id),
        )
    script = made.resource
    href = f'{_scripts_href(call)}/{script.id}'
    body = {'id': script.id, 'name': script.name, 'href': href}
    return Answer(body=body, location=href, replayed=made.replayed)


async def show_script(call: Call[OfScript, None]) -> Answer:
    """Show a script.

    Where a start of it requires a proof of proximity, whoever may start it is shown the challenge.
    """
    at, actor = call.at, call.actor
    script = await call.services.library.get(at.entity, at.script_id)
    detail = script_detail(_scripts_href(call), script)
    if script.proximity_proof_required and actor.role.includes(Role.OPERATOR):
        challenge = await call.services.proximity.challenge(at.entity, script, actor)
        if challenge is not None:
            detail['proximity_challenge'] = challenge.document()
    return Answer(body=detail)


async def replace_script(call: Call[OfScript, Form]) -> Answer:
    """Replace the file of a script: a new version under the same id.

    What the metadata does not name stays. A script without a name of its own is called as its
    present file.
    """
    async with receive(call.body, call.services.script_changes, replacing=True) as received:
        script = await call.services.script_changes.replace(
            call.at.entity,
            call.at.script_id,
            received.upload,
            file_name=received.file_name,
            metadata=received.metadata,
            actor=call.actor,
        )
    return Answer(body=script_detail(_scripts_href(call), script))


async def delete_script(call: Call[OfScript, None]) -> Answer:
    """Remove a script."""
    at = call.at
    await call.services.script_changes.delete(at.entity, at.script_id, actor=call.actor)
    return Answer()


async def download_script(call: Call[OfVersion, None]) -> Answer:
    """Download the file of a script, always all of it, as it was uploaded.

    `version` asks for one that is there, else it is the present one. An older one is there as long
    as an execution names it, also where the script is deleted.
    """
    path, content = await _content(call.services.library, call.at)
    return Answer(body=Download(content=content, file_name=path.name))


async def list_versions(call: Call[OfScript, None]) -> Answer:
    """List the versions of a script that are there, newest first, at most 1000.

    An older one is there as long as an execution names it, also where the script is deleted.
    """
    at = call.at
    versions, more = await call.services.library.versions(
        at.entity, at.script_id, limit=MAX_VERSIONS
    )
    named = await call.services.questions.versions_named(at.script_id)
    href = f'{_scripts_href(call)}/{at.script_id}'
    body = listing(script_version(href, each, named) for each in versions)
    return Answer(body=body | ({'complete': False} if more else {}))


async def _content(library: SeenScripts, at: OfVersion) -> tuple[Path, Content]:
    """Open the file of a script; where it was put elsewhere that very moment, from there."""

    async def find() -> tuple[Path, Callable[[], Awaitable[Content]]]:
        if at.version is None:
            script = await library.get(at.entity, at.script_id)
            return script.path, partial(library.content, script)
        version = await library.version(at.entity, at.script_id, at.version)
        return version.path, partial(library.version_content, version)

    while True:
        path, open_content = await find()
        try:
            with _file_errors(at.script_id):
                return path, await open_content()
        except ContentNotFound:
            if (await find())[0] == path:
                raise


@contextlib.contextmanager
def _file_errors(script_id: str) -> Iterator[None]:
    """Turn an OSError of the block into what is wrong with the file of a script."""
    try:
        yield
    except FileNotFoundError as error:
        raise ContentNotFound(script_id) from error
    except NoPlainFile as error:
        raise ContentNotFound(script_id, 'no plain file') from error
    except OSError as error:
        raise LibraryUnavailable(
            f'the file of script {script_id!r} cannot be read: {error.strerror}'
        ) from error


def _scripts_href(call: Call[OfEntity, object]) -> str:
    return f'{call.base}/{call.at.entity.path}/scripts'
