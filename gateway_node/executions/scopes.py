# SPDX-License-Identifier: Apache-2.0
"""How far somebody may look: to which entities, scripts and tags. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway_node.entities.values import EntityRef
from gateway_node.executions.globs import covered, paths_like
from gateway_node.executions.group import Group
from gateway_node.scripts.values import Script

if TYPE_CHECKING:
    from gateway_node.executions.values import Execution


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a credential is narrowed to; what is beyond, it never hears of.

    Globs: `*` is any text, `?` one character. None is no bound, and nothing matches no globs.
    """

    entities: tuple[str, ...] | None = None
    """Of paths, such as `apps/arm_*`."""
    scripts: tuple[str, ...] | None = None
    """Of ids and of names: one of the two has to match."""
    tags: tuple[str, ...] | None = None
    """Of which one has to match one of the script's tags."""

    @property
    def is_everything(self) -> bool:
        """Whether nothing is beyond it."""
        return self is EVERYTHING or self == EVERYTHING

    @property
    def has_graph(self) -> bool:
        """Whether conditions on the robot are within: its graph knows no entities."""
        return self.entities is None

    def has_entity(self, entity: EntityRef) -> bool:
        """Tell whether an entity is within."""
        return _matches(self.entities, [entity.path])

    def has_script(
        self, entity: EntityRef, script_id: str, *, name: str | None, tags: Sequence[str]
    ) -> bool:
        """Tell whether a script is, as the scripts of its entity are."""
        return (
            self.has_entity(entity)
            and _matches(self.scripts, _names(script_id, name))
            and _matches(self.tags, tags)
        )

    def has(self, entity: EntityRef, script: Script) -> bool:
        """Tell whether a script is, as `has_script`."""
        return self.has_script(entity, script.id, name=script.name, tags=script.tags)

    def missed_by(self, script: Script) -> str:
        """Return why a script of an entity that is within is not, for a person."""
        reasons = []
        if not _matches(self.scripts, [script.id, script.name]):
            allowed = ', '.join(map(repr, self.scripts or ())) or 'none'
            reasons.append(f'its name is {script.name!r}; allowed: {allowed}')
        if not _matches(self.tags, script.tags):
            tagged = ', '.join(map(repr, script.tags)) or 'none'
            allowed = ', '.join(map(repr, self.tags or ())) or 'none'
            reasons.append(f'its tags are {tagged}; needed: one of {allowed}')
        return '; '.join(reasons)

    def has_execution(self, execution: 'Execution') -> bool:
        """Tell whether an execution is: as its script was when it was accepted."""
        if execution.group is not None:
            return self._has_group(execution, execution.group)
        return self.has_script(
            execution.entity,
            execution.script_id,
            name=execution.script_name,
            tags=execution.script_tags,
        )

    def _has_group(self, execution: 'Execution', group: Group) -> bool:
        """Tell whether all that a group asked for is; its own entity is the host, whatever that
        asks for."""
        return (
            (self.entities is None or covered(self.entities, group.entities))
            and _matches(self.scripts, _names(group.script, execution.script_name))
            and _matches(self.tags, execution.script_tags)
        )


EVERYTHING = Scope()


def _names(script_id: str, name: str | None) -> Sequence[str]:
    return [script_id] if name is None else [script_id, name]


def _matches(globs: Iterable[str] | None, texts: Iterable[str]) -> bool:
    return globs is None or bool(paths_like(globs, texts))
