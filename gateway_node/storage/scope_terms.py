# SPDX-License-Identifier: Apache-2.0
"""How far somebody may look, in SQL: what a row is asked, and the terms that rows have."""

from collections.abc import Iterable
from dataclasses import dataclass
import json
import sqlite3

from gateway_node.executions.globs import paths_like
from gateway_node.executions.group import SCRIPT_ID
from gateway_node.executions.scopes import Scope
from gateway_node.storage.terms import read_script_ids, read_values, TermField

_GROUP = f"(script_id = '{SCRIPT_ID}' AND json_extract(document, '$.group') IS NOT NULL)"


@dataclass(frozen=True, kw_only=True)
class ScopeTerms:
    """The values of indexed fields that a scope's globs match; None where there are no globs."""

    entities: frozenset[str] | None = None
    script_ids: frozenset[str] | None = None
    """Of those that match themselves, and of those that were executed under a name that does."""
    tags: frozenset[str] | None = None
    with_groups: bool = False
    """Whether there are groups, whose entity and id tell nothing of what they asked for."""


NO_BOUND = ScopeTerms()


def read_scope_terms(connection: sqlite3.Connection, scope: Scope) -> ScopeTerms:
    """Return the terms that the executions within a scope have."""
    if scope.is_everything:
        return NO_BOUND
    script_ids = None
    present_ids = read_values(connection, TermField.SCRIPT)
    if scope.scripts is not None:
        names = (name for (name,) in connection.execute('SELECT name FROM script_names'))
        script_ids = paths_like(scope.scripts, present_ids)
        script_ids |= read_script_ids(connection, paths_like(scope.scripts, names))
    return ScopeTerms(
        entities=_matched(scope.entities, read_values(connection, TermField.ENTITY)),
        script_ids=script_ids,
        tags=_matched(scope.tags, read_values(connection, TermField.TAG)),
        with_groups=SCRIPT_ID in present_ids,
    )


def scope_sql(scope: Scope) -> tuple[str, tuple[str, ...]]:
    """Return an expression that is true for the rows within a scope, with its arguments: the same
    as `Scope.has_execution`."""
    if scope.is_everything:
        return 'true', ()
    alone: list[str] = []
    as_group: list[str] = []
    arguments_alone: list[str] = []
    arguments_as_group: list[str] = []
    if scope.entities is not None:
        alone.append(_like('entity'))
        arguments_alone.append(_globs(scope.entities))
        asked = "SELECT 1 FROM json_each(document, '$.group.entities') AS asked"
        as_group.append(f'NOT EXISTS ({asked} WHERE NOT {_like("asked.value")})')
        arguments_as_group.append(_globs(scope.entities, covering=True))
    if scope.scripts is not None:
        name = "json_extract(document, '$.script_name')"
        alone.append(f'({_like("script_id")} OR {_like(name)})')
        arguments_alone += [_globs(scope.scripts)] * 2
        asked = "json_extract(document, '$.group.script')"
        as_group.append(f'({_like(asked)} OR {_like(name)})')
        arguments_as_group += [_globs(scope.scripts)] * 2
    if scope.tags is not None:
        tags = (
            "coalesce(json_extract(document, '$.tags'), json_extract(document, '$.script_tags'))"
        )
        tagged = f'EXISTS (SELECT 1 FROM json_each({tags}) AS tag WHERE {_like("tag.value")})'
        alone.append(tagged)
        as_group.append(tagged)
        arguments_alone.append(_globs(scope.tags))
        arguments_as_group.append(_globs(scope.tags))
    sql = f'iif({_GROUP}, {" AND ".join(as_group) or "true"}, {" AND ".join(alone) or "true"})'
    return sql, (*arguments_as_group, *arguments_alone)


def _matched(globs: tuple[str, ...] | None, values: Iterable[str]) -> frozenset[str] | None:
    return None if globs is None else paths_like(globs, values)


def _like(expression: str) -> str:
    return f'EXISTS (SELECT 1 FROM json_each(?) AS glob WHERE {expression} GLOB glob.value)'


def _globs(globs: Iterable[str], *, covering: bool = False) -> str:
    """Return globs as those of SQLite, which has character classes; `covering` as
    `globs.covered`."""
    written = (each.replace('[', '[[]') for each in globs)
    return json.dumps([each.replace('?', '[^*]') if covering else each for each in written])
