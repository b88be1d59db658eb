# SPDX-License-Identifier: Apache-2.0
"""In what an execution differs from another one: by their records, and by their evidence."""

from collections.abc import Mapping
from dataclasses import asdict, replace
import json
from typing import Any

from gateway_node.evidence.differences import difference_of, Sides
from gateway_node.evidence.errors import NothingPassed
from gateway_node.evidence.ports import EvidenceFiles
from gateway_node.evidence.seen_robot import is_there, Json, unavailable
from gateway_node.executions.filters import ExecutionFilter, InstanceFilter
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.questions import Questions
from gateway_node.executions.values import Execution, ExecutionStatus
from gateway_node.scripts.values import Verdict

_THIS_AND_OTHER = Sides(one='this', other='other')
_PAGE = 100
_MAX_PAGES = 10
"""That are looked through for what passed."""

_EVIDENCE = {
    'environment': 'environment.json',
    'versions': 'versions.json',
    'graph': 'graph.json',
    'node_parameters': 'node_parameters.json',
}
"""The aspects that evidence alone tells, and where."""
_ROBOT_WIDE = ('graph',)
"""Those that show more of the robot than one entity."""


async def compared(
    files: EvidenceFiles, this: Execution, other: Execution, *, sees_all: bool
) -> Json:
    """Return each aspect: `{same, differences, more?}`, or `{unavailable}` with the reason.

    The graph is told only to who `sees_all` of the robot.
    """
    aspects: dict[str, Json] = {
        'script': _differing(_script(this), _script(other)),
        'parameters': _parameters(this, other),
        'outcome': _differing(_outcome(this), _outcome(other)),
        'checks': _differing(_checks(this), _checks(other)),
        'metrics': _differing(dict(this.metrics), dict(other.metrics)),
    }
    seen = await _seen(files, this), await _seen(files, other)
    for name, part in _EVIDENCE.items():
        if name in _ROBOT_WIDE and not sees_all:
            aspects[name] = unavailable('it shows what is beyond what this credential sees')
        else:
            aspects[name] = _compared(part, *seen)
    return aspects


async def _seen(files: EvidenceFiles, execution: Execution) -> Mapping[str, Json] | str:
    """Return the parts of an execution's evidence by name, or why there are none."""
    if not execution.evidence:
        return f'no evidence was kept of {execution.id}'
    contents = await files.read(execution.id, frozenset(_EVIDENCE.values()))
    if not contents:
        return f'the evidence of {execution.id} is not there'
    return {name: json.loads(content) for name, content in contents.items()}


async def last_pass(questions: Questions, execution: Execution) -> Execution:
    """Return the newest execution before this one, of the same script (and instance) of the same
    entity, that completed with the verdict PASS; where there is none, without the verdict FAIL.

    NothingPassed where there is neither.
    """
    completed = ExecutionFilter(
        entity=execution.entity,
        script_id=execution.script_id,
        statuses=frozenset({ExecutionStatus.COMPLETED}),
        instances=_instance_of(execution),
    )
    passed = replace(completed, verdicts=frozenset({Verdict.PASS}))
    for wanted in (passed, completed):
        found = await _newest_without_fail(questions, wanted, execution.id)
        if found is not None:
            return await questions.get_by_id(found)
    raise NothingPassed(execution.id)


def _instance_of(execution: Execution) -> frozenset[InstanceFilter] | None:
    """Return the bound to executions of one instance, where an execution is of one."""
    if execution.instance is None:
        return None
    return frozenset({InstanceFilter(script=execution.script_id, name=execution.instance)})


async def _newest_without_fail(
    questions: Questions, wanted: ExecutionFilter, before: str
) -> str | None:
    reference: str | None = before
    for _ in range(_MAX_PAGES):
        page = KeysetPage(limit=-_PAGE, reference=reference)
        found = await questions.find(wanted, page)
        for each in found.executions:
            if each.read().get('verdict') != Verdict.FAIL.value:
                return each.execution_id
        reference = found.more
        if reference is None:
            break
    return None


def _differing(this: Json, other: Json) -> Json:
    return difference_of(this, other, _THIS_AND_OTHER)


def _compared(part: str, this: Mapping[str, Json] | str, other: Mapping[str, Json] | str) -> Json:
    pictures = []
    for seen in (this, other):
        if isinstance(seen, str):
            return unavailable(seen)
        if part not in seen:
            return unavailable(f'{part} was left out, for want of room')
        # Of what was looked at twice, as it was before the start.
        picture = seen[part].get('before', seen[part])
        if not is_there(picture):
            return unavailable(picture['unavailable'])
        pictures.append(picture)
    return _differing(*pictures)


def _script(execution: Execution) -> Json:
    return {
        'entity': execution.entity.path,
        'id': execution.script_id,
        'name': execution.script_name,
        'kind': execution.script_kind and execution.script_kind.value,
        'version': execution.script_version,
    }


def _parameters(this: Execution, other: Execution) -> Json:
    """Compare what the two were given; where secrets are, nobody knows."""
    given = [
        {'parameters': dict(each.input_parameters), 'arguments': list(each.arguments)}
        for each in (this, other)
    ]
    found = _differing(*given)
    secrets = sorted({f'/parameters{each}' for each in (*this.secrets, *other.secrets)})
    return found | {'not_compared': secrets} if secrets else found


def _outcome(execution: Execution) -> Json:
    return {
        'status': execution.status.value,
        'verdict': execution.verdict and execution.verdict.value,
        'exit_code': execution.exit_code,
        'signal': execution.signal,
        'vendor_code': execution.failure and execution.failure.reason.value,
    }


def _checks(execution: Execution) -> Json:
    """Return the checks by name; of several with one name the later ones with a number."""
    checks: dict[str, Any] = {}
    for check in execution.checks:
        name, number = check.name, 1
        while name in checks:
            number += 1
            name = f'{check.name} ({number})'
        told = asdict(check) | {'verdict': check.verdict.value}
        checks[name] = {key: value for key, value in told.items() if key != 'name'}
    return checks
