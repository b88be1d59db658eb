# SPDX-License-Identifier: Apache-2.0
"""The self-tests of nodes, as a managed script that their apps have without a manifest."""

import asyncio
from pathlib import Path

from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.values import EntityRef, GraphSnapshot
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.script_changes import ScriptChanges
from gateway_node.scripts.managed import ManagedScript
from gateway_node.scripts.values import Script, ScriptKind

SELF_TEST_ID = 'self_test'
_PROGRAM = Path(__file__).parent / 'diagnostics' / 'self_test.py'


class SelfTests:
    """Offers the script to the apps whose nodes can be asked to test themselves."""

    def __init__(self, directory: EntityDirectory, script_changes: ScriptChanges) -> None:
        self._directory = directory
        self._script_changes = script_changes
        self._apps: tuple[EntityRef, ...] = ()
        self._changed = asyncio.Event()

    def note(self, snapshot: GraphSnapshot) -> None:
        """Take the graph as it is now, which the directory has taken."""
        apps = self._directory.online_apps(snapshot.self_testing)
        if apps != self._apps:
            self._apps = apps
            self._changed.set()

    async def keep_offering(self) -> None:
        """Have the library know who has the script; never returns."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            offered = [_script_of(self._apps)] if self._apps else []
            await self._script_changes.take_offered(offered, actor=GATEWAY)


def _script_of(apps: tuple[EntityRef, ...]) -> ManagedScript:
    script = Script(
        id=SELF_TEST_ID,
        name='Self-test',
        description='Has the node test itself: each status that it answers is a check.',
        kind=ScriptKind.PYTHON,
        path=_PROGRAM,
        version='',
        size=0,
        managed=True,
        single_execution=True,
        tags=('self-test',),
    )
    return ManagedScript(script=script, entities=tuple(app.path for app in apps))
