# SPDX-License-Identifier: Apache-2.0
"""A proxy in front of a gateway, which takes a part of the path off."""

from collections.abc import AsyncIterator
import contextlib

from aiohttp import ClientSession, hdrs, web
from aiohttp.test_utils import TestServer
from api_support import Api

PREFIX = '/robots/r1'
"""What it takes off."""
PROXY = ('127.0.0.1',)
"""Where it is."""
_PASSED_ON = (hdrs.HOST, hdrs.CONTENT_TYPE, hdrs.ACCEPT, hdrs.ORIGIN)
_PASSED_BACK = (hdrs.LOCATION, hdrs.CONTENT_TYPE, 'Content-Security-Policy')


@contextlib.asynccontextmanager
async def proxy(api: Api, prefix: str = PREFIX) -> AsyncIterator[ClientSession]:
    """Serve what is below a prefix from the gateway, which the proxy reaches without it."""

    async def forward(request: web.Request) -> web.Response:
        headers = {n: v for n, v in request.headers.items() if n in _PASSED_ON}
        headers |= {'X-Forwarded-Prefix': prefix, 'X-Forwarded-For': str(request.remote)}
        path = request.raw_path.removeprefix(prefix)
        body = await request.read()
        async with api.client.request(
            request.method, path, headers=headers, data=body, allow_redirects=False
        ) as answer:
            kept = {n: v for n, v in answer.headers.items() if n in _PASSED_BACK}
            return web.Response(status=answer.status, headers=kept, body=await answer.read())

    application = web.Application(client_max_size=1024 * 1024)
    application.router.add_route('*', prefix + '/{rest:.*}', forward)
    async with TestServer(application) as server, ClientSession(server.make_url('')) as client:
        yield client
