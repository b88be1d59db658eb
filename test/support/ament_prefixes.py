# SPDX-License-Identifier: Apache-2.0
"""Prefixes in which packages are installed, as colcon lays them out."""

from pathlib import Path


def install(prefix: Path, package: str, *executables: str, content: str = '#!/bin/sh\n') -> Path:
    """Install a package with these executables, which may lie in folders; return where."""
    index = prefix / 'share/ament_index/resource_index/packages'
    index.mkdir(parents=True, exist_ok=True)
    (index / package).touch()
    folder = prefix / 'lib' / package
    for name in executables:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o755)
    return folder
