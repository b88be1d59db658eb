# SPDX-License-Identifier: Apache-2.0
"""Handlers of scripts."""

from gateway_node.entities.values import EntityRef
from gateway_node.http_server.calls import Answer, Call, Download
from gateway_node.http_server.errors import ContentNotFound
from gateway_node.http_server.representations import listing, script_detail
from gateway_node.http_server.subjects import OfEntity, OfScript
from gateway_node.http_server.uploads import Form, receive
from gateway_node.scripts.content import Content
from gateway_node.scripts.errors import LibraryUnavailable, NoPlainFile
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.metadata import Metadata
from gateway_node.scripts.values import Script


async def list_scripts(call: Call[OfEntity, None]) -> Answer:
    """List the scripts of an entity."""
    scripts = await call.services.library.list(call.at.entity)
    href = _scripts_href(call)
    return Answer(body=listing(script_detail(href, script) for script in scripts))


async def upload_script(call: Call[OfEntity, Form]) -> Answer:
    """Upload a script."""
    async with receive(call.body, call.services.script_changes) as received:
        script = await call.services.script_changes.upload(
            call.at.entity,
            received.upload,
            received.file_name,
            received.metadata or Metadata(),
            actor=call.actor,
        )
    href = f'{_scripts_href(call)}/{script.id}'
    return Answer(body={'id': script.id, 'name': script.name, 'href': href}, location=href)


async def show_script(call: Call[OfScript, None]) -> Answer:
    """Show a script."""
    script = await call.services.library.get(call.at.entity, call.at.script_id)
    return Answer(body=script_detail(_scripts_href(call), script))


async def replace_script(call: Call[OfScript, Form]) -> Answer:
    """Replace the file of a script: a new version under the same id.

    What the metadata does not name stays.
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


async def download_script(call: Call[OfScript, None]) -> Answer:
    """Download the file of a script, always all of it, as it was uploaded."""
    script, content = await _content(call.services.library, call.at.entity, call.at.script_id)
    return Answer(body=Download(content=content, file_name=script.path.name))


async def _content(
    library: ScriptLibrary, entity: EntityRef, script_id: str
) -> tuple[Script, Content]:
    """Open the file of a script; where it was replaced that very moment, the new one."""
    while True:
        script = await library.get(entity, script_id)
        try:
            return script, await library.content(script)
        except FileNotFoundError:
            if (await library.get(entity, script_id)).path == script.path:
                raise ContentNotFound(script.id) from None
        except NoPlainFile as error:
            raise ContentNotFound(script.id, 'no plain file') from error
        except OSError as error:
            raise LibraryUnavailable(
                f'the file of script {script.id!r} cannot be read: {error.strerror}'
            ) from error


def _scripts_href(call: Call[OfEntity, object]) -> str:
    return f'{call.base}/{call.at.entity.path}/scripts'
