# SPDX-License-Identifier: Apache-2.0
"""The peer: aiohttp, a spawn and a dict. Nothing is supervised, limited, recorded or checked.

`python bare_server.py FOLDER` runs the scripts of a folder, and writes its port to stdout.
"""

import asyncio
import functools
import itertools
from pathlib import Path
import sys
from typing import Any

from aiohttp import web

executions: dict[str, dict[str, Any]] = {}
numbers = itertools.count(1)


async def start(request: web.Request) -> web.Response:
    """Run a script; answer at its end."""
    asked = await request.json()
    script = Path(sys.argv[1], request.match_info['script'])
    program = (sys.executable, '-P') if script.suffix == '.py' else ('/bin/sh',)
    process = await asyncio.create_subprocess_exec(
        *program,
        script,
        *asked['arguments'],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    execution = executions[f'exec_{next(numbers)}'] = {'status': 'running'}
    out, err = await process.communicate()
    execution['status'] = 'failed' if process.returncode else 'completed'
    execution['exit_code'] = process.returncode
    execution['output'] = {'stdout': out.decode(), 'stderr': err.decode()}
    return web.json_response(execution)


async def ready_made(request: web.Request) -> web.Response:
    """Serve bytes that are there already."""
    body = _some_bytes(int(request.match_info['length']))
    return web.Response(body=body, content_type='application/json')


@functools.cache
def _some_bytes(length: int) -> bytes:
    return b'x' * length


async def serve() -> None:
    """Serve until killed."""
    application = web.Application()
    application.router.add_post('/scripts/{script}/executions', start)
    application.router.add_get('/bytes/{length}', ready_made)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, '127.0.0.1', 0).start()
    sys.stdout.write(f'{runner.addresses[0][1]}\n')
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == '__main__':
    asyncio.run(serve())
