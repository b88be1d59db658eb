# SPDX-License-Identifier: Apache-2.0
"""The inner rooms, made of what they need: entities, scripts and executions."""

from collections.abc import Sequence
import contextlib
from dataclasses import dataclass
import functools
import socket

from gateway_node.access.lock_book import LockBook
from gateway_node.adapters import Adapters
from gateway_node.callbacks.allowed import AllowedDestinations
from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.host import remembers_host
from gateway_node.entities.identities import Identity
from gateway_node.entities.identity_keeper import IdentityKeeper
from gateway_node.entities.values import EntityRef, EntityType, NodeName
from gateway_node.executions.documents import archived_execution
from gateway_node.executions.kept_versions import versions_to_keep
from gateway_node.executions.log_lines import LogLines
from gateway_node.executions.ports import ScriptCredentials, Witness
from gateway_node.executions.preconditions import PreconditionCheck
from gateway_node.executions.proximity import ProximityCheck
from gateway_node.executions.room import execution_room, ExecutionRoom
from gateway_node.executions.room_parts import Outside
from gateway_node.executions.service import ExecutionService
from gateway_node.executions.settings import (
    ConcurrencyLimits,
    ExecutionSettings,
    LineSettings,
    RestartSettings,
)
from gateway_node.executions.store_ports import LogPolicy, RetentionPolicy
from gateway_node.executions.values import Executor
from gateway_node.reloading import ManifestReload
from gateway_node.ros.configuration import Configuration
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.start_files import ManifestReader, Manifests
from gateway_node.storage.archive import MonthlyArchive
from gateway_node.storage.identity_store import SqliteIdentityStore
from gateway_node.triggers.instance_book import InstanceBook

DAY_SEC = 86400.0


@dataclass(frozen=True, kw_only=True)
class InnerRooms:
    """Entities, scripts and executions, and what has their manifests read anew."""

    library: ScriptLibrary
    executions: ExecutionRoom
    archive: MonthlyArchive | None
    """None where what is removed from the history is not archived."""
    directory: EntityDirectory
    identities: IdentityKeeper
    manifests: ManifestReload


@dataclass(frozen=True, kw_only=True)
class AskedOfAccess:
    """What the inner rooms ask of those above them: whether something may happen, as whom, and
    what is there."""

    allowed: AllowedDestinations
    lock_book: LockBook
    instance_book: InstanceBook
    proximity: ProximityCheck
    credentials: ScriptCredentials
    preconditions: PreconditionCheck
    witness: Witness
    """Who looks on, before and after."""


async def inner_rooms(
    configuration: Configuration,
    adapters: Adapters,
    own_node: NodeName,
    asked: AskedOfAccess,
    undo: contextlib.AsyncExitStack,
) -> InnerRooms:
    """Assemble them; `undo` closes them. Raises what `main.START_ERRORS` lists."""
    reader = ManifestReader(
        entities=configuration.entities.manifest,
        scripts=configuration.scripts.manifest,
        max_rate_hz=configuration.triggers.max_rate_hz,
    )
    manifests = await reader.read()
    library = await _open_library(configuration, adapters, manifests)
    undo.push_async_callback(library.close)
    archive_dir = configuration.history.archive_dir
    archive = None if archive_dir is None else MonthlyArchive(archive_dir, archived_execution)
    executions = await _execution_room(
        configuration, adapters, own_node, library, archive, asked, undo
    )
    directory, identities = await _entities(
        configuration, adapters, manifests, own_node, library, executions.service, asked
    )
    return InnerRooms(
        library=library,
        executions=executions,
        archive=archive,
        directory=directory,
        identities=identities,
        manifests=ManifestReload(
            reader=reader,
            directory=directory,
            library=library,
            script_changes=executions.script_changes,
        ),
    )


async def _execution_room(
    configuration: Configuration,
    adapters: Adapters,
    own_node: NodeName,
    library: ScriptLibrary,
    archive: MonthlyArchive | None,
    asked: AskedOfAccess,
    undo: contextlib.AsyncExitStack,
) -> ExecutionRoom:
    room = execution_room(
        Outside(
            library=library,
            schemas=adapters.schemas,
            store=adapters.store,
            runner=adapters.runner,
            free_space=adapters.free_space,
            clock=adapters.clock,
            executor=Executor(name=own_node.fully_qualified_name, host=socket.gethostname()),
            settings=_execution_settings(configuration),
            check_callback=asked.allowed.check,
            proximity=asked.proximity,
            credentials=asked.credentials,
            preconditions=asked.preconditions,
            witness=asked.witness,
            archive=archive,
            guard=asked.lock_book,
            instances=asked.instance_book,
        ),
        last_id=await adapters.store.last_id(),
        fingerprint_key=adapters.state_key.derived_key(b'idempotency'),
    )
    log_lines = LogLines()
    room.ledger.add_listener(log_lines)
    undo.callback(log_lines.write)
    return room


