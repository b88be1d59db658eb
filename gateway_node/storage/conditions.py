# SPDX-License-Identifier: Apache-2.0
"""Filters as conditions on single rows of executions, in SQL. Pure.

What a row is asked is asked of its columns, else of its document. Values are arguments, never
parts of the text; several of them are one JSON array, so that the text is the same for any number.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
import datetime
import enum
import json

from gateway_node.executions.filters import (
    ExecutionFilter,
    InstanceFilter,
    Moments,
    TriggerFilter,
)
from gateway_node.executions.globs import is_pattern, paths_like
from gateway_node.storage.scope_terms import scope_sql

_AMONG = 'IN (SELECT value FROM json_each(?))'


@dataclass(frozen=True, kw_only=True)
class Condition:
    """An expression of SQL with its arguments."""

    sql: str
    arguments: tuple[object, ...] = ()


def all_of(conditions: Iterable[Condition]) -> Condition:
    """Return what holds where all of these do."""
    return _joined(' AND ', conditions) or Condition(sql='true')


def conditions_of(wanted: ExecutionFilter) -> Iterator[Condition]:
    """Yield what a row has to fulfil, its parameters apart; `entities` are paths here."""
    yield from _of_what(wanted)
    yield from _of_its_way(wanted)
    yield from _of_its_end(wanted)
    yield from _of_what_it_found(wanted)


def with_paths(wanted: ExecutionFilter, paths: Iterable[str]) -> ExecutionFilter:
    """Return a filter with the paths, of those that there are, that its patterns match."""
    return replace(wanted, entities=paths_like(wanted.entities or (), paths))


def has_patterns(wanted: ExecutionFilter) -> bool:
    """Tell whether some of the entities are patterns."""
    return any(map(is_pattern, wanted.entities or ()))


def moment_text(moment: datetime.datetime) -> str:
    """Return a moment as it is stored: the order of these texts is that of the moments."""
    return moment.astimezone(datetime.UTC).isoformat()


def _of_what(wanted: ExecutionFilter) -> Iterator[Condition]:
    if not wanted.scope.is_everything:
        sql, arguments = scope_sql(wanted.scope)
        yield Condition(sql=sql, arguments=arguments)
    if wanted.entity is not None:
        yield _is('entity', wanted.entity.path)
    if wanted.script_id is not None:
        yield _is('script_id', wanted.script_id)
    if wanted.entities is not None:
        yield _among('entity', wanted.entities)
    if wanted.located is not None:
        yield _among('entity', (each.path for each in wanted.located))
    if wanted.scripts is not None:
        yield _any_of(
            _among(each, wanted.scripts) for each in ('script_id', _field('script_name'))
        )
    yield from _of_instances(wanted)
    if wanted.tags is not None:
        tag = _among('value', wanted.tags)
        tags = f'SELECT 1 FROM json_each({_field("tags", "script_tags")})'
        yield Condition(sql=f'EXISTS ({tags} WHERE {tag.sql})', arguments=tag.arguments)
    if wanted.kinds is not None:
        yield _among(_field('kind', 'script_kind'), _values(wanted.kinds))
    if wanted.present_versions is not None:
        yield _among(
            f"entity || ' ' || script_id || ' ' || {_field('script_version')}",
            (
                f'{each.entity.path} {each.script_id} {each.version}'
                for each in wanted.present_versions
            ),
        )


def _of_instances(wanted: ExecutionFilter) -> Iterator[Condition]:
    if wanted.instances is not None:
        yield _any_of(map(_is_of_instance, wanted.instances))
    if wanted.present_instances is not None:
        name, version = _field('instance'), _field('instance_version')
        present = _among(
            f"entity || ' ' || script_id || ' ' || {name} || ' ' || {version}",
            (
                f'{each.ref.entity.path} {each.ref.script_id} {each.ref.name} {each.version}'
                for each in wanted.present_instances
            ),
        )
        yield _any_of([Condition(sql=f'{name} IS NULL'), present])


def _is_of_instance(wanted: InstanceFilter) -> Condition:
    scripts = ('script_id', _field('script_name'))
    of_script = _any_of(_is(each, wanted.script) for each in scripts)
    return all_of([_is(_field('instance'), wanted.name), of_script])


def _of_its_way(wanted: ExecutionFilter) -> Iterator[Condition]:
    if wanted.execution_types is not None:
        yield _among(_field('execution_type'), _values(wanted.execution_types))
    if wanted.triggers is not None:
        yield _any_of(_is_by('trigger', each) for each in wanted.triggers)
    if wanted.usernames is not None:
        yield _among(_field('trigger.username'), wanted.usernames)
    if wanted.firings is not None:
        yield _any_of(
            _among(_field(f'{each}.firing'), wanted.firings)
            for each in ('trigger', 'stop_trigger')
        )
    if wanted.parents is not None:
        yield _among('parent', wanted.parents)
    if wanted.schedules is not None:
        yield _any_of(
            _among(each, wanted.schedules) for each in ('id', 'parent', _field('schedule'))
        )
    if wanted.priorities is not None:
        yield _among(_field('priority'), wanted.priorities)
    if wanted.scheduled is not None:
        yield _is('scheduled', wanted.scheduled)
    yield from _within('created_at', wanted.created)
    yield from _within(moment_in('started_at'), wanted.started)


def _of_its_end(wanted: ExecutionFilter) -> Iterator[Condition]:
    if wanted.statuses is not None:
        yield _among('status', _values(wanted.statuses))
    if wanted.exit_codes is not None:
        yield _among('exit_code', wanted.exit_codes)
    if wanted.signals is not None:
        yield _among(_field('signal'), wanted.signals)
    if wanted.vendor_codes is not None:
        yield _among(_field('error.vendor_code', 'failure.reason'), wanted.vendor_codes)
    if wanted.stop_triggers is not None:
        yield _any_of(_is_by('stop_trigger', each) for each in wanted.stop_triggers)
    if wanted.terminating is not None:
        yield _is(
            f'(ended_sec IS NULL AND {_field("stop_trigger.type")} IS NOT NULL)',
            wanted.terminating,
        )
    yield from _within(moment_in('completed_at'), wanted.completed)
    if wanted.min_duration_ms is not None:
        yield _holds(f'{_field("duration_ms")} >= ?', wanted.min_duration_ms)
    if wanted.max_duration_ms is not None:
        yield _holds(f'{_field("duration_ms")} <= ?', wanted.max_duration_ms)


def _of_what_it_found(wanted: ExecutionFilter) -> Iterator[Condition]:
    if wanted.verdicts is not None:
        yield _among(_field('verdict'), _values(wanted.verdicts))
    if wanted.metric is not None:
        metrics = "SELECT 1 FROM json_each(document, '$.metrics')"
        yield _holds(f'EXISTS ({metrics} WHERE key = ?)', wanted.metric)


def moment_in(path: str) -> str:
    """Return the expression for a moment of the document, in the form of `moment_text`: earlier
    versions wrote that, and later ones as it is answered."""
    # As `isoformat` does, which leaves out a fraction of nothing.
    return f"replace(replace({_field(path)}, '.000Z', '+00:00'), 'Z', '000+00:00')"


def _field(*paths: str) -> str:
    """Return the expression for a member of the document; several are its names in documents of
    this version and of earlier ones."""
    found = [f"json_extract(document, '$.{path}')" for path in paths]
    return found[0] if len(found) == 1 else f'coalesce({", ".join(found)})'


def _holds(sql: str, argument: object) -> Condition:
    return Condition(sql=sql, arguments=(argument,))


def _is(expression: str, value: object) -> Condition:
    return _holds(f'{expression} = ?', value)


def _among(expression: str, values: Iterable[str | int]) -> Condition:
    return _holds(f'{expression} {_AMONG}', json.dumps(sorted(values, key=str)))


def _values(members: Iterable[enum.Enum]) -> list[str]:
    return [each.value for each in members]


def _within(expression: str, moments: Moments) -> Iterator[Condition]:
    if moments.after is not None:
        yield _holds(f'{expression} >= ?', moment_text(moments.after))
    if moments.before is not None:
        yield _holds(f'{expression} < ?', moment_text(moments.before))


def _is_by(field: str, wanted: TriggerFilter) -> Condition:
    conditions = [_is(_field(f'{field}.type'), wanted.type.value)]
    if wanted.setting is not None:
        conditions.append(_is(_field(f'{field}.setting'), wanted.setting))
    return all_of(conditions)


def _any_of(conditions: Iterable[Condition]) -> Condition:
    return _joined(' OR ', conditions) or Condition(sql='false')


def _joined(word: str, conditions: Iterable[Condition]) -> Condition | None:
    parts = tuple(conditions)
    if not parts:
        return None
    return Condition(
        sql='(' + word.join(each.sql for each in parts) + ')',
        arguments=tuple(argument for each in parts for argument in each.arguments),
    )
