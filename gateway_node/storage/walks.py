# SPDX-License-Identifier: Apache-2.0
"""Filters compiled to walks: indexes that are read in the order of numbers. Pure.

A filter has a walk for each of its fields that is indexed; which of them is taken, the rows say.
What the walk does not make sure of is asked of each row.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
import enum

from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.group import SCRIPT_ID
from gateway_node.executions.values import OPEN_STATUSES
from gateway_node.storage.conditions import all_of, Condition, conditions_of
from gateway_node.storage.scope_terms import NO_BOUND, ScopeTerms
from gateway_node.storage.set_backs import Span
from gateway_node.storage.terms import instance_of_script, script_of_entity, TermField

MAX_ARMS = 32
"""Of a walk: each step looks at all of them. Where there are more, all rows are walked."""


class Direction(enum.Enum):
    """Which way a walk goes; the value is SQL's."""

    UP = 'ASC'
    """The oldest first."""
    DOWN = 'DESC'
    """The newest first."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One index, or a part of one, in the order of numbers."""

    index: str
    """A table, or an index of one, with its condition: what stands between FROM and a span."""
    arguments: tuple[object, ...] = ()

    @property
    def with_rows(self) -> str:
        """The same, where columns of the executions are wanted too."""
        return self.index.replace('postings', 'postings CROSS JOIN executions USING (number)', 1)


@dataclass(frozen=True, kw_only=True)
class Walk:
    """All that may be wanted, in the order of numbers; some of it perhaps twice in a row."""

    arms: tuple[Arm, ...]
    left: ExecutionFilter
    """What is to be asked of each row."""
    disjoint: bool = True
    """False where something may come twice."""

    @property
    def is_of_all(self) -> bool:
        """True where every execution is walked."""
        return self.arms == (_EACH,)

    @property
    def condition(self) -> Condition | None:
        """What each row is asked; None where all are wanted."""
        conditions = [*conditions_of(self.left)]
        return all_of(conditions) if conditions else None


@dataclass(frozen=True, kw_only=True)
class Query:
    """A statement with its arguments."""

    sql: str
    arguments: tuple[object, ...]


_EACH = Arm(index='executions WHERE true')
_EACH_BY_ID = 'executions INDEXED BY sqlite_autoindex_executions_1'
"""The one index that has every number and nothing long."""
_OPEN = Arm(index='executions INDEXED BY open_executions WHERE ended_sec IS NULL')
_TERM = 'postings WHERE term = (SELECT term FROM terms WHERE field = ? AND value = ?)'


def walks_of(
    wanted: ExecutionFilter, script_ids: frozenset[str], seen: ScopeTerms = NO_BOUND
) -> tuple[Walk, ...]:
    """Return the walks of which each finds all that is wanted; there is always one.

    The filter's entities are paths, `script_ids` those of the scripts that were executed under
    one of its names, and `seen` what its scope lets be seen.
    """
    walks = [
        walk
        for walk in (
            *_of_what(wanted, script_ids),
            *_of_its_way(wanted),
            *_of_its_end(wanted),
            *_of_scope(wanted, seen),
        )
        if len(walk.arms) <= MAX_ARMS
    ]
    return tuple(walks) or (Walk(arms=(_EACH,), left=wanted),)


def rows_query(
    walk: Walk,
    direction: Direction,
    span: Span,
    limit: int,
    *,
    told: str = 'document',
    parameters: bool = False,
) -> Query:
    """Return what reads (number, told, parameters) of up to `limit` rows of a walk.

    What is told, an expression that is never NULL, is NULL where the row is not wanted; the
    parameters too, and where nobody asks.
    """
    condition = walk.condition or Condition(sql='true')
    columns = f'iif({condition.sql}, {told}, NULL) AS told'
    arguments = condition.arguments
    if parameters:
        columns += f', iif({condition.sql}, parameters, NULL) AS parameters'
        arguments *= 2
    else:
        columns += ', NULL AS parameters'
    return Query(
        sql=' UNION ALL '.join(
            f'SELECT number, {columns} FROM {arm.with_rows} AND number BETWEEN ? AND ?'
            for arm in walk.arms
        )
        + f' ORDER BY number {direction.value} LIMIT ?',
        arguments=(
            *(each for arm in walk.arms for each in (*arguments, *arm.arguments, *span)),
            limit,
        ),
    )


def numbers_query(walk: Walk, direction: Direction, span: Span, limit: int, skip: int) -> Query:
    """Return what reads up to `limit` numbers of a walk behind the first ones, from its indexes
    alone."""
    if walk.is_of_all:
        return Query(
            sql=f'SELECT number FROM {_EACH_BY_ID} '
            f'WHERE number BETWEEN ? AND ? ORDER BY id {direction.value} LIMIT ? OFFSET ?',
            arguments=(*span, limit, skip),
        )
    union = ' UNION ALL ' if walk.disjoint else ' UNION '
    return Query(
        sql=union.join(
            f'SELECT number FROM {arm.index} AND number BETWEEN ? AND ?' for arm in walk.arms
        )
        + f' ORDER BY number {direction.value} LIMIT ? OFFSET ?',
        arguments=(
            *(each for arm in walk.arms for each in (*arm.arguments, *span)),
            limit,
            skip,
        ),
    )


def count_query(walk: Walk, span: Span) -> Query:
    """Return what counts a walk, from its indexes alone."""
    if walk.is_of_all:
        sql = f'SELECT count(*) FROM {_EACH_BY_ID} WHERE number BETWEEN ? AND ?'
        return Query(sql=sql, arguments=span)
    union = ' UNION ALL ' if walk.disjoint else ' UNION '
    arms = union.join(
        f'SELECT number FROM {arm.index} AND number BETWEEN ? AND ?' for arm in walk.arms
    )
    arguments = tuple(each for arm in walk.arms for each in (*arm.arguments, *span))
    return Query(sql=f'SELECT count(*) FROM ({arms})', arguments=arguments)


