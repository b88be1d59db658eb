# SPDX-License-Identifier: Apache-2.0
"""Executables of packages, looked for where `ros2 run` looks."""

import asyncio
from pathlib import Path

from ament_prefixes import install
import pytest

from gateway_node.scripts.installed_executables import (
    ExecutableNotInstalled,
    InstalledPackages,
    PackageExecutable,
)

CHECK = PackageExecutable(package='probes', name='check')


def test_the_first_prefix_that_has_the_package_counts(tmp_path: Path) -> None:
    """An overlay hides what is below it, and what has no entry in the index is no package."""
    over, under, none = (tmp_path / name for name in ('over', 'under', 'none'))
    below = install(under, 'probes', 'check')
    (none / 'lib/probes').mkdir(parents=True)
    (none / 'lib/probes/check').write_text('')
    assert CHECK.find(f'{none}:{under}:relative') == below / 'check'
    above = install(over, 'probes', 'check')
    assert CHECK.find(f'{none}:{over}:{under}') == above / 'check'


def test_it_may_lie_in_a_folder_and_has_to_be_executable(tmp_path: Path) -> None:
    """Folders that are hidden hold none; a link to a file is one."""
    folder = install(tmp_path, 'probes', 'deep/er/check', '.hidden/check')
    (folder / 'check').write_text('')
    assert CHECK.find(str(tmp_path)) == folder / 'deep/er/check'
    linked = PackageExecutable(package='probes', name='linked')
    (folder / 'linked').symlink_to(folder / 'deep/er/check')
    assert linked.find(str(tmp_path)) == folder / 'linked'


@pytest.mark.parametrize(
    ('executables', 'reason'),
    [
        ((), "no executable 'check' in {folder}; it has: none"),
        (('a', 'deep/b'), "no executable 'check' in {folder}; it has: a, b"),
        (('a/check', 'b/check'), "more than one executable 'check': {folder}/a/check, {folder}/b"),
        (tuple(f'x{number:02}' for number in range(22)), 'x18, x19 and 2 more'),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    tmp_path: Path, executables: tuple[str, ...], reason: str
) -> None:
    """None of that name, or one too many."""
    folder = install(tmp_path, 'probes', *executables)
    with pytest.raises(ExecutableNotInstalled) as told:
        CHECK.find(str(tmp_path))
    assert reason.format(folder=folder) in str(told.value)


def test_a_package_that_is_not_there_is_told_with_where_it_was_looked_for() -> None:
    """Also where there is nowhere to look."""
    for prefix_path, told in (
        ('/nowhere:/else', 'environment for scripts (/nowhere:/else)'),
        ('', 'environment for scripts (it is empty)'),
        (None, 'there is no environment for scripts at the moment'),
    ):
        with pytest.raises(ExecutableNotInstalled) as caught:
            CHECK.find(prefix_path)
        assert told in str(caught.value)


async def test_who_asks_waits_for_the_environment_for_a_while_only() -> None:
    """Until it is there what was known before holds; however many ask, it is taken once."""
    asked: list[asyncio.Future[str | None]] = []

    async def prefix_path() -> str | None:
        asked.append(asyncio.get_running_loop().create_future())
        return await asked[-1]

    packages = InstalledPackages(prefix_path, patience_sec=0.01)
    both = await asyncio.gather(packages.prefix_path(), packages.prefix_path())
    assert [*both] == [None, None]
    asked[0].set_result('/opt')
    assert await packages.prefix_path() == '/opt'
    assert len(asked) == 1
    assert await packages.prefix_path() == '/opt'
    assert len(asked) == 2
    asked[1].set_result('/other')
    assert await packages.prefix_path() == '/other'
