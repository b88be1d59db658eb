# SPDX-License-Identifier: Apache-2.0
"""The warning where two gateways of one name are in a domain."""

import asyncio

import pytest

from gateway_node.entities.values import NodeName
from gateway_node.ros.namesakes import Namesakes

OWN = NodeName(namespace='/', name='gateway_node')


async def turns() -> None:
    """Let the loop turn until what is due has been called."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_namesake_that_stays_is_warned_of_until_it_goes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once in the log, and in /health for as long as it is there."""
    namesakes = Namesakes(OWN, patience_sec=0)
    namesakes.note(1)
    namesakes.note(2)
    await turns()
    (warning,) = namesakes.warnings
    assert '/gateway_node too' in warning
    namesakes.note(1)
    assert [record.getMessage() for record in caplog.records] == [warning]
    namesakes.note(0)
    assert namesakes.warnings == ()


async def test_a_killed_gateway_that_lingers_in_the_graph_is_no_namesake(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Discovery forgets it in time; then there is nothing to tell."""
    namesakes = Namesakes(OWN, patience_sec=0)
    namesakes.note(1)
    namesakes.note(0)
    await turns()
    assert (namesakes.warnings, caplog.records) == ((), [])
