# SPDX-License-Identifier: Apache-2.0
"""What clients do with instances of scripts: make, replace, delete, enable and disable them. See
decision 069."""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
import logging
from typing import Any, TypeVar

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor, GATEWAY
from gateway_node.executions.documents import changed_fields
from gateway_node.executions.errors import OutlivesScript, StoreUnavailable
from gateway_node.executions.events import EventKind, Happening
from gateway_node.executions.idempotency import IdempotencyKey
from gateway_node.executions.instance_refs import InstanceRef, KeptInstance
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.ports import EntityGuard
from gateway_node.executions.rights import rights_of
from gateway_node.executions.service import ExecutionService
from gateway_node.scripts.errors import ScriptNotFound
from gateway_node.scripts.instances import InstanceDefinition, parse_instance
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.script_folders import is_uploaded_id
from gateway_node.to_the_end import ToTheEnd
from gateway_node.triggers.errors import (
    InstanceExists,
    InstanceHasOpenExecution,
    InstanceIsManaged,
    InstanceLimitReached,
)
from gateway_node.triggers.instance_book import InstanceBook
from gateway_node.triggers.instance_checks import InstanceChecks
from gateway_node.triggers.instance_documents import kept_form, Switch, told_of
from gateway_node.triggers.instance_runs import InstanceRuns
from gateway_node.triggers.kept_instances import KeptInstances
from gateway_node.triggers.manifest_instances import ManifestInstances
from gateway_node.triggers.ports import InstanceStore
from gateway_node.triggers.values import Instance

_log = logging.getLogger(__name__)
_T = TypeVar('_T')

_SCRIPT_GONE = 'script'
"""The cause of the end of an instance whose script is gone."""
_AT_ONCE = 50
"""Instances that go with one commit: nobody else waits long for the listeners of all of them."""


@dataclass(frozen=True, kw_only=True)
class InstanceSettings:
    """What the configuration says of instances."""

    max_instances: int
    """That clients may make."""
    max_rate_hz: float
    """How often a second topics are looked at."""