def _of_what(wanted: ExecutionFilter, script_ids: frozenset[str]) -> Iterator[Walk]:
    if wanted.entity is not None and wanted.script_id is not None:
        field, path = script_of_entity(wanted.entity.path, wanted.script_id)
        yield _walk(field, [path], replace(wanted, entity=None, script_id=None))
    elif wanted.entity is not None:
        yield _walk(TermField.ENTITY, [wanted.entity.path], replace(wanted, entity=None))
    elif wanted.script_id is not None:
        yield _walk(TermField.SCRIPT, [wanted.script_id], replace(wanted, script_id=None))
    if wanted.entities is not None:
        yield _walk(TermField.ENTITY, wanted.entities, replace(wanted, entities=None))
    if wanted.located is not None:
        paths = [each.path for each in wanted.located]
        yield _walk(TermField.ENTITY, paths, replace(wanted, located=None))
    if wanted.scripts is not None:
        ids_only = not script_ids
        left = replace(wanted, scripts=None) if ids_only else wanted
        yield _walk(TermField.SCRIPT, wanted.scripts | script_ids, left)
    if wanted.instances is not None:
        terms = [instance_of_script(each.script, each.name).value for each in wanted.instances]
        walk = _walk(TermField.INSTANCE, terms, replace(wanted, instances=None))
        yield replace(walk, disjoint=len(walk.arms) < 2)
    if wanted.tags is not None:
        walk = _walk(TermField.TAG, wanted.tags, replace(wanted, tags=None))
        yield replace(walk, disjoint=len(walk.arms) < 2)


def _of_its_way(wanted: ExecutionFilter) -> Iterator[Walk]:
    if wanted.triggers is not None:
        types = {each.type.value for each in wanted.triggers}
        whole = all(each.setting is None for each in wanted.triggers)
        left = replace(wanted, triggers=None) if whole else wanted
        yield _walk(TermField.TRIGGER, types, left)
    if wanted.usernames is not None:
        yield _walk(TermField.USERNAME, wanted.usernames, replace(wanted, usernames=None))
    if wanted.firings is not None:
        walk = _walk(TermField.FIRING, map(str, wanted.firings), replace(wanted, firings=None))
        yield replace(walk, disjoint=len(walk.arms) < 2)
    if wanted.parents is not None:
        yield _walk(TermField.PARENT, wanted.parents, replace(wanted, parents=None))
    if wanted.schedules is not None:
        arms = (
            arm
            for each in sorted(wanted.schedules)
            for arm in (
                Arm(index='executions WHERE id = ?', arguments=(each,)),
                _of_term(TermField.PARENT, each),
                _of_term(TermField.SCHEDULE, each),
            )
        )
        left = replace(wanted, schedules=None)
        yield Walk(arms=tuple(arms), left=left, disjoint=False)
    if wanted.scheduled:
        yield Walk(arms=(_OPEN,), left=wanted)


def _of_its_end(wanted: ExecutionFilter) -> Iterator[Walk]:
    if wanted.statuses is not None:
        final = sorted(each.value for each in wanted.statuses - OPEN_STATUSES)
        arms = tuple(_of_term(TermField.STATUS, each) for each in final)
        if wanted.statuses.isdisjoint(OPEN_STATUSES):
            yield Walk(arms=arms, left=replace(wanted, statuses=None))
        else:
            yield Walk(arms=(_OPEN, *arms), left=wanted)
    if wanted.exit_codes is not None:
        codes = map(str, wanted.exit_codes)
        yield _walk(TermField.EXIT_CODE, codes, replace(wanted, exit_codes=None))
    if wanted.vendor_codes is not None:
        left = replace(wanted, vendor_codes=None)
        yield _walk(TermField.VENDOR_CODE, wanted.vendor_codes, left)
    if wanted.verdicts is not None:
        verdicts = [each.value for each in wanted.verdicts]
        yield _walk(TermField.VERDICT, verdicts, replace(wanted, verdicts=None))
    if wanted.terminating:
        yield Walk(arms=(_OPEN,), left=wanted)


def _of_scope(wanted: ExecutionFilter, seen: ScopeTerms) -> Iterator[Walk]:
    if seen is NO_BOUND:
        return
    left = wanted
    if not seen.with_groups:
        # Nothing else of an entity within is beyond.
        left = replace(wanted, scope=replace(wanted.scope, entities=None))
    if seen.entities is not None:
        yield _and_groups(_walk(TermField.ENTITY, seen.entities, left), seen)
    if seen.script_ids is not None:
        yield _and_groups(_walk(TermField.SCRIPT, seen.script_ids, wanted), seen)
    if seen.tags is not None:
        # Groups have the tags that are asked for, too.
        left = replace(wanted, scope=replace(wanted.scope, tags=None))
        walk = _walk(TermField.TAG, seen.tags, left)
        yield replace(walk, disjoint=len(walk.arms) < 2)


def _and_groups(walk: Walk, seen: ScopeTerms) -> Walk:
    if not seen.with_groups:
        return walk
    groups = _of_term(TermField.SCRIPT, SCRIPT_ID)
    return replace(walk, arms=(*walk.arms, groups), disjoint=False)


def _walk(field: TermField, values: Iterable[str], left: ExecutionFilter) -> Walk:
    return Walk(arms=tuple(_of_term(field, each) for each in sorted(values)), left=left)


def _of_term(field: TermField, value: str) -> Arm:
    return Arm(index=_TERM, arguments=(field, value))
