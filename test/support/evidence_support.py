# SPDX-License-Identifier: Apache-2.0
"""The room of evidence on fakes: what is seen of the robot, and where archives go."""

from dataclasses import dataclass
from pathlib import Path

from fakes import FakeFreeSpace, FakeRobotWitness, FakeScriptRunner, InMemoryEvidenceFiles

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.evidence.keeping import EvidenceKeeping
from gateway_node.evidence.kept_evidence import Evidence
from gateway_node.evidence.known_parts import KnownParts
from gateway_node.evidence.looking import Looks
from gateway_node.evidence.policies import Policies
from gateway_node.evidence.ports import ExecutionDocuments
from gateway_node.evidence.vigil import Vigil
from gateway_node.evidence.witnessing import EvidenceWitness, Means
from gateway_node.evidence_room import declared_policies, policies_of, TellsPolicies
from gateway_node.executions.room import ExecutionRoom
from gateway_node.scripts.evidence_policy import EvidenceWhen
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.triggers.instance_book import InstanceBook

MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class EvidenceStage:
    """A witness, and the fakes around it."""

    witness: EvidenceWitness
    robot: FakeRobotWitness
    files: InMemoryEvidenceFiles
    keeping: EvidenceKeeping
    vigil: Vigil
    evidence: Evidence


def early_witness(clock: Clock, instances: InstanceBook) -> EvidenceWitness:
    """Return a witness that `opened_stage` opens."""
    return EvidenceWitness(Policies(EvidenceWhen.NEVER, policies_of(instances)), clock)


def opened_stage(
    witness: EvidenceWitness,
    *,
    room: ExecutionRoom,
    library: ScriptLibrary,
    instances: InstanceBook,
    runner: FakeScriptRunner,
    free_space: FakeFreeSpace,
    documents: ExecutionDocuments,
    clock: Clock,
    max_bytes: int = MAX_BYTES,
) -> EvidenceStage:
    """Open a witness; every entity is the node `/ID`."""
    robot, files = FakeRobotWitness(), InMemoryEvidenceFiles()

    def node_of(entity: EntityRef) -> str:
        return f'/{entity.entity_id}'

    looks = Looks(
        robot=robot, environments=runner, node_of=node_of, state_dir=Path('/'), clock=clock
    )
    keeping = EvidenceKeeping(
        robot=robot,
        looks=looks,
        known=KnownParts(room.questions, library, documents),
        files=files,
        free_space=free_space,
        measure=room.service.measure_anew,
        versions={'gateway': 'test'},
        max_bytes=max_bytes,
        clock=clock,
    )
    vigil = Vigil(robot, witness.policies, lambda: declared_policies(library, instances))
    instances.add_listener(TellsPolicies(vigil))
    room.ledger.add_listener(keeping)
    room.ledger.add_listener(vigil)
    witness.open(
        Means(
            robot=robot,
            looks=looks,
            keeping=keeping,
            vigil=vigil,
        )
    )
    return EvidenceStage(
        witness=witness,
        robot=robot,
        files=files,
        keeping=keeping,
        vigil=vigil,
        evidence=Evidence(files, keeping.is_keeping),
    )
