# SPDX-License-Identifier: Apache-2.0
"""The handler of the list of scripts across entities, and what its route takes."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway_node.clock import rfc3339
from gateway_node.entities.values import EntityRef
from gateway_node.executions.documents import present
from gateway_node.executions.globs import paths_like
from gateway_node.executions.pages import NumberedPage
from gateway_node.executions.statistics import ScriptOfEntity, ScriptRecord
from gateway_node.http_server.calls import Answer, Call
from gateway_node.http_server.fields import Choice
from gateway_node.http_server.paging import around_numbered, DEFAULT_PER_PAGE, Numbered
from gateway_node.http_server.parts import OfKnown
from gateway_node.http_server.query_fields import (
    EntityPattern,
    MAX_TEXTS,
    SearchText,
    Several,
)
from gateway_node.http_server.representations import Json, listing, script_detail
from gateway_node.http_server.takes import query
from gateway_node.scripts.values import Script, ScriptKind

_TEXTS = Several(SearchText(listed=True), MAX_TEXTS)


@dataclass(frozen=True, kw_only=True)
class OfScripts(Numbered, OfKnown):
    """Takes which scripts are wanted, and which page of them."""

    entities: frozenset[str] | None = query(
        Several(EntityPattern(), MAX_TEXTS),
        default=None,
        name='entity',
        about='The entity: a path such as `apps/temp_sensor`, or a pattern of paths (`apps/*`), '
        'where `*` is any text and `?` one character.',
    )
    name: frozenset[str] | None = query(_TEXTS, default=None, about='The name.')
    tag: frozenset[str] | None = query(_TEXTS, default=None, about='A tag.')
    kind: frozenset[ScriptKind] | None = query(
        Several(Choice(ScriptKind)), default=None, about='The kind.'
    )

    def wants(self, script: Script) -> bool:
        """Tell whether a script is among those that are wanted, whatever it is of."""
        return (
            (self.name is None or script.name in self.name)
            and (self.tag is None or not self.tag.isdisjoint(script.tags))
            and (self.kind is None or script.kind in self.kind)
        )

    def wanted_of(self, entities: Sequence[EntityRef]) -> Sequence[EntityRef]:
        """Return the entities of which scripts are wanted."""
        if self.entities is None:
            return entities
        paths = paths_like(self.entities, (each.path for each in entities))
        return [each for each in entities if each.path in paths]


async def list_all_scripts(call: Call[OfScripts, None]) -> Answer:
    """List the scripts of all entities, each with what it last did.

    Entity by entity, the apps first; `pagination` says how many there are.
    """
    at, services = call.at, call.services
    entities = at.wanted_of(services.directory.refs())
    wanted = [each for each in await services.library.everywhere(entities) if at.wants(each[1])]
    page = NumberedPage(number=at.page or 1, size=at.per_page or DEFAULT_PER_PAGE)
    shown = wanted[(page.number - 1) * page.size :][: page.size]
    names = [_name_of(entity, script) for entity, script in shown]
    records = await services.statistics.of_scripts(names)
    around = around_numbered(call.target, page, len(wanted), shown=len(shown))
    items = (
        script_detail(f'{call.base}/{entity.path}/scripts', script)
        | {'entity': entity.path}
        | _did(records[name])
        for name, (entity, script) in zip(names, shown, strict=True)
    )
    return Answer(body=listing(items) | around.members, links=around.links, asked=at)


def _name_of(entity: EntityRef, script: Script) -> ScriptOfEntity:
    return ScriptOfEntity(entity=entity.path, script_id=script.id)


def _did(record: ScriptRecord) -> Json:
    """Tell what a script did: last, and how often and how long in all that is counted."""
    median_ms = record.ended.durations.quantile_ms(0.5)
    told: Json = {'executions': record.ended.executions}
    if median_ms is not None:
        told['median_duration_ms'] = round(median_ms, 1)
    last = record.last
    if last is not None:
        told['last_execution'] = present(
            {
                'status': last.status.value,
                'verdict': last.verdict,
                'created_at': rfc3339(last.created_at),
                'completed_at': last.completed_at and rfc3339(last.completed_at),
            }
        )
    return told
