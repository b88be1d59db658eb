# SPDX-License-Identifier: Apache-2.0
"""Executes examples of docs/writing_scripts.md as the gateway executes scripts."""

from pathlib import Path

import pytest
from runner_support import Floor, floor

from gateway_node.executions.findings import Check, Findings, findings_of
from gateway_node.scripts.values import ScriptKind, Verdict

__all__ = ['floor']

PAGE = (Path(__file__).parents[2] / 'docs' / 'writing_scripts.md').read_text()


def example(heading: str, language: str) -> str:
    """Return the first block in a language below a heading."""
    section = PAGE.split(f'## {heading}\n', 1)[1]
    return section.split(f'```{language}\n', 1)[1].split('```', 1)[0]


async def findings(floor: Floor, content: str, kind: ScriptKind) -> Findings:
    """Execute a script that gives a result; return what that tells."""
    outcome, output = await floor.run(floor.order(floor.script(content, kind)))
    assert (outcome.exit_code, outcome.warnings) == (0, ()), output.stderr
    return findings_of(outcome.result)


async def test_a_python_script_tells_what_it_found(floor: Floor) -> None:
    """Checks, a metric and a verdict, in calls of their own."""
    content = example('What a script found', 'python')
    assert await findings(floor, content, ScriptKind.PYTHON) == Findings(
        verdict=Verdict.WARN,
        summary='11.2 V',
        checks=(
            Check(
                name='battery',
                verdict=Verdict.FAIL,
                value=11.2,
                unit='V',
                expected='> 11.5',
                hint='charge it',
            ),
            Check(name='fuses', verdict=Verdict.SKIP, hint='open the cover first'),
        ),
        metrics={'volts': 11.2},
    )


@pytest.mark.parametrize('kind', [ScriptKind.SH, ScriptKind.BASH])
async def test_a_shell_script_tells_what_it_found_in_one_line(
    floor: Floor, kind: ScriptKind
) -> None:
    """Whatever else it prints."""
    content = f'set -eu\necho looking\n{example("What a script found", "sh")}'
    assert await findings(floor, content, kind) == Findings(
        verdict=Verdict.WARN, summary='low battery', metrics={'volts': 11.2}
    )


@pytest.mark.parametrize(
    ('language', 'kind', 'left'),
    [
        ('sh', ScriptKind.SH, ['disks.txt', 'logs/kernel.txt']),
        ('python', ScriptKind.PYTHON, ['volts.csv']),
    ],
)
async def test_a_script_leaves_files(
    floor: Floor, language: str, kind: ScriptKind, left: list[str]
) -> None:
    """Where it is told to leave them."""
    order = floor.order(floor.script(example('Files that a script leaves', language), kind))
    outcome, output = await floor.run(order)
    assert (outcome.exit_code, outcome.warnings) == (0, ()), output.stderr
    assert outcome.artifacts == len(left)
    assert [each.path for each in await floor.runner.artifacts.of(order.execution_id)] == left
