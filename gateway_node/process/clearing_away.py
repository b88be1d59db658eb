# SPDX-License-Identifier: Apache-2.0
"""Keeps and removes what a lost supervisor left, and what a script did to its place."""

import contextlib
import os
from pathlib import Path

from gateway_node.child.artifact_keeping import finish_keeping, KeptArtifacts
from gateway_node.child.cgroup_leaf import CgroupLeaf
from gateway_node.child.contract import ARTIFACTS_DIRECTORY, PROGRESS_FIFO, WORKING_DIRECTORY
from gateway_node.child.messages import ArtifactBounds
from gateway_node.removal import remove_tree


def clear_away(
    directory: Path,
    folder: str | None,
    cgroup: CgroupLeaf | None,
    *,
    keep_working_directory: bool,
    artifact_bounds: ArtifactBounds | None,
) -> KeptArtifacts:
    """Remove what only the living script needed; its processes are gone. It blocks.

    That is the supervisor's `folder`. What the script left to be kept is kept first, as its
    supervisor would have, and returned. A working directory that is to be kept is moved into the
    execution's own `directory`, in which all was without a folder, as in version 0.1.0.
    """
    artifacts = KeptArtifacts()
    if folder is None:
        with contextlib.suppress(OSError):
            (directory / PROGRESS_FIFO).unlink()
        if not keep_working_directory:
            remove_tree(directory / WORKING_DIRECTORY)
    else:
        if keep_working_directory:
            with contextlib.suppress(OSError):
                directory.mkdir(mode=0o700, exist_ok=True)
                os.rename(Path(folder) / WORKING_DIRECTORY, directory / WORKING_DIRECTORY)
        if artifact_bounds is not None:
            left = os.path.join(folder, ARTIFACTS_DIRECTORY)
            artifacts = finish_keeping(left, str(directory), artifact_bounds)
        remove_tree(folder)
    if cgroup is not None:
        cgroup.remove()
    return artifacts


def make_anew_unless_usable(folder: Path) -> None:
    """Make a folder in which nothing is kept, in place of what a script put there.

    Raises:
        OSError: it cannot be made.
    """
    if folder.is_symlink() or not folder.is_dir():
        remove_tree(folder)
    folder.mkdir(exist_ok=True, mode=0o700)
    folder.chmod(0o700)
