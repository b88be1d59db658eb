# SPDX-License-Identifier: Apache-2.0
"""An execution service on a stage of fakes; the library's directory is its only disk."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
from dataclasses import replace
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
    FakeScript,
    FakeScriptRunner,
    FakeWitness,
    InMemoryExecutionStore,
    KEEP_THE_LOG,
    RecordingListener,
    WAITING,
)
import pytest
from watched_robot import preconditions_on

from gateway_node.access.script_credentials import ScriptCredentials
from gateway_node.callbacks.allowed import AllowedDestinations
from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.values import EntityRef, EntityType, NodeName
from gateway_node.executions import ledger as ledger_module
from gateway_node.executions import room as room_module
from gateway_node.executions import stops as stops_module
from gateway_node.executions.ids import ExecutionIds, number_of
from gateway_node.executions.room import execution_room
from gateway_node.executions.room_parts import Outside
from gateway_node.executions.settings import ConcurrencyLimits, ExecutionSettings, RestartSettings
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.store_ports import RetentionPolicy
from gateway_node.executions.values import Execution, ExecutionStatus, ExecutionType, StopAction
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.metadata import Metadata, parse_metadata

APP = EntityRef(entity_type=EntityType.APP, entity_id='temp_sensor')
COMPONENT = EntityRef(entity_type=EntityType.COMPONENT, entity_id='temp_sensor')
PREPARED = ExecutionStatus.PREPARED
RUNNING = ExecutionStatus.RUNNING
COMPLETED = ExecutionStatus.COMPLETED
FAILED = ExecutionStatus.FAILED
TERMINATED = ExecutionStatus.TERMINATED
STOP = StopAction.STOP
FORCE = StopAction.FORCED_TERMINATION
NOW = StartRequest(execution_type=ExecutionType.NOW)
AT_ONCE = replace(NOW, queue=False)
"""It is refused where it would have to wait."""


FEW = ConcurrencyLimits(max_executions=3, max_executions_per_entity=2)
MANY = ConcurrencyLimits(max_executions=1000, max_executions_per_entity=1000)


class Gate(asyncio.Event):
    """Holds up the start of a script, and tells that it was reached."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    async def wait(self) -> bool:  # type: ignore[override]
        """Wait until the gate is open."""
        self.reached.set()
        return await super().wait()


class Stage:
    """A service and the fakes around it."""

    def __init__(
        self,
        folder: Path,
        *,
        retention: RetentionPolicy,
        concurrency: ConcurrencyLimits,
        max_open_per_identity: int = 0,
    ) -> None:
        self.clock = FakeClock()
        self.store = InMemoryExecutionStore(self.clock)
        self.schemas = FakeSchemaChecker()
        self.runner = FakeScriptRunner()
        self.free_space = FakeFreeSpace()
        self.listener = RecordingListener()
        self.proximity = FakeProximityCheck()
        self.robot = FakeRobot()
        self.preconditions = preconditions_on(self.robot)
        self.witness = FakeWitness()
        self.witness.wanted = False
        self.credentials = ScriptCredentials(is_on=True)
        self.library = ScriptLibrary(
            scripts_dir=folder, max_file_bytes=1024, schemas=self.schemas, clock=self.clock
        )
        self.directory = EntityDirectory(
            host_name='robot',
            own_node=NodeName(namespace='/', name='gateway_node'),
            clock=self.clock,
            is_held=lambda ref: True,
        )
        room = execution_room(
            Outside(
                library=self.library,
                schemas=self.schemas,
                store=self.store,
                runner=self.runner,
                free_space=self.free_space,
                clock=self.clock,
                executor=EXECUTOR,
                settings=ExecutionSettings(
                    default_timeout_sec=300,
                    stop_grace_period_sec=5,
                    concurrency=concurrency,
                    retention=retention,
                    log=KEEP_THE_LOG,
                    restarts=RestartSettings(
                        min_interval_sec=60, entity_timeout_sec=30, start_prepared=False
                    ),
                    line=WAITING,
                    max_open_per_identity=max_open_per_identity,
                ),
                check_callback=AllowedDestinations(()).check,
                proximity=self.proximity,
                preconditions=self.preconditions,
                credentials=self.credentials,
                witness=self.witness,
            ),
            last_id=None,
        )
        self.ledger, self.service = room.ledger, room.service
        self.questions = room.questions
        self.script_changes = room.script_changes
        self.listener.listen_to(self.ledger)

    async def upload(self, entity: EntityRef = APP, **metadata: Any) -> str:
        """Upload a script; return its id."""
        async with self.library.begin_upload() as upload:
            await upload.write(b'true\n')
            script = await self.library.create(entity, upload, 'a.sh', Metadata(**metadata))
        return script.id

    async def replace(
        self,
        script_id: str,
        content: bytes = b'false\n',
        file_name: str = 'a.sh',
        metadata: Metadata | None = None,
    ) -> None:
        """Give a script another content, and what the metadata name."""
        async with self.library.begin_upload() as upload:
            await upload.write(content)
            await self.library.replace(
                APP,
                script_id,
                upload,
                file_name=file_name,
                metadata=metadata,
                versions_in_use=self.service.versions_to_keep,
            )

    async def require_proof(self, script_id: str) -> None:
        """Let a script require a proof of proximity from now on."""
        document = {'proximity_proof_required': True}
        await self.replace(script_id, metadata=parse_metadata(document))

    async def running(self, script_id: str) -> tuple[Execution, FakeScript]:
        """Start an execution and wait until it runs."""
        execution = await self.service.start(APP, script_id, NOW, actor=CLIENT)
        script = await self.runner.script(execution.id)
        return await self.listener.wait_for(execution.id, RUNNING), script

    async def stop(self, execution: Execution, action: StopAction = STOP) -> Execution:
        """Send a termination action."""
        return await self.service.stop(
            APP, execution.script_id, execution.id, action, actor=CLIENT
        )

    async def get(self, execution: Execution) -> Execution:
        """Return an execution as it is now."""
        return await self.questions.get(APP, execution.script_id, execution.id)


@contextlib.asynccontextmanager
async def set_stage(
    folder: Path,
    retention: RetentionPolicy,
    patch: pytest.MonkeyPatch,
    concurrency: ConcurrencyLimits = FEW,
    *,
    max_open_per_identity: int = 0,
) -> AsyncIterator[Stage]:
    """Set a stage whose waits are short; at the end nothing may be open, and no id unsettled."""
    ids = ExecutionIds()
    patch.setattr(room_module, 'ExecutionIds', lambda last: ids)
    patch.setattr(ledger_module, 'RETRY_SEC', 0.01)
    patch.setattr(stops_module, 'STOP_WAIT_SEC', 0.05)
    stage = Stage(
        folder,
        retention=retention,
        concurrency=concurrency,
        max_open_per_identity=max_open_per_identity,
    )
    await stage.library.open()
    await stage.service.open(stage.directory)
    yield stage
    stage.store.unavailable = None
    stage.runner.release()
    stage.service.close()
    stage.service.kill()
    async with asyncio.timeout(30):
        await stage.service.wait_closed()
    stage.preconditions.close()
    assert not stage.robot.watched
    assert await stage.store.open_executions() == ()
    unsettled = ids.next(stage.clock.now())
    assert ids.unsettled_from == number_of(unsettled)
