# SPDX-License-Identifier: Apache-2.0
"""Handlers of lists of executions, and what their routes take."""

import dataclasses
from dataclasses import dataclass

from gateway_node.executions.documents import to_text
from gateway_node.executions.filters import ExecutionFilter, InstanceVersion, ScriptVersion
from gateway_node.executions.group import NO_VERSION, SCRIPT_ID
from gateway_node.executions.pages import Order
from gateway_node.executions.summary_texts import SummaryText
from gateway_node.executions.values import ExecutionStatus
from gateway_node.http_server.calls import Answer, Call, Document
from gateway_node.http_server.execution_columns import EXECUTION_COLUMNS, rows_of, texts_of
from gateway_node.http_server.execution_queries import ExecutionQuery
from gateway_node.http_server.export import Export, ExportWanted
from gateway_node.http_server.fields import Choice
from gateway_node.http_server.media_types import JSON
from gateway_node.http_server.paging import Around, around_keyset, around_numbered, Paging
from gateway_node.http_server.query_fields import Columns
from gateway_node.http_server.representations import Json, listing
from gateway_node.http_server.services import Services
from gateway_node.http_server.subjects import OfEntity, OfScript
from gateway_node.http_server.takes import path, query


@dataclass(frozen=True, kw_only=True)
class OfExecutions(ExecutionQuery, Paging, ExportWanted):
    """Takes which executions are wanted, which part of them, and what of each."""

    fields: tuple[str, ...] | None = query(
        Columns(EXECUTION_COLUMNS),
        default=None,
        about='The members of each item, those alone and in this order; all where it is left out.',
    )

    def __post_init__(self) -> None:
        """Check what goes with what; InvalidParameter."""
        super().__post_init__()
        in_pages = self.page is not None or self.per_page is not None
        self.check_form(needs_page=self.sort is not Order.ID and not in_pages)


@dataclass(frozen=True, kw_only=True)
class OfStatus(OfExecutions):
    """Takes those of one status."""

    in_status: ExecutionStatus = path(Choice(ExecutionStatus), name='status')


@dataclass(frozen=True, kw_only=True)
class OfEntityExecutions(OfExecutions, OfEntity):
    """Takes those of one entity."""


@dataclass(frozen=True, kw_only=True)
class OfScriptExecutions(OfExecutions, OfScript):
    """Takes those of one script."""


async def list_executions(call: Call[OfScriptExecutions, None]) -> Answer:
    """List the executions of a script, newest first.

    `next` is the path of what follows, where there may be more.
    """
    at, wanted = call.at, await wanted_executions(call)
    return await _list(call, dataclasses.replace(wanted, entity=at.entity, script_id=at.script_id))


async def list_entity_executions(call: Call[OfEntityExecutions, None]) -> Answer:
    """List the executions of all scripts of an entity, newest first."""
    wanted = dataclasses.replace(await wanted_executions(call), entity=call.at.entity)
    return await _list(call, wanted)


async def list_all_executions(call: Call[OfExecutions, None]) -> Answer:
    """List the executions of all entities, newest first."""
    return await _list(call, await wanted_executions(call))


async def list_executions_by_status(call: Call[OfStatus, None]) -> Answer:
    """List the executions of all entities that stand in one status, newest first."""
    wanted = await wanted_executions(call)
    statuses = frozenset({call.at.in_status})
    if wanted.statuses is not None:
        statuses &= wanted.statuses
    return await _list(call, dataclasses.replace(wanted, statuses=statuses))


async def wanted_executions(call: Call[ExecutionQuery, None]) -> ExecutionFilter:
    """Return the filter that a query makes; InvalidParameter where no component is so called."""
    return await wanted_by(call.services, call.at)


async def wanted_by(services: Services, query: ExecutionQuery) -> ExecutionFilter:
    """Return the filter that a query makes; InvalidParameter as `wanted_executions`."""
    wanted = query.filter(services.directory)
    if query.include_outdated:
        return wanted
    versions = await services.library.present_versions(services.directory.refs())
    present = frozenset(
        ScriptVersion(entity=entity, script_id=script_id, version=version)
        for (entity, script_id), version in versions.items()
    )
    host = services.directory.host()
    present |= {ScriptVersion(entity=host, script_id=SCRIPT_ID, version=NO_VERSION)}
    instances = services.questions.instances.versions()
    return dataclasses.replace(
        wanted,
        present_versions=present,
        present_instances=frozenset(
            InstanceVersion(ref=ref, version=version) for ref, version in instances.items()
        ),
    )


async def find_part(
    call: Call[Paging, None], wanted: ExecutionFilter
) -> tuple[tuple[SummaryText, ...], Around]:
    """Find the part of a list that is wanted; return it, and what is around it."""
    at, questions = call.at, call.services.questions
    if at.numbered is not None:
        numbered = await questions.find_numbered(wanted, at.numbered)
        around = around_numbered(
            call.target,
            at.numbered,
            numbered.total,
            shown=len(numbered.executions),
            approximate=numbered.approximate,
            complete=numbered.complete,
        )
        return numbered.executions, around
    part = await questions.find(wanted, at.keyset)
    return part.executions, around_keyset(call.target, at.keyset, part)


async def _list(call: Call[OfExecutions, None], wanted: ExecutionFilter) -> Answer:
    export = Export(call, call.at, call.at.fields) if call.at.is_export else None
    if export and not call.at.is_paged:
        return Answer(body=await export.of_all(wanted))
    found, around = await find_part(call, wanted)
    if export:
        return Answer(body=export.of_page(found), links=around.links)
    if call.at.fields is None:
        items = await texts_of(call.base, call.services, found)
        return Answer(body=_document(items, around.members), links=around.links)
    summaries = [each.read() for each in found]
    rows = await rows_of(call.base, call.services, summaries, call.at.fields)
    return Answer(body=listing(map(rows.row, summaries)) | around.members, links=around.links)


def _document(items: str, members: Json) -> Document:
    """Build the body of a list from the text of its items, and what stands beside them."""
    # Behind the brace that the text of the others begins with.
    others = f',{to_text(members)[1:]}' if members else '}'
    return Document(content=f'{{"items":[{items}]{others}'.encode(), media_type=JSON)
