# SPDX-License-Identifier: Apache-2.0
"""The gateway with a defect in a task beside the requests, which shows with the first app."""

from unittest.mock import patch

from gateway_node.entities.directory import EntityDirectory
from gateway_node.main import main


class FailingDirectory(EntityDirectory):
    """Raises once."""

    failed = False

    def forget_stale(self) -> None:
        if self.apps() and not self.failed:
            self.failed = True
            raise ValueError('a defect of a test')
        super().forget_stale()


with patch('gateway_node.assembly.EntityDirectory', FailingDirectory):
    main()
