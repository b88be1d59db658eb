# SPDX-License-Identifier: Apache-2.0
"""In-memory fakes of the ports, for tests of what uses them; no file, process or thread."""

from fakes.callback_store import InMemoryCallbackStore
from fakes.clock import FakeClock
from fakes.event_log import KEEP_THE_LOG
from fakes.evidence_files import InMemoryEvidenceFiles
from fakes.execution_store import InMemoryExecutionStore
from fakes.executions import (
    add,
    AN_APP,
    as_listed,
    EXECUTOR,
    new_execution,
    next_change,
    remove,
    update,
    WAITING,
    whole_log,
)
from fakes.free_space import FakeFreeSpace
from fakes.identity_store import InMemoryIdentityStore
from fakes.instance_store import InMemoryInstanceStore
from fakes.instance_versions import FakeInstances
from fakes.listener import RecordingListener
from fakes.proximity_check import FakeProximityCheck
from fakes.robot import FakeRobot
from fakes.schema_checker import FakeSchemaChecker
from fakes.script_runner import FakeScript, FakeScriptRunner
from fakes.witness import FakeRobotWitness, FakeWitness

__all__ = [
    'AN_APP',
    'EXECUTOR',
    'KEEP_THE_LOG',
    'WAITING',
    'FakeClock',
    'FakeFreeSpace',
    'FakeInstances',
    'FakeProximityCheck',
    'FakeRobot',
    'FakeRobotWitness',
    'FakeSchemaChecker',
    'FakeScript',
    'FakeScriptRunner',
    'FakeWitness',
    'InMemoryCallbackStore',
    'InMemoryEvidenceFiles',
    'InMemoryExecutionStore',
    'InMemoryIdentityStore',
    'InMemoryInstanceStore',
    'RecordingListener',
    'add',
    'as_listed',
    'new_execution',
    'next_change',
    'remove',
    'update',
    'whole_log',
]
