# SPDX-License-Identifier: Apache-2.0
"""Finds the programs that run scripts on this machine."""

import asyncio
import os
import shutil

from gateway_node.executions.errors import ScriptNotRunnable
from gateway_node.process.command_line import wanted_interpreter
from gateway_node.process.sourcing import ScriptWorld
from gateway_node.scripts.values import Script


class InstalledInterpreters:
    """Remembers what was found, so that a start looks for nothing that an earlier one found."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], str] = {}

    async def of(self, script: Script, world: ScriptWorld) -> tuple[str, ...]:
        """Return the program and the options that a script's path goes behind.

        None of either where the script runs itself.

        Raises:
            ScriptNotRunnable: the script has a fault, or what is to run it is not installed.
        """
        if script.fault:
            raise ScriptNotRunnable(script.id, script.fault)
        wanted = wanted_interpreter(script, world.interpreters)
        if wanted is None:
            return ()
        if wanted.program == world.interpreters.python:
            return (wanted.program, *wanted.options)
        search_path = {**world.variables, **script.environment}.get('PATH', os.defpath)
        program = await self._find(wanted.program, search_path)
        if program is None:
            asks = 'its first line' if script.interpreter else f"its kind, '{script.kind.value}',"
            raise ScriptNotRunnable(
                script.id, f'{asks} asks for {wanted.program!a}, which is not installed here'
            )
        return (program, *wanted.options)

    async def _find(self, program: str, search_path: str) -> str | None:
        key = program, search_path
        if key not in self._found:
            # Relative folders would be the gateway's own, which is nowhere.
            folders = os.pathsep.join(filter(os.path.isabs, search_path.split(os.pathsep)))
            found = await asyncio.to_thread(shutil.which, program, path=folders)
            if found is None:
                return None
            self._found[key] = found
        return self._found[key]
