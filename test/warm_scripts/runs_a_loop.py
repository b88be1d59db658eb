# SPDX-License-Identifier: Apache-2.0
"""Runs asyncio, with a signal handler, a subprocess and a thread."""

import asyncio
import os
import signal


async def main():
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, asked.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asked.wait()
    process = await asyncio.create_subprocess_exec('echo', 'hi', stdout=asyncio.subprocess.PIPE)
    print(await process.communicate(), process.returncode)
    print(await asyncio.to_thread(lambda: 'of a thread'))
    results = await asyncio.gather(asyncio.sleep(0.01, 1), asyncio.sleep(0.02, 2))
    print(results)


asyncio.run(main())
