# SPDX-License-Identifier: Apache-2.0
"""Summaries that are answered as texts, and those of earlier versions."""

from dataclasses import replace
import ipaddress
import json
import re
from typing import Any

import earlier_form
from executions_of_any_kind import EXECUTIONS
from fakes import as_listed, FakeInstances, new_execution
from hypothesis import given
from hypothesis import strategies as st

from gateway_node.executions.document_reading import (
    execution_from,
    execution_of,
    executions_from,
    present_texts,
    summary_from,
)
from gateway_node.executions.documents import (
    archived_execution,
    changed_fields,
    evolved,
    summary_of,
    to_document,
)
from gateway_node.executions.earlier_documents import renewed_changes
from gateway_node.executions.instance_refs import instance_of
from gateway_node.executions.summary_texts import answered, IsOutdated, parts_of
from gateway_node.executions.values import Execution
from gateway_node.http_server.errors import InvalidRequest
from gateway_node.http_server.execution_columns import EXECUTION_COLUMNS, ExecutionRows
from gateway_node.http_server.forwarding import TrustedProxies
from gateway_node.ros.specifications import PARAMETERS

BASE = '/robot/api/v1'
UNKNOWN_TO_EARLIER_VERSIONS: dict[str, Any] = {
    'rights': None,
    'warm': False,
    'timeout_sec': None,
    'ancestors': (),
    'expires_in_sec': None,
    'expires_up_sec': None,
    'queue_position': None,
    'callback': None,
    'artifacts': 0,
    'evidence': False,
    'group': None,
    'attempt': 1,
    'retries': None,
    'due_up_sec': None,
    'secrets': (),
    'instance': None,
    'instance_version': None,
}


def _of_earlier_version(execution: Execution) -> Execution:
    stop = execution.stop_trigger
    return execution.evolve(
        **UNKNOWN_TO_EARLIER_VERSIONS,
        trigger=replace(execution.trigger, firing=None),
        stop_trigger=stop and replace(stop, firing=None),
    )


EARLIER_EXECUTIONS = EXECUTIONS.map(_of_earlier_version)
"""Earlier versions know no others."""


def rows(
    execution: Execution,
    version: str | None,
    columns: Any = None,
    instances: FakeInstances | None = None,
) -> ExecutionRows:
    """Return what builds a row of an execution whose script has a version now, and whose instance
    is as it was."""
    versions = {(execution.entity.path, execution.script_id): version}
    ref = instance_of(execution)
    known = FakeInstances({} if ref is None else {ref: execution.instance_version or ''})
    return ExecutionRows(BASE, versions, columns, instances or known)


@given(EXECUTIONS)
def test_an_execution_is_outdated_with_its_instance(execution: Execution) -> None:
    """Where that is another one by now, or gone, although its script is as it was; whichever way
    it is answered."""
    text = parts_of(to_document(execution))
    name, version = execution.instance, execution.instance_version
    assert text.instance == (None if name is None else (name, version))
    ref = instance_of(execution)
    for present in (version, 'another', None):
        known = FakeInstances({} if ref is None or present is None else {ref: present})
        builder = rows(execution, execution.script_version, instances=known)
        row = builder.row(summary_of(execution))
        assert row['is_outdated'] == (ref is not None and present != version)
        told = answered(BASE, [text], lambda *_, outdated=row['is_outdated']: outdated)
        assert json.loads(told) == row


def _differs_from(version: str | None) -> IsOutdated:
    return lambda entity, script_id, ran, instance: ran != version


@given(EXECUTIONS)
def test_a_text_says_what_is_built_of_the_values(execution: Execution) -> None:
    """Whatever scripts and clients wrote into it; below any base, outdated or not."""
    text = parts_of(to_document(execution))
    assert (text.execution_id, text.status) == (execution.id, execution.status.value)
    assert text.read() == summary_of(execution)
    for version in (execution.script_version, 'another', None):
        told = answered(BASE, [text], _differs_from(version))
        assert json.loads(told) == rows(execution, version).row(summary_of(execution))


@given(EARLIER_EXECUTIONS)
def test_it_is_what_the_version_before_answered(execution: Execution) -> None:
    """Member by member: in lists, in each column alone, in the archive, and beside its output."""
    summary = summary_of(execution)
    row = rows(execution, 'another').row(summary)
    assert row == earlier_form.answered(execution, BASE, 'another')
    for name in EXECUTION_COLUMNS:
        known = {name: row[name]} if name in row else {}
        assert rows(execution, 'another', [name]).row(summary) == known
    assert archived_execution(execution) == earlier_form.archived(execution)


@given(EARLIER_EXECUTIONS)
def test_a_document_of_an_earlier_version_is_read_as_it_was(execution: Execution) -> None:
    """Nothing of it is lost, and it is answered as one of this version."""
    text = earlier_form.to_document(execution)
    assert execution_from(text, earlier_form.to_parameters(execution)) == execution
    assert executions_from([text]) == (as_listed(execution),)
    assert summary_from(text) == summary_of(execution)
    assert present_texts([text, to_document(execution)]) == (to_document(execution),) * 2


def test_what_was_a_schedule_once_is_none_any_more() -> None:
    """Documents of earlier versions have the starts of a schedule that has ended, too."""
    document = json.loads(earlier_form.to_document(new_execution(1)))
    document |= {'scheduled': False, 'skipped_starts': 3}
    assert execution_from(json.dumps(document), '[{},null]') == new_execution(1)


@given(EARLIER_EXECUTIONS, EARLIER_EXECUTIONS)
def test_events_of_an_earlier_version_go_on_in_this_one(
    before: Execution, after: Execution
) -> None:
    """A follower that read what an earlier version told has the summary of this one."""
    told = [earlier_form.summary_of(each) for each in (before, after)]
    first = evolved({}, renewed_changes(told[0]))
    changes = json.loads(json.dumps(changed_fields(*told)))
    read = execution_of(evolved(first, renewed_changes(changes)))
    assert read == as_listed(after)


@given(st.text(st.sampled_from('/rob0t.-_~"\\\x00\x1f\x7f\u00e9%'), max_size=12))
def test_no_base_can_break_a_text(prefix: str) -> None:
    """What is put in as it is holds nothing that JSON escapes: neither what a trusted proxy takes
    off, nor `server.path_prefix`."""
    (specification,) = [each for each in PARAMETERS if each.name == 'server.path_prefix']
    assert specification.pattern is not None
    by_parameter = re.fullmatch(specification.pattern, prefix) is not None
    try:
        proxy = ipaddress.ip_address('127.0.0.1')
        TrustedProxies([ipaddress.ip_network(proxy)]).read(
            str(proxy), forwarded_for=(), prefixes=[prefix]
        )
        by_proxy = True
    except InvalidRequest:
        by_proxy = False
    assert not (by_parameter or by_proxy) or json.dumps(prefix) == f'"{prefix}"'
