# SPDX-License-Identifier: Apache-2.0
"""What an execution leaves that only its living script needed."""

import contextlib
import os

from gateway_node.child.cgroup_leaf import CgroupLeaf
from gateway_node.child.contract import PROGRESS_FIFO, WORKING_DIRECTORY
from gateway_node.removal import remove_tree


def remove_leavings(
    directory: str | os.PathLike[str], cgroup: CgroupLeaf | None, *, keep_working_directory: bool
) -> None:
    """Remove it from the execution's directory, and the cgroup; the processes are gone.

    Its supervisor does; where that was lost, the gateway.
    """
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(directory, PROGRESS_FIFO))
    if not keep_working_directory:
        remove_tree(os.path.join(directory, WORKING_DIRECTORY))
    if cgroup is not None:
        cgroup.remove()
