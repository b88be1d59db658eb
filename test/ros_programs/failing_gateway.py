# SPDX-License-Identifier: Apache-2.0
"""The gateway with a defect in a task beside the requests, that the first argument names."""

import sys
from unittest.mock import patch

from gateway_node.entities.directory import EntityDirectory
from gateway_node.main import main
from gateway_node.process.supervisor_pool import SupervisorPool


class FailingDirectory(EntityDirectory):
    """Raises once, with the first app."""

    failed = False

    def forget_stale(self) -> None:
        if self.apps() and not self.failed:
            self.failed = True
            raise ValueError('a defect of a test')
        super().forget_stale()


class FailingSupervisorPool(SupervisorPool):
    """Raises once, with the spawner that has come up."""

    failed = False

    def prepare_next(self) -> None:
        if not self.failed:
            self.failed = True
            raise ValueError('a defect of a test')
        super().prepare_next()


DEFECTS: dict[str, tuple[str, type]] = {
    'look after entities': ('gateway_node.inner_rooms.EntityDirectory', FailingDirectory),
    'keep a spawner alive': (
        'gateway_node.process.supervisors.SupervisorPool',
        FailingSupervisorPool,
    ),
}

target, failing = DEFECTS[sys.argv.pop(1)]
with patch(target, failing):
    main()
