# SPDX-License-Identifier: Apache-2.0
"""Finds the programs that run scripts on this machine."""

import functools
import os
import shutil

from gateway_node.executions.errors import RunnerUnavailable, ScriptNotRunnable
from gateway_node.process.command_line import wanted_interpreter
from gateway_node.process.sourcing import ScriptWorld
from gateway_node.scripts.values import Script
from gateway_node.threads import Look, Threads

_THREADS = 2
_PATIENCE_SEC = 5.0
"""For a search, which a folder on a mount that does not answer can hold up."""


class InstalledInterpreters:
    """Remembers what was found, so that a start looks for nothing that an earlier one found."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], str] = {}
        self._threads = Threads('interpreters', _THREADS)
        self._searches: dict[tuple[str, str], Look[str | None]] = {}
        """Those that go on."""

    async def of(self, script: Script, world: ScriptWorld) -> tuple[str, ...]:
        """Return the program and the options that a script's path goes behind.

        None of either where the script runs itself.

        Raises:
            ScriptNotRunnable: the script has a fault, or what is to run it is not installed.
            RunnerUnavailable: the search does not end in time.
        """
        if script.fault:
            raise ScriptNotRunnable(script.id, script.fault)
        wanted = wanted_interpreter(script, world.interpreters)
        if wanted is None:
            return ()
        if wanted.program == world.interpreters.python:
            return (wanted.program, *wanted.options)
        search_path = script.environment.get('PATH', world.variables.get('PATH', os.defpath))
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
            found = await self._search(program, search_path)
            if found is None:
                return None
            self._found[key] = found
        return self._found[key]

    async def _search(self, program: str, search_path: str) -> str | None:
        # Relative folders would be the gateway's own, which is nowhere.
        folders = os.pathsep.join(filter(os.path.isabs, search_path.split(os.pathsep)))
        which = functools.partial(shutil.which, program, path=folders)
        self._searches = {key: each for key, each in self._searches.items() if each.goes_on}
        search = self._searches.setdefault(
            (program, search_path), Look(self._threads, which, _PATIENCE_SEC)
        )
        try:
            return await search.answer()
        except TimeoutError as error:
            raise RunnerUnavailable(
                f'{program!a} is not found in {_PATIENCE_SEC:g} s, as a folder does not answer: '
                f'{folders}'
            ) from error
