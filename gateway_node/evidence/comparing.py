# SPDX-License-Identifier: Apache-2.0
"""In what an execution differs from another one: by their records, and by their evidence."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from gateway_node.evidence.differences import difference_of, Sides
from gateway_node.evidence.errors import NothingPassed
from gateway_node.evidence.ports import EvidenceFiles
from gateway_node.evidence.seen_robot import is_there, Json, unavailable
from gateway_node.executions.documents import present
from gateway_node.executions.filters import ExecutionFilter, InstanceFilter
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.questions import Questions
from gateway_node.executions.values import Execution, ExecutionStatus
from gateway_node.scripts.values import Verdict
from gateway_node.strict_json import parse

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


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of two executions that are compared."""

    execution: Execution
    seen: Mapping[str, bytes] | str
    """Parts of its evidence by name, or why there are none."""


async def side_of(files: EvidenceFiles, execution: Execution) -> Side:
    """Return an execution with what of its evidence is compared."""
    if not execution.evidence:
        return Side(execution=execution, seen=f'no evidence was kept of {execution.id}')
    parts = await files.read(execution.id, frozenset(_EVIDENCE.values()))
    gone = f'the evidence of {execution.id} is not there'
    return Side(execution=execution, seen=parts or gone)


def compared(this: Side, other: Side, *, sees_all: bool) -> Json:
    """Return each aspect: `{same, differences, more?}`, or `{unavailable}` with the reason.

    The graph is told only to who `sees_all` of the robot. Long documents take their time.
    """
    one, two = this.execution, other.execution
    aspects: dict[str, Json] = {
        'script': _differing(_script(one), _script(two)),
        'parameters': _parameters(one, two),
        'outcome': _differing(_outcome(one), _outcome(two)),
        'checks': _differing(_checks(one), _checks(two)),
        'metrics': _differing(dict(one.metrics), dict(two.metrics)),
    }
    for name, part in _EVIDENCE.items():
        if name in _ROBOT_WIDE and not sees_all:
            aspects[name] = unavailable('it shows what is beyond what this credential sees')
        else:
            aspects[name] = _compared(_picture(this, part), _picture(other, part))
    return aspects


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
    raise NothingPassed(execution.id, execution.instance)


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


def _compared(this: Json, other: Json) -> Json:
    for picture in (this, other):
        if not is_there(picture):
            return unavailable(picture['unavailable'])
    return _differing(this, other)


def _picture(side: Side, part: str) -> Json:
    """Return what a part of the evidence shows; of what was looked at twice, as it was before the
    start."""
    if isinstance(side.seen, str):
        return unavailable(side.seen)
    if part not in side.seen:
        return unavailable(f'{part} of {side.execution.id} was left out, for want of room')
    try:
        document = parse(side.seen[part])
    except ValueError as error:
        return unavailable(f'{part} of {side.execution.id} {error}')
    picture = document.get('before', document) if isinstance(document, dict) else document
    if not isinstance(picture, dict):
        return unavailable(f'{part} of {side.execution.id} is no JSON object')
    return picture


def _script(execution: Execution) -> Json:
    return present(
        {
            'entity': execution.entity.path,
            'id': execution.script_id,
            'name': execution.script_name,
            'kind': execution.script_kind and execution.script_kind.value,
            'version': execution.script_version,
        }
    )


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
    return present(
        {
            'status': execution.status.value,
            'verdict': execution.verdict and execution.verdict.value,
            'exit_code': execution.exit_code,
            'signal': execution.signal,
            'vendor_code': execution.failure and execution.failure.reason.value,
        }
    )


def _checks(execution: Execution) -> Json:
    """Return the checks by name; of several with one name the later ones with a number."""
    checks: dict[str, Any] = {}
    for check in execution.checks:
        name, number = check.name, 1
        while name in checks:
            number += 1
            name = f'{check.name} ({number})'
        told = present(asdict(check)) | {'verdict': check.verdict.value}
        checks[name] = {key: value for key, value in told.items() if key != 'name'}
    return checks
