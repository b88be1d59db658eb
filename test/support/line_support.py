# SPDX-License-Identifier: Apache-2.0
"""Lines of their own, and places in them."""

from pathlib import Path

from fakes import FakeClock, FakeScriptRunner, WAITING

from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.held_scripts import HeldScripts
from gateway_node.executions.line import Line
from gateway_node.executions.places import GroupLimit, Place
from gateway_node.executions.settings import ConcurrencyLimits, LineSettings
from gateway_node.scripts.values import DEFAULT_PRIORITY, Script, ScriptKind

APPS = tuple(
    EntityRef(entity_type=EntityType.APP, entity_id=f'app_{number}') for number in range(2)
)


def line_of(
    limits: ConcurrencyLimits,
    settings: LineSettings | None = None,
    clock: FakeClock | None = None,
) -> Line:
    """Make a line; nothing holds a script."""
    held_scripts = HeldScripts(FakeScriptRunner())
    return Line(limits, settings or WAITING, held_scripts, (clock or FakeClock()).monotonic)


def place_of(
    number: int,
    *,
    entity: EntityRef = APPS[0],
    script_id: str = 'script_0',
    single: bool = False,
    priority: int = DEFAULT_PRIORITY,
    group: GroupLimit | None = None,
    ancestors: tuple[str, ...] = (),
) -> Place:
    """Make the place of the execution of that number."""
    return Place(
        execution_id=f'exec_{number:04}',
        entity=entity,
        script=Script(
            id=script_id,
            name=script_id,
            kind=ScriptKind.SH,
            path=Path(script_id),
            version='f' * 64,
            size=0,
            single_execution=single,
        ),
        priority=priority,
        group=group,
        ancestors=ancestors,
    )
