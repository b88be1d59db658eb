# SPDX-License-Identifier: Apache-2.0
"""The adapters of the inner rooms' ports, opened: storage, schema children, the script runner."""

import asyncio
import contextlib
from dataclasses import dataclass

from gateway_node.clock import Clock
from gateway_node.process.limits import artifact_bounds
from gateway_node.process.own_processes import OwnProcesses
from gateway_node.process.runner import SupervisedScriptRunner
from gateway_node.process.schema_worker import SchemaWorker
from gateway_node.ros.configuration import Configuration
from gateway_node.side_tasks import SideTasks
from gateway_node.start_files import private_scripts
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore
from gateway_node.storage.free_space import StateSpace
from gateway_node.storage.lock import StateDirectoryLock
from gateway_node.storage.private import keep_private
from gateway_node.storage.state_key import StateKey


@dataclass(frozen=True, kw_only=True)
class Adapters:
    """What the inner rooms are made with."""

    database: Database
    store: SqliteExecutionStore
    state_key: StateKey
    schemas: SchemaWorker
    runner: SupervisedScriptRunner
    runner_started: 'asyncio.Task[None]'
    """Done once the runner can be used: its processes come up while the rooms are assembled."""
    free_space: StateSpace
    clock: Clock


async def open_adapters(
    configuration: Configuration,
    clock: Clock,
    side_tasks: SideTasks,
    undo: contextlib.AsyncExitStack,
) -> Adapters:
    """Open the adapters; `undo` closes them. Raises what `main.START_ERRORS` lists."""
    state_key, database, store = await _open_storage(configuration, clock, undo)
    own_processes = OwnProcesses()
    schemas = SchemaWorker(own_processes=own_processes)
    undo.push_async_callback(schemas.close)
    runner = SupervisedScriptRunner(
        configuration.state_dir,
        side_tasks=side_tasks,
        own_processes=own_processes,
        setup_files=configuration.environment.setup_files,
        default_limits=configuration.default_limits,
        keep_working_directories=configuration.scripts.keep_working_directories,
        kept_artifacts=artifact_bounds(
            max_files=configuration.artifacts.max_files,
            max_file_mb=configuration.artifacts.max_file_mb,
            max_total_mb=configuration.artifacts.max_total_mb,
        ),
        warm_modules=configuration.python.warm_modules if configuration.python.warm else None,
        clock=clock,
    )
    undo.push_async_callback(runner.close)
    runner_started = asyncio.create_task(runner.start_up(), name='start the runner')
    undo.push_async_callback(_leave_off, runner_started)
    return Adapters(
        database=database,
        store=store,
        state_key=state_key,
        schemas=schemas,
        runner=runner,
        runner_started=runner_started,
        free_space=StateSpace(configuration.state_dir, configuration.state_min_free_mb, clock),
        clock=clock,
    )


async def _open_storage(
    configuration: Configuration, clock: Clock, undo: contextlib.AsyncExitStack
) -> tuple[StateKey, Database, SqliteExecutionStore]:
    """Take the state directory for this gateway alone, and open what is kept there."""
    lock = await asyncio.to_thread(StateDirectoryLock.acquire, configuration.state_dir, clock)
    undo.callback(lock.release)
    await asyncio.to_thread(keep_private, configuration.state_dir)
    if configuration.scripts.scripts_dir is not None:
        await private_scripts(configuration.scripts.scripts_dir)
    state_key = await asyncio.to_thread(StateKey.open, configuration.state_dir)
    database = await Database.open(configuration.state_dir)
    undo.push_async_callback(database.close)
    store = await SqliteExecutionStore.open(database, clock)
    undo.push_async_callback(store.close)
    return state_key, database, store


async def _leave_off(task: 'asyncio.Task[None]') -> None:
    """Cancel a task where it is not done, and wait for it; who awaited it knows how it went."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
