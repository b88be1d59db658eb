# SPDX-License-Identifier: Apache-2.0
"""A script that starts warm finds what it finds in a new interpreter, and ends as there."""

import asyncio
import dataclasses
from pathlib import Path
import sys

import pytest
from runner_support import Floor
from warm_support import run, run_script, warm_floor_on

from gateway_node.scripts.values import ScriptKind

SCRIPTS = sorted(Path(__file__).parents[1].glob('warm_scripts/*.py'))
AT_ONCE = 4
# Files that no editor of this project would leave as they are.
EXITS_THAT_FAIL = ('exits_with_a_huge_number', 'exits_with_what_cannot_be_printed')
"""Of what Python 3.12 says a word more where a start is cold; they end with the same code."""
ODD_FILES = {
    'says that it is Latin-1': b'# -*- coding: latin-1 -*-\nprint(ascii("\xe4\xf6"))\n',
    'is no UTF-8': b'print("before")\nprint("\xff")\n',
    'begins with a byte order mark': b'\xef\xbb\xbfprint("marked")\n',
    'holds a NUL': b'print("before")\n# \0\n',
    'has a syntax error': b'print("never")\ndef broken(:\n    pass\n',
    'is indented wrongly': b'if True:\n        x = 1\n    y = 2\n',
    'ends without a newline': b'print("no newline", end="")',
    'has line ends of old': b'print(1)\r\nprint("""a\r\nb""")\r\n',
    'is empty': b'',
    'is one long line': b'x = 0' + b'+1' * 2000 + b'\nprint(x)',
}


@pytest.mark.timeout(300)
async def test_a_warm_script_finds_what_a_cold_one_does(tmp_path: Path) -> None:
    """Output, tracebacks, exit codes, streams, signals, handlers, threads, nodes: the same."""
    contents: dict[str, bytes | Path] = {path.stem: path for path in SCRIPTS}
    async with warm_floor_on(tmp_path) as floor:
        turns = asyncio.Semaphore(AT_ONCE)
        names = [*contents, *ODD_FILES]
        found = await asyncio.gather(
            *(_both_ways(floor, (contents | ODD_FILES)[name], turns) for name in names)
        )
    assert len(SCRIPTS) > 30
    if sys.version_info >= (3, 12):
        for name in EXITS_THAT_FAIL:
            for told in found[names.index(name)]:
                del told['stderr']
    differences = {
        name: [(key, cold[key], warm[key]) for key in cold if cold[key] != warm[key]]
        for name, (cold, warm) in zip(names, found, strict=True)
        if cold != warm
    }
    assert differences == {}


async def _both_ways(
    floor: Floor, content: bytes | Path, turns: asyncio.Semaphore
) -> tuple[dict[str, object], dict[str, object]]:
    async with turns:
        script = floor.script(content, ScriptKind.PYTHON)
        cold = await run_script(floor, dataclasses.replace(script, warm=False))
        warm = await run_script(floor, script)
    assert (cold.warm, warm.warm) == (False, True)
    return cold.told, warm.told


async def test_a_warm_script_knows_where_the_gateway_is(tmp_path: Path) -> None:
    """As a cold one does."""
    async with warm_floor_on(tmp_path) as floor:
        floor.runner.serve_at('http://127.0.0.1:8080/api/v1')
        found = await run(floor, b'import os; print(os.environ["GATEWAY_URL"])\n')
    assert (found.warm, found.output.stdout) == (True, 'http://127.0.0.1:8080/api/v1\n')