class Instances:
    """Changes the instances of a book; what it changes is on record before anybody is told that
    it is so."""

    def __init__(
        self,
        *,
        book: InstanceBook,
        library: ScriptLibrary,
        executions: ExecutionService,
        ledger: Ledger,
        store: InstanceStore,
        guard: EntityGuard,
        clock: Clock,
        settings: InstanceSettings,
    ) -> None:
        self.book = book
        self.runs = InstanceRuns(book=book, library=library, executions=executions)
        self._library = library
        self._executions = executions
        self._ledger = ledger
        self._kept = KeptInstances(store)
        self._guard = guard
        self._clock = clock
        self._settings = settings
        self._checks = InstanceChecks(executions)
        self._manifest = ManifestInstances(book, library)
        self._opened = False
        self._changes = asyncio.Lock()
        self._to_the_end = ToTheEnd()

    async def open(self, entities: Iterable[EntityRef]) -> None:
        """Have the instances of earlier gateways, but for those whose script went meanwhile, and
        those of the manifest; StoreUnavailable.

        Called once, before any other method.
        """
        gone: list[Instance] = []
        for instance in await self._kept.read():
            if isinstance(instance, Switch):
                self._manifest.know(instance)
            elif self._is_deleted(instance.ref):
                gone.append(instance)
            else:
                self.book.put(instance)
        for some in _parts(gone):
            await self._ledger.record(*(_deleted(each, GATEWAY, _SCRIPT_GONE) for each in some))
        self._opened = True
        self.take_managed(entities)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong, in sentences."""
        return (*self._kept.warnings, *self.book.warnings)

    def take_managed(self, entities: Iterable[EntityRef]) -> None:
        """Have the instances that the manifest declares for these entities, and no others; before
        `open` that does nothing."""
        if self._opened:
            self._manifest.take(entities)

    async def create(
        self,
        entity: EntityRef,
        script_id: str,
        document: Mapping[str, Any],
        *,
        actor: Actor,
        key: IdempotencyKey | None = None,
    ) -> Instance:
        """Make an instance of its document.

        Raises:
            InstanceRefused: with all that is wrong in the document.
            InstanceExists, InstanceLimitReached, EntityLocked, StoreUnavailable: as their names
            say.
            OutlivesScript: a script makes it, by the credential of its execution.
            What `InstanceChecks.check` raises.
        """
        definition = await self._read(document)
        ref = InstanceRef(entity=entity, script_id=script_id, name=definition.name)
        now = self._clock.now()
        wanted = Instance(
            ref=ref,
            definition=definition,
            enabled=definition.enabled is not False,
            rights=rights_of(actor),
            created_at=now,
            created_by=str(actor),
            changed_at=now,
        )
        wanted = await self._checked(wanted, actor)

        async def create() -> Instance:
            self._check_may(ref, actor)
            if self.book.find(ref) is not None:
                raise InstanceExists(ref)
            if self.book.made >= self._settings.max_instances:
                raise InstanceLimitReached(self._settings.max_instances)
            await self._record(EventKind.INSTANCE_CREATED, None, wanted, actor, key)
            return wanted

        return await self._change(f'make {ref.subject}', create())

    async def replace(
        self, ref: InstanceRef, document: Mapping[str, Any], *, actor: Actor
    ) -> Instance:
        """Make an instance another one, under its name; whether it is enabled stays as it is
        where the document does not say it. Its open execution goes on, as what it was.

        Raises:
            InstanceNotFound, InstanceIsManaged, and what `create` raises.
        """
        self._own(ref)
        definition = await self._read(document, ref.name)
        wanted = Instance(ref=ref, definition=definition, enabled=True, rights=rights_of(actor))
        wanted = await self._checked(wanted, actor)

        async def replace_it() -> Instance:
            self._check_may(ref, actor)
            before = self._own(ref)
            said = definition.enabled
            after = replace(
                wanted,
                enabled=before.enabled if said is None else said,
                created_at=before.created_at,
                created_by=before.created_by,
                changed_at=self._clock.now(),
            )
            await self._record(EventKind.INSTANCE_REPLACED, before, after, actor)
            return after

        return await self._change(f'replace {ref.subject}', replace_it())

    async def delete(self, ref: InstanceRef, *, actor: Actor) -> None:
        """Remove an instance; its executions stay.

        Raises:
            InstanceNotFound, InstanceIsManaged, EntityLocked, StoreUnavailable: as their names
            say.
            InstanceHasOpenExecution: stop that first.
        """

        async def delete() -> None:
            self._guard.check(ref.entity, actor)
            instance = self._own(ref)
            open_id = self._executions.open_of_instance(ref)
            if open_id is not None:
                raise InstanceHasOpenExecution(ref, open_id)
            await self._ledger.record(_deleted(instance, actor))
            self.book.remove(ref)

        await self._change(f'delete {ref.subject}', delete())

    async def set_enabled(self, ref: InstanceRef, enabled: bool, *, actor: Actor) -> Instance:
        """Have the triggers of an instance fire from now on, or not any more.

        InstanceNotFound, EntityLocked, StoreUnavailable.
        """

        async def switch() -> Instance:
            self._guard.check(ref.entity, actor)
            before = self.book.get(ref)
            if before.enabled is enabled:
                return before
            after = replace(before, enabled=enabled)
            kind = EventKind.INSTANCE_ENABLED if enabled else EventKind.INSTANCE_DISABLED
            await self._record(kind, before, after, actor)
            return after

        return await self._change(f'switch {ref.subject}', switch())

    async def fault(self, instance: Instance) -> str | None:
        """Return why an instance cannot be started as things are; see `InstanceChecks.fault`."""
        return await self._checks.fault(instance, GATEWAY)

    async def script_deleted(self, entity: EntityRef, script_id: str, actor: Actor) -> None:
        """Remove the instances of a script that `actor` deleted.

        What cannot be recorded is left to the next start of the gateway.
        """

        async def delete() -> None:
            for some in _parts(self.book.of(entity, script_id)):
                await self._ledger.record(*(_deleted(each, actor, _SCRIPT_GONE) for each in some))
                for each in some:
                    self.book.remove(each.ref)

        try:
            await self._change(f'delete the instances of {script_id}', delete())
        except StoreUnavailable as error:
            _log.warning('the instances of %s go at the next start: %s', script_id, error)

    async def _checked(self, instance: Instance, actor: Actor) -> Instance:
        """Return an instance with what was confirmed of its script."""
        if actor.execution is not None:
            raise OutlivesScript(actor.execution, 'an instance')
        self._guard.check(instance.ref.entity, actor)
        order = await self._checks.check(instance, actor)
        text = order.script.confirmation if instance.definition.confirmed else None
        return replace(instance, confirmation=text)

    async def _read(
        self, document: Mapping[str, Any], name: str | None = None
    ) -> InstanceDefinition:
        """Return the instance that a document describes; InstanceRefused."""
        # In a thread: the language of conditions is loaded with the first one.
        return await asyncio.to_thread(
            parse_instance, document, name=name, max_rate_hz=self._settings.max_rate_hz
        )

    def _check_may(self, ref: InstanceRef, actor: Actor) -> None:
        """Raise EntityLocked; ScriptNotFound where the script was deleted meanwhile."""
        self._guard.check(ref.entity, actor)
        self._library.check_known(ref.entity, ref.script_id)

    def _own(self, ref: InstanceRef) -> Instance:
        """Return an instance that a client made; InstanceNotFound, InstanceIsManaged."""
        instance = self.book.get(ref)
        if instance.managed:
            raise InstanceIsManaged(ref)
        return instance

    def _is_deleted(self, ref: InstanceRef) -> bool:
        """Tell whether a script was deleted; one of the manifest may only be away."""
        if not is_uploaded_id(ref.script_id) or not self._library.turned_on:
            return False
        try:
            self._library.check_known(ref.entity, ref.script_id)
        except ScriptNotFound:
            return True
        return False

    async def _change(self, name: str, change: Coroutine[Any, Any, _T]) -> _T:
        async def alone() -> _T:
            async with self._changes:
                return await change

        return await self._to_the_end.run(name, alone())

    async def _record(
        self,
        kind: EventKind,
        before: Instance | None,
        after: Instance,
        actor: Actor,
        key: IdempotencyKey | None = None,
    ) -> None:
        """Record an instance as it is now, then have it so."""
        told = {} if before is None else told_of(before)
        await self._ledger.record(
            Happening(
                kind=kind,
                subject=after.ref.subject,
                actor=actor,
                changes=changed_fields(told, told_of(after)),
                instance=kept_form(after, before),
                key=key,
            )
        )
        if after.managed:
            self._manifest.know(Switch(ref=after.ref, enabled=after.enabled))
        self._kept.kept_anew(after.ref)
        self.book.put(after)


def _parts(instances: Sequence[Instance]) -> Iterator[Sequence[Instance]]:
    for first in range(0, len(instances), _AT_ONCE):
        yield instances[first : first + _AT_ONCE]


def _deleted(instance: Instance, actor: Actor, cause: str | None = None) -> Happening:
    return Happening(
        kind=EventKind.INSTANCE_DELETED,
        subject=instance.ref.subject,
        actor=actor,
        cause=cause,
        instance=KeptInstance(ref=instance.ref, document=None),
    )
