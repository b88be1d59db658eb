# SPDX-License-Identifier: Apache-2.0
"""Managed scripts that are executables of packages: there as soon as they are installed."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
import hashlib
from pathlib import Path
import shutil

from ament_prefixes import install
from api_support import Api, serve_api
from fakes import FakeSchemaChecker
import pytest
from runner_support import floor_on, setup_file

from gateway_node.clock import SystemClock
from gateway_node.entities.values import EntityRef
from gateway_node.executions.errors import ScriptNotRunnable
from gateway_node.executions.runner_ports import EndCause
from gateway_node.scripts.installed_executables import PrefixPath
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.managed import ManagedScript
from gateway_node.scripts.scripts_manifest import load_scripts_manifest

APP = EntityRef.from_path('apps/temp_sensor')
ECHO = '#!/bin/sh\necho "$0" "$@"\n'


def declared(folder: Path, row: str = '') -> tuple[ManagedScript, ...]:
    """Return what a manifest declares: the executable `check` of the package `probes`."""
    manifest = folder / 'scripts.yaml'
    manifest.write_text(
        f'scripts: [{{id: check, package: probes, executable: check, entities: apps/*{row}}}]\n'
    )
    return load_scripts_manifest(manifest)


def at(*prefixes: Path) -> PrefixPath:
    """Return who says that scripts have these prefixes."""

    async def prefix_path() -> str | None:
        return ':'.join(map(str, prefixes))

    return prefix_path


@contextlib.asynccontextmanager
async def library_of(
    folder: Path, managed: tuple[ManagedScript, ...], prefix_path: PrefixPath
) -> AsyncIterator[ScriptLibrary]:
    """Give an open library."""
    library = ScriptLibrary(
        scripts_dir=folder / 'scripts',
        max_file_bytes=1000,
        schemas=FakeSchemaChecker(),
        clock=SystemClock(),
        managed=managed,
        prefix_path=prefix_path,
    )
    await library.open()
    yield library
    await library.close()


async def test_an_executable_comes_and_goes_with_its_package(tmp_path: Path) -> None:
    """Each time it is asked for it is looked for; what is gone keeps its version and says why."""
    over, under = tmp_path / 'over', tmp_path / 'under'
    async with library_of(tmp_path, declared(tmp_path), at(over, under)) as library:
        absent = await library.get(APP, 'check')
        assert absent.version == ''
        assert "package 'probes' is not installed" in absent.fault
        assert str(over) in absent.fault
        assert await library.versions.newest(APP, 'check', limit=5) == ((), False)
        folder = install(under, 'probes', 'check', content=ECHO)
        there = await library.get(APP, 'check')
        assert (there.path, there.fault) == (folder / 'check', '')
        assert there.version == hashlib.sha256(ECHO.encode()).hexdigest()
        above = install(over, 'probes', 'check', content='#!/bin/sh\n')
        assert (await library.get(APP, 'check')).path == above / 'check'
        shutil.rmtree(over)
        assert await library.get(APP, 'check') == there
        shutil.rmtree(folder)
        gone = await library.get(APP, 'check')
        assert gone.version == there.version
        assert "has no executable 'check'" in gone.fault


async def test_a_manifest_that_is_read_anew_says_no_change_of_it(tmp_path: Path) -> None:
    """Where it says the same: the manifest does not look at the file."""
    install(tmp_path, 'probes', 'check', content=ECHO)
    async with library_of(tmp_path, declared(tmp_path), at(tmp_path)) as library:
        before = await library.get(APP, 'check')
        assert library.take_managed(declared(tmp_path)).changed == ()
        assert await library.get(APP, 'check') == before
        (changed,) = library.take_managed(declared(tmp_path, ', name: Other')).changed
        assert changed.script.name == 'Other'


async def test_the_scripts_own_environment_comes_first(tmp_path: Path) -> None:
    """As it does for the process."""
    folder = install(tmp_path / 'own', 'probes', 'check')
    row = f', environment: {{AMENT_PREFIX_PATH: {tmp_path / "own"}}}'
    async with library_of(tmp_path, declared(tmp_path, row), at()) as library:
        assert (await library.get(APP, 'check')).path == folder / 'check'


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway whose script is not installed."""
    async with serve_api(tmp_path, managed=declared(tmp_path)) as served:
        yield served


async def test_a_client_is_told_why_a_script_is_unavailable(api: Api) -> None:
    """In the detail and in lists; there is no file to download, and no start."""
    path = '/apps/temp_sensor/scripts/check'
    _, detail = await api.json('GET', path)
    assert detail['unavailable'].startswith("package 'probes' is not installed")
    assert (detail['version'], detail['size']) == ('', 0)
    _, listed = await api.json('GET', '/apps/temp_sensor/scripts')
    assert listed['items'] == [detail]
    assert (await api.request('GET', f'{path}/content')).status == 404
    _, there = await api.json('GET', f'{path}/versions')
    assert there['items'] == []


async def test_what_is_installed_runs_without_a_restart(tmp_path: Path) -> None:
    """In the environment of scripts, as it is when it is asked for, with its arguments."""
    prefix = tmp_path / 'install'
    setup = setup_file(tmp_path, 'true\n')
    async with (
        floor_on(tmp_path / 'floor', [setup]) as floor,
        library_of(tmp_path, declared(tmp_path), floor.runner.prefix_path) as library,
    ):
        absent = await library.get(APP, 'check')
        with pytest.raises(ScriptNotRunnable, match="package 'probes' is not installed"):
            await floor.runner.vet(floor.order(absent))
        folder = install(prefix, 'probes', 'check', content=ECHO)
        setup_file(tmp_path, f'export AMENT_PREFIX_PATH={prefix}\n')
        async with asyncio.timeout(20):
            while (script := await library.get(APP, 'check')).fault:
                pass  # where the set-up files take longer than who asks waits
        outcome, output = await floor.run(floor.order(script, arguments=('a b',)))
    assert (outcome.cause, outcome.exit_code) == (EndCause.EXITED, 0)
    assert output.stdout == f'{folder / "check"} a b\n'
