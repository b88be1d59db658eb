# SPDX-License-Identifier: Apache-2.0
"""What the core knows of preconditions on the robot: whose they are, the port that looks at them,
and why a start is refused, or a script ended.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TYPE_CHECKING

from gateway_node.entities.values import EntityRef
from gateway_node.executions.errors import BeyondScope
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.scopes import Scope
from gateway_node.executions.values import Trigger, TriggerType

if TYPE_CHECKING:
    from gateway_node.conditions.values import Condition, Precondition

PRECONDITION_LOST = Trigger(type=TriggerType.SYSTEM, setting='precondition')
"""What stops an execution of which one does not hold any more."""

_NAMED = 3
"""Preconditions that a sentence names; what is told besides lists them all."""


@dataclass(frozen=True, kw_only=True)
class Required:
    """A precondition of a start."""

    entity: EntityRef
    of: str
    """`script` or `instance`: whose it is."""
    path: str
    """Where it stands there, a JSON Pointer."""
    precondition: 'Precondition'


def required_of(
    entity: EntityRef, of: str, preconditions: 'Iterable[Precondition]'
) -> tuple[Required, ...]:
    """Return the preconditions of a script or an instance as those of a start."""
    return tuple(
        Required(entity=entity, of=of, path=f'/preconditions/{index}', precondition=each)
        for index, each in enumerate(preconditions)
    )


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a precondition stands."""

    met: bool
    why: str = ''
    """Why it is not met, for a person: what was read, or why nothing was."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What was read, in JSON values by name."""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A precondition of a start, and how it stands."""

    required: Required
    standing: Standing

    @property
    def wanted(self) -> str:
        """What is wanted, for a person."""
        return self.required.precondition.condition.text

    @property
    def sentence(self) -> str:
        """What is wanted and what is there, for a person."""
        return f'{self.wanted}: {self.standing.why}' if self.standing.why else self.wanted

    def document(self) -> dict[str, Any]:
        """Return it as clients see it."""
        required = self.required
        precondition = required.precondition
        said = {'description': precondition.description} if precondition.description else {}
        return {
            'entity': required.entity.path,
            'of': required.of,
            'path': required.path,
            **said,
            'wanted': self.wanted,
            'condition': dict(precondition.condition.document),
            'hold': precondition.hold,
            'max_age_sec': precondition.max_age_sec,
            **self.standing.told,
        }


class HasCondition(Protocol):
    """A precondition, or a trigger."""

    @property
    def condition(self) -> 'Condition':
        """What has to be true of the robot."""


def check_scope(scope: Scope, member: str, made: Iterable[HasCondition]) -> None:
    """Raise BeyondScope where one of these, which stand in a member of a document, looks at the
    graph of the robot, for who is narrowed to some entities: by it they could read any topic."""
    if scope.has_graph:
        return
    for index, each in enumerate(made):
        if each.condition.sources:
            raise BeyondScope(
                f'/{member}/{index}/condition looks at the graph of the robot, and the credential '
                'is narrowed to some entities; allowed: conditions on time and on the ends of '
                'scripts'
            )


class PreconditionCheck(Protocol):
    """Looks at the robot."""

    def of_instance(self, ref: InstanceRef) -> 'Sequence[Precondition]':
        """Return the preconditions of an instance; none where it is gone."""

    async def look(
        self, preconditions: 'Sequence[Precondition]', *, patience_sec: float = 0.0
    ) -> Sequence[Standing]:
        """Return how each of these stands, by values that are fresh.

        Where there is none yet it is waited for, for as long as values may be old; with patience
        all of them are waited for until they are met. Cancelled, nothing is left of it.
        """

    def hold(
        self, precondition: 'Precondition', on_lost: Callable[[Standing], None]
    ) -> Callable[[], None]:
        """Call `on_lost` on the event loop, once, when a precondition does not hold; return what
        ends that."""


class NoPreconditionCheck:
    """The check of a gateway that reads nothing of the robot: nothing is met there."""

    _UNKNOWN = Standing(met=False, why='nothing here reads values of the robot')

    def of_instance(self, ref: InstanceRef) -> 'Sequence[Precondition]':
        """Return none."""
        return ()

    async def look(
        self, preconditions: 'Sequence[Precondition]', *, patience_sec: float = 0.0
    ) -> Sequence[Standing]:
        """Return that none is met."""
        return [self._UNKNOWN for _ in preconditions]

    def hold(
        self, precondition: 'Precondition', on_lost: Callable[[Standing], None]
    ) -> Callable[[], None]:
        """Watch nothing: nothing was started."""
        return lambda: None


class PreconditionsUnmet(Exception):
    """The robot is not as a script, or an instance of it, requires: `parameters` has each
    precondition that is not met, what was wanted, and what is there."""

    def __init__(self, unmet: Sequence[Looked]) -> None:
        named = '; '.join(each.sentence for each in unmet[:_NAMED])
        more = f' (and {len(unmet) - _NAMED} more)' if len(unmet) > _NAMED else ''
        super().__init__(f'not met: {named}{more}')
        self.unmet = tuple(unmet)
        self.told: Mapping[str, Any] = {'unmet': [each.document() for each in unmet]}

    @classmethod
    def of_all(cls, refusals: Iterable['PreconditionsUnmet']) -> 'PreconditionsUnmet':
        """Return one refusal for starts on several entities."""
        return cls([each for refusal in refusals for each in refusal.unmet])
