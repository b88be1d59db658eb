# SPDX-License-Identifier: Apache-2.0
"""The room of evidence, made of what it needs."""

from collections.abc import Callable, Iterator, Mapping
import contextlib
from dataclasses import dataclass

from gateway_node.adapters import Adapters
from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.errors import EntityNotFound
from gateway_node.entities.values import App, EntityRef
from gateway_node.evidence.keeping import EvidenceKeeping
from gateway_node.evidence.kept_evidence import Evidence
from gateway_node.evidence.known_parts import KnownParts
from gateway_node.evidence.looking import Looks
from gateway_node.evidence.machine import system_versions
from gateway_node.evidence.policies import OfInstance, Policies
from gateway_node.evidence.ports import RobotWitness
from gateway_node.evidence.vigil import Vigil
from gateway_node.evidence.witnessing import EvidenceWitness, Means
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.room import ExecutionRoom
from gateway_node.executions.values import Execution
from gateway_node.http_server.callbacks import AnsweredEnds
from gateway_node.http_server.services import api_base
from gateway_node.ros.configuration import Configuration
from gateway_node.scripts.evidence_policy import EvidencePolicy
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.triggers.instance_book import InstanceBook
from gateway_node.triggers.values import Instance


@dataclass(frozen=True, kw_only=True)
class EvidenceRoom:
    """What the other rooms have of this one."""

    evidence: Evidence
    vigil: Vigil


@dataclass(frozen=True, kw_only=True)
class Witnessed:
    """What evidence is taken of."""

    robot: RobotWitness
    executions: ExecutionRoom
    library: ScriptLibrary
    instances: InstanceBook
    directory: EntityDirectory
    versions: Mapping[str, str]
    """Of this gateway and of ROS."""


def early_witness(
    configuration: Configuration, adapters: Adapters, instances: InstanceBook
) -> EvidenceWitness:
    """Return what executions are made with, and `evidence_room` opens."""
    policies = Policies(configuration.evidence.default, policies_of(instances))
    return EvidenceWitness(policies, adapters.clock)


def policies_of(instances: InstanceBook) -> OfInstance:
    """Return what knows what the instance says that an execution is of."""

    def of_instance(execution: Execution) -> EvidencePolicy | None:
        if execution.instance is None:
            return None
        instance = instances.find(
            InstanceRef(
                entity=execution.entity, script_id=execution.script_id, name=execution.instance
            )
        )
        return None if instance is None else instance.definition.evidence

    return of_instance


async def evidence_room(
    configuration: Configuration,
    adapters: Adapters,
    witness: EvidenceWitness,
    witnessed: Witnessed,
    undo: contextlib.AsyncExitStack,
) -> EvidenceRoom:
    """Assemble it; `undo` has it keep what there is."""
    robot, executions, library = witnessed.robot, witnessed.executions, witnessed.library
    files = adapters.runner.evidence
    looks = Looks(
        robot=robot,
        environments=adapters.runner,
        node_of=_node_of(witnessed.directory),
        state_dir=configuration.state_dir,
        clock=adapters.clock,
    )
    keeping = EvidenceKeeping(
        robot=robot,
        looks=looks,
        known=KnownParts(
            executions.questions,
            library,
            AnsweredEnds(executions.questions, api_base(configuration.server.path_prefix)),
        ),
        files=files,
        free_space=adapters.free_space,
        measure=executions.service.measure_anew,
        versions={**witnessed.versions, **system_versions()},
        max_bytes=configuration.evidence.max_bytes,
        clock=adapters.clock,
    )
    executions.ledger.add_listener(keeping)
    vigil = Vigil(robot, witness.policies, lambda: declared_policies(library, witnessed.instances))
    executions.ledger.add_listener(vigil)
    witnessed.instances.add_listener(TellsPolicies(vigil))
    undo.callback(vigil.end)
    # Comes first: it still reads what is held.
    undo.push_async_callback(keeping.close)
    vigil.look_again()
    witness.open(
        Means(
            robot=robot,
            looks=looks,
            keeping=keeping,
            vigil=vigil,
        )
    )
    return EvidenceRoom(evidence=Evidence(files, keeping.is_keeping), vigil=vigil)


class TellsPolicies:
    """An `InstanceListener` that tells a vigil what instances say of evidence."""

    def __init__(self, vigil: Vigil) -> None:
        self._vigil = vigil

    def on_instance(self, before: Instance | None, after: Instance | None) -> None:
        """Take an instance as it was and as it is."""
        self._vigil.on_policy(_policy_of(before), _policy_of(after))


def _policy_of(instance: Instance | None) -> EvidencePolicy | None:
    return None if instance is None else instance.definition.evidence


def declared_policies(
    library: ScriptLibrary, instances: InstanceBook
) -> Iterator[EvidencePolicy | None]:
    """Go through what all scripts and instances say of evidence."""
    yield from library.evidence_policies()
    yield from (each.definition.evidence for each in instances.all())


def _node_of(directory: EntityDirectory) -> Callable[[EntityRef], str | None]:
    def node_of(entity: EntityRef) -> str | None:
        with contextlib.suppress(EntityNotFound):
            found = directory.entity(entity)
            if isinstance(found, App) and found.online:
                return found.node.fully_qualified_name
        return None

    return node_of
