"""The gateway's side of supervision: what is journalled, concluded, read and cleared away."""

import os
from pathlib import Path

from runner_support import Floor, floor, floor_on

from gateway_node.executions.ports import EndCause

__all__ = ['floor']


async def test_an_end_is_told_again_until_it_is_acknowledged(tmp_path: Path) -> None:
    """What no gateway recorded is told by each recovery; what one recorded by none."""
    async with floor_on(tmp_path) as first:
        noted = first.order(first.script('exit 0'))
        forgotten = first.order(first.script('exit 3'))
        for order in (noted, forgotten):
            await first.run(order)
        first.runner.acknowledge([noted.execution_id])
    for _ in range(2):
        async with floor_on(tmp_path) as later:
            outcomes = await later.runner.recover()
            assert list(outcomes) == [forgotten.execution_id]
            outcome = outcomes[forgotten.execution_id]
            assert (outcome.cause, outcome.exit_code) == (EndCause.EXITED, 3)
    async with floor_on(tmp_path) as last:
        last.runner.acknowledge(await last.runner.recover())
    assert os.listdir(tmp_path / 'state' / 'open') == []


async def test_what_is_kept_is_listed_until_it_is_discarded(floor: Floor) -> None:
    """A discarded execution leaves neither a folder nor a journal entry."""
    orders = [floor.order(floor.script('echo here')) for _ in range(2)]
    for order in orders:
        await floor.run(order)
    first, second = (order.execution_id for order in orders)
    assert await floor.runner.kept() == (first, second)
    await floor.runner.discard(first)
    assert await floor.runner.kept() == (second,)
    await floor.runner.close()
    journalled = os.listdir(floor.folder / 'state' / 'open')
    assert journalled == [f'{second}.json']
