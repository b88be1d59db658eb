# SPDX-License-Identifier: Apache-2.0
"""Instances of scripts, as whoever makes one describes them: a name, what the script is given, and
what on the robot starts and stops it. Pure.

A JSON document comes in as Python values, an `InstanceDefinition` goes out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
import enum
from functools import cached_property
import hashlib
import json
import re
from typing import Any, TYPE_CHECKING

from gateway_node.document_fields import (
    description,
    flag,
    MAX_TIMEOUT_SEC,
    number,
    read_fields,
    Reader,
    timeout,
)
from gateway_node.entities.names import RESERVED_IDS
from gateway_node.scripts.arguments import MAX_ARGUMENT_BYTES, MAX_ARGUMENTS, MAX_PARAMETERS
from gateway_node.scripts.errors import InstanceRefused
from gateway_node.scripts.evidence_policy import EvidencePolicy, read_evidence
from gateway_node.scripts.values import DEFAULT_PRIORITY, MAX_PRIORITY
from gateway_node.strict_json import shown
from gateway_node.violations import Violation

if TYPE_CHECKING:
    from gateway_node.conditions.values import Condition, Precondition

MAX_TRIGGERS = 16
"""Of each kind."""
INSTANCE_NAME_PATTERN = r'[A-Za-z0-9][A-Za-z0-9_.-]{0,63}'
_NAME = re.compile(INSTANCE_NAME_PATTERN)
MAX_INTERVAL_SEC = MAX_TIMEOUT_SEC
TRIGGER_KINDS = ('start_triggers', 'stop_triggers')
_PLAIN: Mapping[str, Any] = {
    'description': '',
    'timeout_sec': None,
    'priority': DEFAULT_PRIORITY,
    'enabled': None,
    'confirmed': False,
}
"""Members of a definition that are in its document as they are, each with its default."""


def instance_name_fault(name: object) -> str | None:
    """Return why nothing can be called so; None where an instance can."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return (
            f'is {shown(name)}; allowed: 1 to 64 letters, digits, "_", "-" and ".", the first a '
            'letter or a digit'
        )
    if name in RESERVED_IDS:
        return f'is {shown(name)}, which is kept for descriptions'
    return None


class WhileDown(enum.Enum):
    """What it means that a condition came true while no gateway looked."""

    FIRE = 'fire'
    """The trigger fires once the gateway looks again: the condition was false before."""
    IGNORE = 'ignore'
    """Nothing."""


class OnLimit(enum.Enum):
    """What becomes of a start for which there is no place at the moment."""

    WAIT = 'wait'
    """It waits in line."""
    DROP = 'drop'
    """It is dropped, and counted."""


@dataclass(frozen=True, kw_only=True)
class InstanceTrigger:
    """What starts an instance, or stops it."""

    condition: 'Condition'
    min_interval_sec: float = 0.0
    """Seconds in which it fires once at most."""
    while_down: WhileDown = WhileDown.FIRE
    on_limit: OnLimit = OnLimit.WAIT

    def document(self) -> dict[str, Any]:
        """Return its JSON document, without what is so by default."""
        told: dict[str, Any] = {'condition': self.condition.document}
        if self.min_interval_sec:
            told['min_interval_sec'] = self.min_interval_sec
        if self.while_down is not WhileDown.FIRE:
            told['while_down'] = self.while_down.value
        if self.on_limit is not OnLimit.WAIT:
            told['on_limit'] = self.on_limit.value
        return told


