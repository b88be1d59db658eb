# SPDX-License-Identifier: Apache-2.0
"""How a script ended, as its supervisor told it, and may have to write it down."""

import contextlib
import json
import os
from typing import NamedTuple

from gateway_node.child.contract import END_FILE
from gateway_node.child.exposed_files import make_directory, replace_file
from gateway_node.child.messages import EndReport


class SeenEnd(NamedTuple):
    """The end of a script, as it was told."""

    report: EndReport
    directory: str
    """The execution's own."""
    reusable: bool
    """True where this process is fit for the next script, as it was for this one."""

    def write(self) -> None:
        """Write the end file, for a gateway that starts after this one has died."""
        make_directory(self.directory)
        replace_file(self._path, json.dumps(self.report).encode())

    def take_back(self) -> None:
        """Remove the end file, where there is one, and the directory where it was alone there."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
            os.rmdir(self.directory)

    @property
    def _path(self) -> str:
        return os.path.join(self.directory, END_FILE)
