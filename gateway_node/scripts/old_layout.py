# SPDX-License-Identifier: Apache-2.0
"""How scripts lay on the disk before: `<script id>/<SHA-256><suffix>`, format 1 of the record.

Everything here can be cut off at any moment and done again.
"""

import os
from pathlib import Path
import re

from gateway_node.scripts.disk import make_directory, SCRIPT_MODE, sync_directory

FORMAT = 1
_FILE = re.compile(r'([0-9a-f]{64})(\.[a-z.]+)')


def move_versions(home: Path, current: str, file_name: str) -> None:
    """Move the files of a script's versions into their folders.

    What a version's file was called is known of the current one only; another one gets that name
    where it has its suffix, else a name made of its own. OSError.
    """
    for path in sorted(home.iterdir()):
        found = _FILE.fullmatch(path.name)
        if found is None or path.is_dir():
            continue
        version, suffix = found.groups()
        keeps_name = version == current or file_name.lower().endswith(suffix)
        folder = home / version
        make_directory(folder)
        path.chmod(SCRIPT_MODE)
        os.rename(path, folder / (file_name if keeps_name else f'script{suffix}'))
        sync_directory(folder)
