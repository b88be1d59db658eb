# SPDX-License-Identifier: Apache-2.0
"""A script that is stopped before its program has begun, while its supervisor waits for that."""

from pathlib import Path
import subprocess
import sys

from runner_support import Floor, floor

__all__ = ['floor']

PROGRAM = Path(__file__).parent.parent / 'runner_programs' / 'stops_a_beginning.py'
STARTS = 1000
"""Of which one is hit in the tenth of a millisecond between its birth and its exec."""


def hunter_below(supervisor: str) -> 'subprocess.Popen[bytes]':
    """Start what stops the next thing that the supervisor makes."""
    return subprocess.Popen([sys.executable, PROGRAM, supervisor])


async def test_a_script_that_is_stopped_before_it_begins_goes_on(floor: Floor) -> None:
    """Its supervisor hears nothing meanwhile; the gateway continues the script (man 2 vfork)."""
    script = floor.script('echo "$PPID"')
    hunter: subprocess.Popen[bytes] | None = None
    try:
        for _ in range(STARTS):
            order = floor.order(script)
            outcome, output = await floor.run(order)
            floor.runner.acknowledge([order.execution_id])
            assert outcome.exit_code == 0
            if hunter is None:
                hunter = hunter_below(output.stdout.strip())
            elif hunter.poll() is not None:
                break
        assert hunter is not None
        assert hunter.poll() == 0
    finally:
        if hunter is not None:
            hunter.kill()
            hunter.wait()
