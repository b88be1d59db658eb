# SPDX-License-Identifier: Apache-2.0
"""What scripts show to the API, each in a file that only the gateway's user may read."""

import os
from pathlib import Path

from gateway_node.removal import remove_tree


class CredentialFiles:
    """A folder of such files, which are there as long as the scripts are.

    Apart from what is kept of an execution, and from the folder in which its script works. What a
    gateway that was killed left lets nobody in.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: set[str] = set()

    def clear(self) -> None:
        """Remove all of them; blocks."""
        self._written.clear()
        remove_tree(self._folder)

    def write(self, execution_id: str, token: str) -> Path:
        """Write the file of an execution, as a header that curl takes; return where it is.

        OSError.
        """
        path = self._folder / execution_id
        self._folder.mkdir(exist_ok=True, mode=0o700)
        self._written.add(execution_id)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(path, flags, 0o600), 'w', encoding='ascii') as file:
            file.write(f'Authorization: Bearer {token}\n')
        return path

    def remove(self, execution_id: str) -> None:
        """Remove the file of an execution, where there is one; nothing fails without."""
        if execution_id in self._written:
            self._written.discard(execution_id)
            remove_tree(self._folder / execution_id)