@dataclass(frozen=True, kw_only=True)
class InstanceDefinition:
    """What an instance is, as its maker described it."""

    name: str
    description: str = ''
    parameters: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    timeout_sec: float | None = None
    """None: the script's own, or the gateway's default."""
    priority: int = DEFAULT_PRIORITY
    start_triggers: tuple[InstanceTrigger, ...] = ()
    """Each of them starts it."""
    stop_triggers: tuple[InstanceTrigger, ...] = ()
    """Each of them stops it."""
    enabled: bool | None = None
    """Whether its triggers are to fire; None where that is not said."""
    preconditions: 'tuple[Precondition, ...]' = ()
    """Beside those of its script."""
    evidence: EvidencePolicy | None = None
    """None: as its script says."""
    confirmed: bool = False
    """Whether what the script says in its `confirmation` is confirmed, for all that its triggers
    start."""

    def document(self) -> dict[str, Any]:
        """Return the JSON document that `parse_instance` turns into this value again, without
        what is so by default."""
        told: dict[str, Any] = {'name': self.name}
        told |= {
            name: getattr(self, name)
            for name, default in _PLAIN.items()
            if getattr(self, name) != default
        }
        if self.parameters:
            told['parameters'] = dict(self.parameters)
        if self.arguments:
            told['arguments'] = list(self.arguments)
        if self.preconditions:
            told['preconditions'] = [each.document for each in self.preconditions]
        if self.evidence is not None:
            told['evidence'] = self.evidence.document()
        for kind in TRIGGER_KINDS:
            if getattr(self, kind):
                told[kind] = [each.document() for each in getattr(self, kind)]
        return told

    @cached_property
    def version(self) -> str:
        """SHA-256 of what it is, hexadecimal, whether it is enabled or not."""
        told = self.document()
        told.pop('enabled', None)
        return hashlib.sha256(_canonical(told).encode()).hexdigest()


def parse_instance(
    document: object, *, name: str | None = None, max_rate_hz: float
) -> InstanceDefinition:
    """Turn an instance document into an `InstanceDefinition`.

    `name` is that of an instance which is there: the document need not have it, and may have no
    other. `max_rate_hz` bounds what conditions can see, see `parse_condition`.

    Raises:
        InstanceRefused: with every violation, as JSON Pointers into the document.
    """
    if not isinstance(document, dict):
        raise InstanceRefused(
            [Violation(path='', reason=f'is {shown(document)}; allowed: an object')]
        )
    violations: list[Violation] = []
    readers = _readers(max_rate_hz)
    given = {} if name is None else {'name': name}
    values = given | read_fields(document, '', violations, readers)
    if name is not None and document.get('name') not in (None, name):
        reason = f'is {shown(document["name"])}; allowed: {shown(name)}, as the path says'
        violations.append(Violation(path='/name', reason=reason))
    elif document.get('name') is None and name is None:
        violations.append(Violation(path='/name', reason='is missing'))
    violations += _same_conditions(document)
    if violations:
        raise InstanceRefused(violations)
    return InstanceDefinition(**values)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(',', ':'))


def _same_conditions(document: Mapping[str, Any]) -> list[Violation]:
    """Return what is wrong with triggers of which nobody could tell which one has fired."""
    found: dict[str, str] = {}
    same = []
    for kind in TRIGGER_KINDS:
        triggers = document.get(kind)
        for index, trigger in enumerate(triggers if isinstance(triggers, list) else ()):
            if isinstance(trigger, dict) and isinstance(trigger.get('condition'), dict):
                path = f'/{kind}/{index}/condition'
                first = found.setdefault(_canonical(trigger['condition']), path)
                if first != path:
                    reason = f'is the same as {first}; allowed: another condition'
                    same.append(Violation(path=path, reason=reason))
    return same


def _readers(max_rate_hz: float) -> Mapping[str, Reader]:
    # Loaded with the first instance.
    from gateway_node.conditions.condition_reading import parse_condition, parse_preconditions

    def triggers(kind: Mapping[str, Reader]) -> Reader:
        return lambda value, path, violations: _triggers(value, path, violations, kind)

    def condition(value: object, path: str, violations: list[Violation]) -> 'Condition | None':
        return parse_condition(value, path, violations, moments=True, max_rate_hz=max_rate_hz)

    def preconditions(
        value: object, path: str, violations: list[Violation]
    ) -> 'tuple[Precondition, ...] | None':
        return parse_preconditions(value, path, violations, max_rate_hz=max_rate_hz)

    stop: Mapping[str, Reader] = {'condition': condition}
    return {
        **_READERS,
        'start_triggers': triggers({**stop, **_START_READERS}),
        'stop_triggers': triggers(stop),
        'preconditions': preconditions,
    }