async def _entities(
    configuration: Configuration,
    adapters: Adapters,
    manifests: Manifests,
    own_node: NodeName,
    library: ScriptLibrary,
    executions: ExecutionService,
    asked: AskedOfAccess,
) -> tuple[EntityDirectory, IdentityKeeper]:
    """Return the directory of entities, with the ids that are remembered, and what keeps them."""
    store = SqliteIdentityStore(adapters.database)
    remembered = await store.load_identities()

    def is_held(ref: EntityRef) -> bool:
        return (
            asked.lock_book.lock_of(ref) is not None
            or library.has_scripts(ref)
            or asked.instance_book.holds(ref)
            or executions.concern(ref)
        )

    directory = EntityDirectory(
        host_name=socket.gethostname(),
        own_node=own_node,
        clock=adapters.clock,
        is_held=is_held,
        manifest=manifests.entities,
        ignored_nodes=configuration.entities.ignored_nodes,
        remembered=remembered,
        used_components=await _used_components(store, library, remembered),
    )
    return directory, IdentityKeeper(store=store, directory=directory, kept=remembered)


async def _used_components(
    identities: SqliteIdentityStore, library: ScriptLibrary, remembered: Sequence[Identity]
) -> tuple[str, ...]:
    """Return what may be the host where an earlier gateway noted everything but that.

    Uploads beside an empty database prove nothing: any component may have had them.
    """
    if remembers_host(remembered):
        return ()
    uploaded = (
        sorted(
            ref.entity_id
            for ref in library.entities_with_uploads()
            if ref.entity_type is EntityType.COMPONENT
        )
        if remembered
        else []
    )
    return (*await identities.used_components(), *uploaded)


async def _open_library(
    configuration: Configuration, adapters: Adapters, manifests: Manifests
) -> ScriptLibrary:
    scripts = configuration.scripts
    library = ScriptLibrary(
        scripts_dir=scripts.scripts_dir,
        max_file_bytes=scripts.max_file_size_bytes,
        schemas=adapters.schemas,
        clock=adapters.clock,
        managed=manifests.scripts,
        prefix_path=adapters.runner.prefix_path,
        allow_uploads=scripts.allow_uploads,
        max_scripts=scripts.max_scripts or 0,
    )
    await library.open(functools.partial(versions_to_keep, adapters.store))
    return library


def _execution_settings(configuration: Configuration) -> ExecutionSettings:
    scripts, history, restart = configuration.scripts, configuration.history, configuration.restart
    return ExecutionSettings(
        default_timeout_sec=scripts.default_timeout_sec,
        stop_grace_period_sec=scripts.stop_grace_period_sec,
        concurrency=ConcurrencyLimits(
            max_executions=scripts.max_concurrent_executions,
            max_executions_per_entity=scripts.max_concurrent_executions_per_entity,
        ),
        retention=RetentionPolicy(
            max_executions=history.max_executions or 0,
            max_age_sec=(history.max_age_days or 0) * DAY_SEC,
            max_failed_age_sec=(history.max_failed_age_days or 0) * DAY_SEC,
            max_disk_bytes=history.max_disk_bytes,
        ),
        log=LogPolicy(
            max_events=configuration.log.max_events or 0,
            max_age_sec=(configuration.log.max_age_days or 0) * DAY_SEC,
        ),
        restarts=RestartSettings(
            max_schedules=restart.max_schedules or 0,
            min_interval_sec=restart.min_interval_sec,
            entity_timeout_sec=restart.entity_timeout_sec,
            start_prepared=restart.start_prepared,
        ),
        line=LineSettings(
            max_waiting=configuration.executions.max_waiting,
            max_wait_sec=configuration.line.max_wait_sec,
        ),
        max_open_per_identity=configuration.executions.max_open_per_identity,
    )
