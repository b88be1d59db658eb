# SPDX-License-Identifier: Apache-2.0
"""Executables of ROS packages, found as `ros2 run` finds them: in the first prefix that has the
package, below `lib/<package>`, whatever file of that name may be executed.

The prefixes are those of the environment in which scripts run (`AMENT_PREFIX_PATH`). Which package
a prefix has says its ament index (ament_index, "resource index").
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
import os
from pathlib import Path

PREFIX_PATH_VARIABLE = 'AMENT_PREFIX_PATH'
_INDEX = Path('share/ament_index/resource_index/packages')
_NAMED = 20
"""Executables that a message names."""

PrefixPath = Callable[[], Awaitable[str | None]]
"""Returns AMENT_PREFIX_PATH of the environment in which scripts run, empty where it has none; None
where there is no such environment at the moment."""


async def no_prefix_path() -> str | None:
    """There are no packages."""
    return ''


class ExecutableNotInstalled(Exception):
    """A package, or an executable of one, is not there; the message says what is."""


@dataclass(frozen=True, kw_only=True)
class PackageExecutable:
    """What `ros2 run <package> <name>` runs."""

    package: str
    name: str

    def find(self, prefix_path: str | None) -> Path:
        """Return its file; ExecutableNotInstalled. Blocks."""
        if prefix_path is None:
            raise ExecutableNotInstalled(
                f'package {self.package!r} is not looked for: there is no environment for scripts '
                'at the moment'
            )
        for prefix in filter(os.path.isabs, prefix_path.split(os.pathsep)):
            if Path(prefix, _INDEX, self.package).is_file():
                return self._file_in(Path(prefix, 'lib', self.package))
        searched = prefix_path or 'it is empty'
        raise ExecutableNotInstalled(
            f'package {self.package!r} is not installed in {PREFIX_PATH_VARIABLE} of the '
            f'environment for scripts ({searched})'
        )

    def _file_in(self, folder: Path) -> Path:
        there = tuple(_executables_below(folder))
        found = [path for path in there if path.name == self.name]
        if len(found) == 1:
            return found[0]
        if found:
            raise ExecutableNotInstalled(
                f'package {self.package!r} has more than one executable {self.name!r}: '
                + ', '.join(map(str, found))
            )
        names = sorted({path.name for path in there})
        more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
        has = (', '.join(names[:_NAMED]) or 'none') + more
        raise ExecutableNotInstalled(
            f'package {self.package!r} has no executable {self.name!r} in {folder}; it has: {has}'
        )


class InstalledPackages:
    """Where packages are looked for: asked of the environment, which may have to be taken anew."""

    def __init__(self, prefix_path: PrefixPath, patience_sec: float) -> None:
        self._ask = prefix_path
        self._patience_sec = patience_sec
        self._asking: asyncio.Future[str | None] | None = None
        self._known: str | None = None

    async def prefix_path(self) -> str | None:
        """Return it as it is now, or as it was last where that takes too long."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask())
        asking = self._asking
        await asyncio.wait({asking}, timeout=self._patience_sec)
        if asking.done():
            self._known = asking.result()
        return self._known


def _executables_below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        for name in sorted(files):
            if os.access(path := Path(place, name), os.X_OK):
                yield path
