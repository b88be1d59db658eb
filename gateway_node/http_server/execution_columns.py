# SPDX-License-Identifier: Apache-2.0
"""Executions as lists show them: their summaries, with what differs from request to request."""

from collections.abc import Collection, Iterable, Mapping

from gateway_node.access.seen_scripts import SeenScripts
from gateway_node.entities.values import EntityRef
from gateway_node.executions.documents import Summary
from gateway_node.executions.group import is_outdated
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.ports import InstanceVersions, NoInstances
from gateway_node.executions.summary_texts import answered, InstanceThen, SummaryText
from gateway_node.executions.values import Execution
from gateway_node.http_server.representations import Json
from gateway_node.http_server.services import Services

PresentVersions = Mapping[tuple[str, str], str | None]
"""By the entity's path and the id, the version that a script has now; None where it is gone."""

NO_INSTANCES = NoInstances()

EXECUTION_COLUMNS = (
    'id',
    'status',
    'href',
    'entity',
    'script_id',
    'script_version',
    'script_name',
    'kind',
    'tags',
    'mended',
    'instance',
    'instance_version',
    'is_outdated',
    'execution_type',
    'arguments',
    'priority',
    'parent',
    'schedule',
    'scheduled',
    'last_start_at',
    'skipped_starts',
    'trigger',
    'stop_trigger',
    'created_at',
    'started_at',
    'completed_at',
    'duration_ms',
    'progress',
    'progress_message',
    'exit_code',
    'signal',
    'leftover_processes',
    'unkillable_processes',
    'resource_use',
    'verdict',
    'summary',
    'metrics',
    'error',
    'terminating',
    'warnings',
    'warm',
    'timeout_sec',
    'expires_in_sec',
    'queue_position',
    'artifacts',
    'evidence',
    'group',
    'attempt',
)
"""All that an execution may have in a list, in the order of a table."""


def execution_href(base: str, execution: Execution, execution_id: str | None = None) -> str:
    """Build the path of an execution, or of another one of the same script."""
    path = execution.entity.path
    return href_of(base, path, execution.script_id, execution_id or execution.id)


def href_of(base: str, entity: str, script_id: str, execution_id: str) -> str:
    """Build the path of an execution of a script, which has that of its entity."""
    return f'{base}/{entity}/scripts/{script_id}/executions/{execution_id}'


def hrefs_in(base: str, summary: Summary) -> Json:
    """Build the paths that stand in a summary: its own, and that of its schedule."""
    entity, script_id = summary['entity'], summary['script_id']
    hrefs: Json = {'href': href_of(base, entity, script_id, summary['id'])}
    if 'schedule' in summary:
        hrefs['schedule'] = href_of(base, entity, script_id, summary['schedule'])
    return hrefs


class ExecutionRows:
    """Builds executions as lists show them, each with the columns that are asked for."""

    def __init__(
        self,
        base: str,
        present_versions: PresentVersions,
        columns: Iterable[str] | None = None,
        instances: InstanceVersions = NO_INSTANCES,
    ) -> None:
        """Take names of `EXECUTION_COLUMNS`; None for all of them."""
        self._base = base
        self._present_versions = present_versions
        self._instances = instances
        self._columns = EXECUTION_COLUMNS if columns is None else tuple(columns)

    def row(self, summary: Summary) -> Json:
        """Build one; never with its output and its output parameters."""
        whole = {**summary, **self._of_request(summary)}
        return {name: whole[name] for name in self._columns if name in whole}

    def _of_request(self, summary: Summary) -> Json:
        told = hrefs_in(self._base, summary)
        if 'is_outdated' in self._columns:
            told['is_outdated'] = self._is_outdated(summary)
        return told

    def _is_outdated(self, summary: Summary) -> bool:
        script = summary['entity'], summary['script_id']
        if 'instance' in summary:
            instance = InstanceThen(summary['instance'], summary['instance_version'])
            if _is_replaced(self._instances, *script, instance):
                return True
        return is_outdated(summary['script_version'], self._present_versions[script])


async def rows_of(
    base: str,
    services: Services,
    summaries: Iterable[Summary],
    columns: Collection[str] | None,
) -> ExecutionRows:
    """Return what builds these executions; their scripts are looked up where a column tells of
    them. Raises what `SeenScripts.versions_of` raises."""
    versions: PresentVersions = {}
    if columns is None or 'is_outdated' in columns:
        scripts = {(each['entity'], each['script_id']) for each in summaries}
        versions = await _versions_of(scripts, services.library)
    return ExecutionRows(base, versions, columns, services.questions.instances)


async def texts_of(base: str, services: Services, found: Collection[SummaryText]) -> str:
    """Return executions with all columns, as the items of an array: what `ExecutionRows` builds of
    each, as text. Raises what `SeenScripts.versions_of` raises."""
    versions = await _versions_of({each.script for each in found}, services.library)
    instances = services.questions.instances

    def outdated(entity: str, script_id: str, version: str, instance: InstanceThen | None) -> bool:
        if instance is not None and _is_replaced(instances, entity, script_id, instance):
            return True
        return is_outdated(version, versions[entity, script_id])

    return answered(base, found, outdated)


def _is_replaced(
    instances: InstanceVersions, entity: str, script_id: str, then: InstanceThen
) -> bool:
    """Tell whether an instance is another one by now, or gone."""
    ref = InstanceRef(entity=EntityRef.from_path(entity), script_id=script_id, name=then.name)
    return instances.version_of(ref) != then.version


async def _versions_of(
    scripts: Collection[tuple[str, str]], library: SeenScripts
) -> PresentVersions:
    versions = await library.versions_of(
        [(EntityRef.from_path(path), script_id) for path, script_id in scripts]
    )
    return {(entity.path, script_id): each for (entity, script_id), each in versions.items()}
