# SPDX-License-Identifier: Apache-2.0
"""What ends orphans, without a runner around it."""

from pathlib import Path

from gateway_node.process.orphans import Orphans
from gateway_node.process.own_processes import OwnProcesses
from gateway_node.process.spawner_client import SpawnerClient
from gateway_node.process.spawner_program import cold_spawner
from gateway_node.side_tasks import SideTasks


def orphans_without_spawner(own: OwnProcesses) -> Orphans:
    """Return what ends orphans where no spawner lives."""
    tasks = SideTasks()
    orphans = Orphans(own, side_tasks=tasks)
    orphans.add_spawner(
        SpawnerClient(
            cold_spawner(),
            Path('/dev/null'),
            on_started=lambda _: None,
            on_lost=lambda: None,
            side_tasks=tasks,
        )
    )
    return orphans
