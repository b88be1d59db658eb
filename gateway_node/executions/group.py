# SPDX-License-Identifier: Apache-2.0
"""A group, as a value: one wish to execute a script on several entities.

The execution that has it executes nothing itself: it is the parent of those that do.
"""

from dataclasses import dataclass

SCRIPT_ID = 'group'
"""What stands in place of a script's id in the record of a group, and in its path."""
NO_VERSION = ''
"""In place of a script's version."""


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """An entity on which nothing is executed, although it was asked for."""

    entity: str
    """Its path."""
    reason: str
    """A sentence for a person."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """What was asked for."""

    script: str
    """An id, or a name that each entity has a script of."""
    entities: tuple[str, ...]
    """Paths and patterns, as they were given."""
    max_parallel: int | None = None
    """How many of its executions may have a place at a time; None for no bound of its own."""
    skipped: tuple[Skipped, ...] = ()


def is_outdated(version: str, present: str | None) -> bool:
    """Tell whether what was executed is another version than the present one, or gone; what
    executes nothing itself is not."""
    return version not in (present, NO_VERSION)
