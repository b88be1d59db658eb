# SPDX-License-Identifier: Apache-2.0
"""What holds for every test: a ROS graph of its file's own, and nothing in the home directory.

The fixtures of the execution service's and the stores' tests are here as well: mypy takes one
conftest.
"""

from collections.abc import AsyncIterator, Iterator
import itertools
import logging
import os
from pathlib import Path

from execution_stage import set_stage, Stage
from fakes import FakeClock, InMemoryExecutionStore
from hypothesis import HealthCheck, settings
import pytest
from ros_support import NO_SHARED_MEMORY, PROFILES

from gateway_node.executions.store_ports import ExecutionStore, RetentionPolicy
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore

# A busy machine fails no test.
settings.register_profile('patient', deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile('patient')

_GRAPHS = itertools.count(1)


def pytest_sessionstart() -> None:
    """Undo what `import launch` does to the loggers that come after it.

    In a ROS distribution plugins of pytest import it; none of the records would reach the root.
    """
    logging.setLoggerClass(logging.Logger)
    for logger in logging.Logger.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.propagate = True


@pytest.fixture(scope='module', autouse=True)
def ros_graph_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give this process and its children a ROS domain and directories of their own.

    Each file has another domain: a killed node stays in the graph for some 20 s. Through shared
    memory it can keep nodes from the next gateway for good (docs/operating.md, "Nodes that go").
    """
    home = tmp_path_factory.mktemp('ros_home')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_DOMAIN_ID', str(_domain(next(_GRAPHS))))
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        patch.setenv(PROFILES, str(NO_SHARED_MEMORY))
        patch.setenv('ROS_HOME', str(home))
        patch.setenv('ROS_LOG_DIR', str(home / 'log'))
        yield


def _domain(number: int) -> int:
    """Return a domain from 1 to 100, those of one test process apart from all others'.

    Up to 101 they do not collide with ephemeral ports (ROS 2 docs, "The ROS_DOMAIN_ID").
    """
    processes = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', '1'))
    process = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))
    session = os.getppid() if processes > 1 else os.getpid()
    share = 100 // processes
    return 1 + process + processes * ((session + 7 * number) % share)


@pytest.fixture
def retention() -> RetentionPolicy:
    """Keep everything; a test that wants less says so."""
    return RetentionPolicy(max_executions=0, max_age_sec=0, max_failed_age_sec=0)


@pytest.fixture
async def stage(
    tmp_path: Path, retention: RetentionPolicy, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    """Set a stage for an execution service."""
    async with set_stage(tmp_path, retention, monkeypatch) as stage:
        yield stage


@pytest.fixture
def clock() -> FakeClock:
    """Return the clock that the store lives by."""
    return FakeClock()


@pytest.fixture(params=['in_memory', 'sqlite'])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> AsyncIterator[ExecutionStore]:
    """Each implementation, empty."""
    opened: ExecutionStore
    if request.param == 'in_memory':
        opened = InMemoryExecutionStore(clock)
    else:
        opened = await SqliteExecutionStore.open(await Database.open(tmp_path), clock)
    yield opened
    await opened.close()