def _triggers(
    value: object, path: str, violations: list[Violation], readers: Mapping[str, Reader]
) -> tuple[InstanceTrigger, ...] | None:
    if not isinstance(value, list):
        reason = f'is {shown(value)}; allowed: an array of triggers'
    elif len(value) > MAX_TRIGGERS:
        reason = f'has {len(value)} items; allowed: at most {MAX_TRIGGERS}'
    else:
        triggers = [
            _trigger(each, f'{path}/{index}', violations, readers)
            for index, each in enumerate(value)
        ]
        return tuple(each for each in triggers if each is not None)
    violations.append(Violation(path=path, reason=reason))
    return None


def _trigger(
    value: object, path: str, violations: list[Violation], readers: Mapping[str, Reader]
) -> InstanceTrigger | None:
    if not isinstance(value, dict):
        reason = f'is {shown(value)}; allowed: an object with a condition'
        violations.append(Violation(path=path, reason=reason))
        return None
    known = len(violations)
    read = read_fields(value, path, violations, readers)
    if value.get('condition') is None:
        violations.append(Violation(path=f'{path}/condition', reason='is missing'))
    return None if len(violations) > known else InstanceTrigger(**read)


def _name(value: object, path: str, violations: list[Violation]) -> str | None:
    fault = instance_name_fault(value)
    if fault is None and isinstance(value, str):
        return value
    violations.append(Violation(path=path, reason=fault or ''))
    return None


def _parameters(value: object, path: str, violations: list[Violation]) -> Mapping[str, Any] | None:
    if not isinstance(value, dict):
        reason = f'is {shown(value)}; allowed: an object'
    elif len(value) > MAX_PARAMETERS:
        reason = f'has {len(value)} names; allowed: at most {MAX_PARAMETERS}'
    else:
        return value
    violations.append(Violation(path=path, reason=reason))
    return None


def _arguments(value: object, path: str, violations: list[Violation]) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        reason = f'is {shown(value)}; allowed: an array of texts'
        violations.append(Violation(path=path, reason=reason))
        return None
    if len(value) > MAX_ARGUMENTS:
        reason = f'has {len(value)} items; allowed: at most {MAX_ARGUMENTS}'
        violations.append(Violation(path=path, reason=reason))
        return None
    violations += (
        Violation(path=f'{path}/{index}', reason=f'is {shown(each)}; allowed: {_ARGUMENT}')
        for index, each in enumerate(value)
        if not _is_argument(each)
    )
    return tuple(value)


_ARGUMENT = f'a text of at most {MAX_ARGUMENT_BYTES} bytes, without NUL'


def _is_argument(value: object) -> bool:
    return (
        isinstance(value, str) and '\0' not in value and len(value.encode()) <= MAX_ARGUMENT_BYTES
    )


def _priority(value: object, path: str, violations: list[Violation]) -> float | None:
    return number(value, path, violations, bounds=(0, MAX_PRIORITY), whole=True)


def _interval(value: object, path: str, violations: list[Violation]) -> float | None:
    return number(value, path, violations, bounds=(0, MAX_INTERVAL_SEC))


def _choice(kind: type[enum.Enum]) -> Reader:
    members = {each.value: each for each in kind}

    def read(value: object, path: str, violations: list[Violation]) -> enum.Enum | None:
        if isinstance(value, str) and value in members:
            return members[value]
        reason = f'is {shown(value)}; allowed: {", ".join(members)}'
        violations.append(Violation(path=path, reason=reason))
        return None

    return read


_READERS: Mapping[str, Reader] = {
    'name': _name,
    'description': description,
    'parameters': _parameters,
    'arguments': _arguments,
    'timeout_sec': timeout,
    'priority': _priority,
    'evidence': read_evidence,
    'enabled': flag,
    'confirmed': flag,
}
_START_READERS: Mapping[str, Reader] = {
    'min_interval_sec': _interval,
    'while_down': _choice(WhileDown),
    'on_limit': _choice(OnLimit),
}
