# SPDX-License-Identifier: Apache-2.0
"""A robot over several lives of its gateway: real SQLite, and fakes for the scripts."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
import functools
from pathlib import Path
from typing import Any

from clients import CLIENT
from fakes import (
    EXECUTOR,
    FakeClock,
    FakeFreeSpace,
    FakeProximityCheck,
    FakeRobot,
    FakeSchemaChecker,
    FakeScriptRunner,
    KEEP_THE_LOG,
    RecordingListener,
    WAITING,
)
from watched_robot import preconditions_on

from gateway_node.access.script_credentials import ScriptCredentials
from gateway_node.callbacks.allowed import AllowedDestinations, entry_of
from gateway_node.callbacks.callback_service import Callbacks
from gateway_node.callbacks.sending import Sender
from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.values import EntityRef, EntityType, GraphSnapshot, NodeName
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.kept_versions import versions_to_keep
from gateway_node.executions.log_lines import LogLines
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.room import execution_room
from gateway_node.executions.room_parts import Outside
from gateway_node.executions.runner_ports import Outcome
from gateway_node.executions.settings import ConcurrencyLimits, ExecutionSettings, RestartSettings
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.store_ports import RetentionPolicy
from gateway_node.executions.values import Execution, ExecutionStatus, ExecutionType, Output
from gateway_node.http_server.callbacks import AnsweredEnds
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.metadata import parse_metadata
from gateway_node.storage.archive import MonthlyArchive
from gateway_node.storage.callback_store import SqliteCallbackStore
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore

SENSOR = NodeName(namespace='/', name='temp_sensor')
APP = EntityRef(entity_type=EntityType.APP, entity_id='temp_sensor')
PREPARED = ExecutionStatus.PREPARED
RUNNING = ExecutionStatus.RUNNING
COMPLETED = ExecutionStatus.COMPLETED
FAILED = ExecutionStatus.FAILED
TERMINATED = ExecutionStatus.TERMINATED


class Robot:
    """A disk and a clock that outlive the gateways on them."""

    def __init__(self, state_dir: Path) -> None:
        self.clock = FakeClock()
        self.state_dir = state_dir
        self.entity_timeout_sec = 30.0
        self.start_prepared = False
        self.max_executions = 10
        self.max_executions_per_entity = 10
        self.max_kept = 0
        self.max_disk_bytes = 0
        self.archive: MonthlyArchive | None = None
        self.max_schedules = 0
        self.max_open_per_identity = 0
        self.line = WAITING
        self.executor = EXECUTOR
        self.values = FakeRobot()
        """What can be read of it."""
        self.allowed: tuple[str, ...] = ()
        """Where callbacks may go."""

    @contextlib.asynccontextmanager
    async def gateway(
        self,
        *,
        online: bool = True,
        scripts: bool = True,
        recovered: dict[str, Outcome] | None = None,
        kept: tuple[str, ...] = (),
    ) -> AsyncIterator['Life']:
        """Start a gateway; leave it as a SIGKILL would: nothing more reaches the database."""
        of_others = asyncio.all_tasks()
        database = await Database.open(self.state_dir)
        store = await SqliteExecutionStore.open(database, self.clock)
        life = Life(self, database, store, await store.last_id(), scripts=scripts)
        life.runner.recovered = recovered or {}
        life.runner.outputs.written = {execution_id: Output() for execution_id in kept}
        await life.library.open(functools.partial(versions_to_keep, store))
        if online:
            life.bring_online()
        await life.script_changes.open()
        await life.executions.open(life.directory)
        try:
            yield life
        finally:
            await database.close()
            store.log.close()
            killed = asyncio.all_tasks() - of_others
            for task in killed:
                task.cancel()
            if killed:
                await asyncio.wait(killed)
            life.preconditions.close()


class Life:
    """One start of the gateway."""

    def __init__(
        self,
        robot: Robot,
        database: Database,
        store: SqliteExecutionStore,
        last_id: str | None,
        *,
        scripts: bool = True,
    ) -> None:
        self.database = database
        self.store = store
        self.runner = FakeScriptRunner()
        self.free_space = FakeFreeSpace()
        self.proximity = FakeProximityCheck()
        self.preconditions = preconditions_on(robot.values)
        self.listener = RecordingListener()
        self.credentials = ScriptCredentials(is_on=True)
        schemas = FakeSchemaChecker()
        self.library = ScriptLibrary(
            scripts_dir=robot.state_dir / 'scripts' if scripts else None,
            max_file_bytes=100_000,
            schemas=schemas,
            clock=robot.clock,
        )
        allowed = AllowedDestinations(map(entry_of, robot.allowed))
        room = execution_room(
            Outside(
                library=self.library,
                schemas=schemas,
                store=store,
                runner=self.runner,
                free_space=self.free_space,
                clock=robot.clock,
                executor=robot.executor,
                settings=ExecutionSettings(
                    default_timeout_sec=300,
                    stop_grace_period_sec=5,
                    concurrency=ConcurrencyLimits(
                        max_executions=robot.max_executions,
                        max_executions_per_entity=robot.max_executions_per_entity,
                    ),
                    retention=RetentionPolicy(
                        max_executions=robot.max_kept,
                        max_age_sec=0,
                        max_failed_age_sec=0,
                        max_disk_bytes=robot.max_disk_bytes,
                    ),
                    log=KEEP_THE_LOG,
                    restarts=RestartSettings(
                        min_interval_sec=60,
                        entity_timeout_sec=robot.entity_timeout_sec,
                        start_prepared=robot.start_prepared,
                        max_schedules=robot.max_schedules,
                    ),
                    line=robot.line,
                    max_open_per_identity=robot.max_open_per_identity,
                ),
                check_callback=allowed.check,
                proximity=self.proximity,
                preconditions=self.preconditions,
                credentials=self.credentials,
                archive=robot.archive,
            ),
            last_id=last_id,
        )
        self.ledger, self.executions = room.ledger, room.service
        self.questions = room.questions
        self.script_changes = room.script_changes
        self.once_only = room.once_only
        self.listener.listen_to(self.ledger)
        self.log_lines = LogLines()
        self.ledger.add_listener(self.log_lines)
        self.callbacks = Callbacks(
            store=SqliteCallbackStore(database, store.up_sec),
            sender=Sender(allowed, robot.clock),
            documents=AnsweredEnds(room.questions, '/api/v1'),
            clock=robot.clock,
        )
        self.ledger.add_listener(self.callbacks)
        self.directory = EntityDirectory(
            host_name='robot',
            own_node=NodeName(namespace='/', name='gateway_node'),
            clock=robot.clock,
            is_held=lambda ref: True,
        )

    def bring_online(self) -> None:
        """Let the sensor's node appear."""
        self.directory.update(GraphSnapshot(nodes=frozenset({SENSOR})))

    async def upload(self, **metadata: Any) -> str:
        """Upload a script; return its id."""
        async with self.library.begin_upload() as upload:
            await upload.write(b'true\n')
            script = await self.library.create(APP, upload, 'check.sh', parse_metadata(metadata))
        return script.id

    async def replace(self, script_id: str, **metadata: Any) -> None:
        """Upload the same file again, with this metadata."""
        async with self.library.begin_upload(replacing=True) as upload:
            await upload.write(b'true\n')
            await self.library.replace(APP, script_id, upload, metadata=parse_metadata(metadata))

    async def start(
        self,
        script_id: str,
        execution_type: ExecutionType,
        *,
        timeout_sec: float | None = None,
        callback: str | None = None,
    ) -> Execution:
        """Start an execution of the sensor's script."""
        request = StartRequest(
            execution_type=execution_type,
            parameters={'depth': 3},
            timeout_sec=timeout_sec,
            callback=callback,
        )
        return await self.executions.start(APP, script_id, request, actor=CLIENT)

    async def all(self, script_id: str) -> list[Execution]:
        """Return the script's executions, oldest first."""
        page = await self.questions.find(
            ExecutionFilter(entity=APP, script_id=script_id), KeysetPage(limit=-100)
        )
        ids = [each.execution_id for each in reversed(page.executions)]
        return [await self.questions.get_by_id(each) for each in ids]

    async def finish(self, execution_id: str) -> Execution:
        """Let an execution's script exit with 0 and wait for its final status."""
        (await self.runner.script(execution_id)).exit(0)
        return await self.listener.wait_for(execution_id)
