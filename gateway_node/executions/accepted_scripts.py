# SPDX-License-Identifier: Apache-2.0
"""In which version each start has its script, from when it is let in until it leaves."""

from gateway_node.entities.values import EntityRef
from gateway_node.executions.candidates import Candidate
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.values import Script


class AcceptedScripts:
    """The versions that executions need, or will when let in.

    Nobody keeps versions of a managed script: it is always as it is now.
    """

    def __init__(self, library: ScriptLibrary) -> None:
        self._library = library
        self._scripts: dict[str, Script] = {}

    async def keep_present(self, execution_id: str, entity: EntityRef, script_id: str) -> Script:
        """Keep the version that a script has now for an execution; ScriptNotFound."""
        script = await self._library.get(entity, script_id)
        self._scripts[execution_id] = script
        return script

    async def of(self, candidate: Candidate, within_sec: float = 0.0) -> Script:
        """Return the script as it was accepted, else as it is now, and keep that version.

        For `within_sec` see `ScriptLibrary.get`. What is gone is gone in each version.
        ScriptNotFound, and what `Candidate.check_seen` raises.
        """
        script = await self._library.get(
            candidate.entity, candidate.script_id, within_sec=within_sec
        )
        kept = self._scripts.get(candidate.execution_id)
        if candidate.accepted and kept is not None and not kept.managed:
            script = kept
        self._scripts[candidate.execution_id] = script
        candidate.check_seen(script)
        return script

    async def present(self, candidate: Candidate) -> Script:
        """Return the script as it is now, and keep nothing; raises what `of` does."""
        script = await self._library.get(candidate.entity, candidate.script_id)
        candidate.check_seen(script)
        return script

    def forget(self, execution_id: str) -> None:
        """Keep no version for an execution; harmless where none is."""
        self._scripts.pop(execution_id, None)

    def versions_in_use(self, script_id: str) -> frozenset[str]:
        """Return the versions of a script that are kept."""
        needed = self._scripts.values()
        return frozenset(script.version for script in needed if script.id == script_id)
