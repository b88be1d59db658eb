# SPDX-License-Identifier: Apache-2.0
"""The search for an interpreter, with folders that do not answer."""

import asyncio
from pathlib import Path
import shutil
import threading

import pytest

from gateway_node.executions.errors import RunnerUnavailable
from gateway_node.process import installed_interpreters
from gateway_node.process.command_line import GATEWAYS_OWN
from gateway_node.process.installed_interpreters import InstalledInterpreters
from gateway_node.process.sourcing import ScriptWorld
from gateway_node.scripts.values import Script, ScriptKind

PATIENCE_SEC = 20.0
WORLD = ScriptWorld(
    variables={'PATH': '/usr/bin:/bin'}, interpreters=GATEWAYS_OWN, modules=frozenset()
)


def script(search_path: str) -> Script:
    """Return a bash script that is looked for in a path of its own."""
    return Script(
        id='script_1',
        name='check.bash',
        kind=ScriptKind.BASH,
        path=Path('/nowhere/check.bash'),
        version='0' * 64,
        size=1,
        environment={'PATH': search_path},
    )


async def test_a_folder_that_does_not_answer_holds_up_its_own_scripts_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However often they are asked for: one search goes on, 503 meanwhile, then it is found."""
    monkeypatch.setattr(installed_interpreters, '_PATIENCE_SEC', 0.1)
    answers = threading.Event()
    searches: list[bool] = []
    which = shutil.which

    def slowly(program: str, *, path: str) -> str | None:
        if path.startswith('/dead'):
            searches.append(threading.current_thread().daemon)
            answers.wait(PATIENCE_SEC)
        return which(program, path='/usr/bin:/bin')

    monkeypatch.setattr(shutil, 'which', slowly)
    interpreters = InstalledInterpreters()
    async with asyncio.timeout(PATIENCE_SEC):
        for _ in range(5):
            with pytest.raises(RunnerUnavailable, match=r'a folder does not answer: /dead'):
                await interpreters.of(script('/dead:/bin'), WORLD)
        assert searches == [True]
        (program,) = await interpreters.of(script('/usr/bin:/bin'), WORLD)
        assert program.endswith('/bash')
        answers.set()
        while True:
            try:
                assert await interpreters.of(script('/dead:/bin'), WORLD) == (program,)
                break
            except RunnerUnavailable:
                await asyncio.sleep(0)
