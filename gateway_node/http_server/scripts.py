# SPDX-License-Identifier: Apache-2.0
"""Routes of scripts."""

from aiohttp import hdrs, web

from gateway_node.entities.values import EntityRef
from gateway_node.http_server.callers import actor_of
from gateway_node.http_server.errors import ContentNotFound
from gateway_node.http_server.reading import entity_ref, path_id
from gateway_node.http_server.representations import attachment, listing, respond, script_detail
from gateway_node.http_server.services import services
from gateway_node.http_server.uploads import receive
from gateway_node.scripts.content import Content
from gateway_node.scripts.errors import LibraryUnavailable, NoPlainFile
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.metadata import Metadata
from gateway_node.scripts.values import Script


async def list_scripts(request: web.Request) -> web.Response:
    """GET {entity}/scripts."""
    entity = entity_ref(request)
    scripts = await services(request).library.list(entity)
    href = _scripts_href(request, entity)
    return respond(listing(script_detail(href, script) for script in scripts))


async def upload_script(request: web.Request) -> web.Response:
    """POST {entity}/scripts."""
    entity = entity_ref(request)
    here = services(request)
    async with receive(request, here.library) as received:
        script = await here.script_changes.upload(
            entity,
            received.upload,
            received.file_name,
            received.metadata or Metadata(),
            actor=actor_of(request),
        )
    href = f'{_scripts_href(request, entity)}/{script.id}'
    body = {'id': script.id, 'name': script.name, 'href': href}
    return respond(body, status=201, location=href)


async def show_script(request: web.Request) -> web.Response:
    """GET {entity}/scripts/{id}."""
    entity = entity_ref(request)
    script = await services(request).library.get(entity, path_id(request, 'script_id'))
    return respond(script_detail(_scripts_href(request, entity), script))


async def replace_script(request: web.Request) -> web.Response:
    """PUT {entity}/scripts/{id}: a new version under the same id."""
    entity = entity_ref(request)
    here = services(request)
    script_id = path_id(request, 'script_id')
    await here.library.get(entity, script_id)
    async with receive(request, here.library, replacing=True) as received:
        script = await here.script_changes.replace(
            entity,
            script_id,
            received.upload,
            file_name=received.file_name,
            metadata=received.metadata,
            actor=actor_of(request),
        )
    return respond(script_detail(_scripts_href(request, entity), script))


async def delete_script(request: web.Request) -> web.Response:
    """DELETE {entity}/scripts/{id}."""
    entity = entity_ref(request)
    script_id = path_id(request, 'script_id')
    changes = services(request).script_changes
    await changes.delete(entity, script_id, actor=actor_of(request))
    return web.Response(status=204)


async def download_script(request: web.Request) -> web.Response:
    """GET {entity}/scripts/{id}/content: the bytes as they were uploaded, always all of them."""
    library, entity = services(request).library, entity_ref(request)
    script, content = await _content(library, entity, path_id(request, 'script_id'))
    if request.method == hdrs.METH_HEAD:
        content.close()
    return web.Response(
        body=content.pieces(),
        content_type='application/octet-stream',
        headers={
            hdrs.CONTENT_DISPOSITION: attachment(script.path.name),
            hdrs.CONTENT_LENGTH: str(content.size),
        },
    )


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


def _scripts_href(request: web.Request, entity: EntityRef) -> str:
    return f'{services(request).base}/{entity.path}/scripts'
