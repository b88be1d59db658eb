# SPDX-License-Identifier: Apache-2.0
"""The way in which scripts change, each change by an actor: executions are asked before, the log
is told after."""

from collections.abc import Awaitable, Callable, Iterable

from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor
from gateway_node.executions.errors import BeyondScope, ScriptHasOpenExecutions
from gateway_node.executions.events import EventKind
from gateway_node.executions.idempotency import IdempotencyKey
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.ports import EntityGuard, FreeSpace
from gateway_node.executions.preconditions import check_scope
from gateway_node.executions.script_log import ScriptLog
from gateway_node.executions.service import ExecutionService
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.scripts.errors import ScriptNotFound
from gateway_node.scripts.evidence_policy import BAG_TOPICS
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.managed import ManagedScript
from gateway_node.scripts.managed_scripts import ManagedChanges
from gateway_node.scripts.metadata import Metadata, refusal
from gateway_node.scripts.script_folders import new_script_id
from gateway_node.scripts.upload import Upload
from gateway_node.scripts.values import Script
from gateway_node.violations import Violation

Deleted = Callable[[EntityRef, str, Actor], Awaitable[None]]
"""Is told that an actor deleted a script of an entity."""


class ScriptChanges:
    """Changes the scripts of the library."""

    def __init__(
        self,
        *,
        library: ScriptLibrary,
        executions: ExecutionService,
        store: ExecutionStore,
        ledger: Ledger,
        free_space: FreeSpace,
        guard: EntityGuard,
    ) -> None:
        self._library = library
        self._store = store
        self._executions = executions
        self._free_space = free_space
        self._guard = guard
        self._script_log = ScriptLog(store=store, ledger=ledger)
        self._on_deleted: list[Deleted] = []

    def on_deleted(self, listener: Deleted) -> None:
        """Have `listener` told of every script that is deleted, before who deletes it hears that
        it is done."""
        self._on_deleted.append(listener)

    async def open(self) -> None:
        """Tell the log what it was not told of the scripts; StoreUnavailable.

        Called once, before any other method.
        """
        await self._script_log.open(self._library)

    async def begin_upload(self, *, replacing: bool = False) -> Upload:
        """Return an upload to write the file into, for `upload`, or, `replacing`, for `replace`
        and for what may be there already.

        DiskSpaceLow, and what `ScriptLibrary.begin_upload` raises.
        """
        upload = self._library.begin_upload(replacing=replacing)
        await self._free_space.check()
        return upload

    async def upload(
        self,
        entity: EntityRef,
        upload: Upload,
        file_name: str,
        metadata: Metadata,
        *,
        actor: Actor,
        key: IdempotencyKey | None = None,
    ) -> Script:
        """Make a script of an upload; BeyondScope, EntityLocked, and what `ScriptLibrary.create`
        says.

        With a `key` its id is on record before it is made, so that after a crash it is known
        whether it was; StoreUnavailable.
        """
        self._guard.check(entity, actor)
        self._check_metadata(metadata, actor)
        script_id = new_script_id()
        if key is not None:
            await self._store.keys.reserve(key, script_id)
        script = await self._library.create(
            entity,
            upload,
            file_name,
            metadata,
            script_id=script_id,
            uploaded_by=str(actor),
            check=self._still_may(entity, actor),
            tell=self._script_log.noting(EventKind.SCRIPT_UPLOADED, entity, actor),
        )
        await self._script_log.wait_told()
        return script

    async def replace(
        self,
        entity: EntityRef,
        script_id: str,
        upload: Upload,
        *,
        file_name: str,
        metadata: Metadata | None,
        actor: Actor,
    ) -> Script:
        """Make an upload a script's next version; BeyondScope, EntityLocked, and what
        `ScriptLibrary.replace` says.

        Versions that open executions need, or that kept ones name, stay.
        """
        await self._check_seen(entity, script_id, actor)
        self._guard.check(entity, actor)
        if metadata is not None:
            self._check_metadata(metadata, actor)
        script = await self._library.replace(
            entity,
            script_id,
            upload,
            file_name=file_name,
            metadata=metadata,
            versions_in_use=self._executions.versions_to_keep,
            uploaded_by=str(actor),
            check=self._still_may(entity, actor),
            tell=self._script_log.noting(EventKind.SCRIPT_REPLACED, entity, actor),
        )
        await self._script_log.wait_told()
        return script

    def _check_metadata(self, metadata: Metadata, actor: Actor) -> None:
        """Raise BeyondScope where a precondition may not be made by who is narrowed, ScriptRefused
        where evidence is asked for that this machine cannot take."""
        check_scope(actor.scope, 'preconditions', metadata.preconditions)
        missing = self._executions.missing_for(metadata.evidence)
        if missing:
            raise refusal([Violation(path=BAG_TOPICS, reason=f'cannot be recorded: {missing}')])

    async def delete(self, entity: EntityRef, script_id: str, *, actor: Actor) -> None:
        """Remove a script; its ended executions stay readable, with the versions that they name;
        its schedules fail.

        Raises:
            ScriptNotFound, ScriptIsManaged, EntityLocked: as their names say.
            ScriptHasOpenExecutions: stop those first.
        """
        await self._check_seen(entity, script_id, actor)
        self._guard.check(entity, actor)
        open_ids = self._executions.needing(entity, script_id)
        if open_ids:
            raise ScriptHasOpenExecutions(script_id, open_ids)
        tell = self._script_log.noting(EventKind.SCRIPT_DELETED, entity, actor)
        await self._library.delete(
            entity, script_id, versions_in_use=self._executions.versions_to_keep, tell=tell
        )
        await self._script_log.wait_told()
        await self._executions.script_deleted(entity, script_id, actor=actor)
        for listener in self._on_deleted:
            await listener(entity, script_id, actor)

    def _still_may(self, entity: EntityRef, actor: Actor) -> Callable[[Script], None]:
        """Return what is asked of a script right before it is made.

        It raises BeyondScope where who brings it could not see it afterwards, and EntityLocked
        where somebody locked the entity since the upload began.
        """

        def check(script: Script) -> None:
            if not actor.scope.has(entity, script):
                raise BeyondScope(
                    'the credential may see no such script, once it is there: '
                    f'{actor.scope.missed_by(script)}'
                )
            self._guard.check(entity, actor)

        return check

    async def _check_seen(self, entity: EntityRef, script_id: str, actor: Actor) -> None:
        """Return where an actor sees a script; ScriptNotFound."""
        script = await self._library.get(entity, script_id)
        if not actor.scope.has(entity, script):
            raise ScriptNotFound(entity, script_id)

    async def take_manifest(
        self, managed: Iterable[ManagedScript], *, actor: Actor
    ) -> ManagedChanges:
        """Have the managed scripts of a manifest, which were checked, and no others.

        Executions of a script that is gone go on and stay readable; its schedules fail.
        """
        return await self._taken(self._library.take_managed(managed), actor)

    async def take_offered(
        self, offered: Iterable[ManagedScript], *, actor: Actor
    ) -> ManagedChanges:
        """Have these managed scripts beside those of the manifest; see `take_manifest`."""
        return await self._taken(self._library.take_offered(offered), actor)

    async def _taken(self, changes: ManagedChanges, actor: Actor) -> ManagedChanges:
        if self._library.turned_on:
            scheduled = self._executions.scheduled_scripts()
            may_be_gone = [each for each in scheduled if each[1] in changes.may_lack]
            versions = await self._library.versions_of(may_be_gone)
            for (entity, script_id), version in versions.items():
                if version is None:
                    await self._executions.script_deleted(entity, script_id, actor=actor)
        return changes
