# SPDX-License-Identifier: Apache-2.0
"""Managed scripts follow the manifest that was taken last."""

import asyncio
from dataclasses import replace
from pathlib import Path

from fakes import FakeClock, FakeSchemaChecker
import pytest

from gateway_node.entities.values import EntityRef
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.managed import ManagedFile, ManagedScript
from gateway_node.scripts.managed_scripts import ManagedChanges, ManagedScripts
from gateway_node.scripts.scripts_manifest import load_scripts_manifest

APP = EntityRef.from_path('apps/camera')


def declared(folder: Path, *rows: str) -> tuple[ManagedScript, ...]:
    """Return what a manifest declares; `a.sh`, `b.sh` and `c.sh` are there."""
    for name in 'abc':
        file = folder / f'{name}.sh'
        if not file.exists():
            file.write_text('true\n')
    manifest = folder / 'scripts.yaml'
    manifest.write_text(f'scripts: [{", ".join(f"{{{row}}}" for row in rows)}]\n')
    return load_scripts_manifest(manifest)


def ids(scripts: tuple[ManagedScript, ...]) -> list[str]:
    """Return the ids of managed scripts."""
    return [each.script.id for each in scripts]


A = 'id: a, path: a.sh, entities: apps/*'
B = 'id: b, path: b.sh, entities: apps/*'
C = 'id: c, path: c.sh, entities: apps/*'


async def test_another_manifest_replaces_the_one_before(tmp_path: Path) -> None:
    """Its scripts are there in its order, no others are, and what differs is told."""
    scripts = ManagedScripts(declared(tmp_path, A, B))
    changes = scripts.take(declared(tmp_path, C, f'{B}, description: another'))
    assert [each.id for each in await scripts.of(APP)] == ['c', 'b']
    assert await scripts.get(APP, 'a') is None
    assert (ids(changes.added), ids(changes.changed), ids(changes.removed)) == (
        ['c'],
        ['b'],
        ['a'],
    )
    assert changes.may_lack == {'a', 'b'}


async def test_the_same_manifest_changes_nothing(tmp_path: Path) -> None:
    """Where a file of it has other bytes, that script is told."""
    scripts = ManagedScripts(declared(tmp_path, A, B))
    assert scripts.take(declared(tmp_path, A, B)) == ManagedChanges()
    (tmp_path / 'b.sh').write_text('false\n')
    assert ids(scripts.take(declared(tmp_path, A, B)).changed) == ['b']


async def test_what_the_robot_offers_stands_behind_what_the_manifest_declares(
    tmp_path: Path,
) -> None:
    """Both come and go by themselves; of two with one id the manifest's is the one."""
    a, b, offered = declared(tmp_path, A, B, f'{C}, name: Offered')
    of_manifest = replace(offered, script=replace(offered.script, name='Declared'))
    library = ScriptLibrary(
        scripts_dir=tmp_path / 'scripts',
        max_file_bytes=1000,
        schemas=FakeSchemaChecker(),
        clock=FakeClock(),
        managed=(a,),
    )
    await library.open()

    async def names() -> list[str]:
        return [each.name for each in await library.list(APP)]

    assert ids(library.take_offered([offered]).added) == ['c']
    assert await names() == ['a', 'Offered']
    library.take_managed([b, of_manifest])
    assert await names() == ['b', 'Declared']
    library.take_managed([b])
    assert await names() == ['b', 'Offered']
    assert ids(library.take_offered([]).removed) == ['c']
    assert await names() == ['b']
    await library.close()


async def test_a_script_taken_away_during_a_look_at_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody gets a script that no manifest declares any more; one declared anew is looked at."""
    scripts = ManagedScripts(declared(tmp_path, A, B))
    look = ManagedFile.current
    next_manifests = [declared(tmp_path, B), declared(tmp_path, f'{B}, name: New')]

    async def looked(file: ManagedFile, within_sec: float) -> object:
        script = await look(file, within_sec)
        if next_manifests:
            scripts.take(next_manifests.pop(0))
        return script

    monkeypatch.setattr(ManagedFile, 'current', looked)
    assert await scripts.get(APP, 'a') is None
    script = await scripts.get(APP, 'b')
    assert script is not None
    assert script.name == 'New'


async def test_who_asks_during_a_look_is_told_what_it_finds(tmp_path: Path) -> None:
    """A look that has only begun says nothing yet, in whichever way it is asked for."""
    scripts = ManagedScripts(declared(tmp_path, A, B))
    for name in 'ab':
        (tmp_path / f'{name}.sh').write_text('false\n')
    script, version = await asyncio.gather(scripts.get(APP, 'a'), scripts.version_of(APP, 'a'))
    assert script is not None
    assert script.version == version
    of_one, of_several = await asyncio.gather(
        scripts.version_of(APP, 'b'), scripts.versions_of([(APP, 'b')])
    )
    assert of_one == of_several[APP, 'b'] == version
