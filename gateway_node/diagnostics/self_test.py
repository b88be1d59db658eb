# SPDX-License-Identifier: Apache-2.0
"""Has a node test itself: calls the service of type diagnostic_msgs/srv/SelfTest that it offers.

Each status of the answer is a check; whether it passed is the node's own word.
"""

import os
import sys
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.srv import SelfTest
import rclpy

from gateway_node.script import check, ros_node, verdict

DISCOVERY_SEC = 10.0
_LOOK_SEC = 0.1
_TYPE = 'diagnostic_msgs/srv/SelfTest'
_MAX_VALUE_CHARACTERS = 400
_VERDICTS = {
    DiagnosticStatus.OK: 'PASS',
    DiagnosticStatus.WARN: 'WARN',
    DiagnosticStatus.ERROR: 'FAIL',
    DiagnosticStatus.STALE: 'FAIL',
}


def main() -> None:
    """Call the service of the entity's node and tell what it answered."""
    tested = os.environ.get('GATEWAY_NODE')
    if not tested:
        sys.exit('GATEWAY_NODE is not set: this tests the node of an app')
    with ros_node() as node:
        service = _service_of(node, tested)
        client = node.create_client(SelfTest, service)
        if not client.wait_for_service(timeout_sec=DISCOVERY_SEC):
            sys.exit(f'{service} is offered, and could not be reached within {DISCOVERY_SEC:g} s')
        answered = client.call_async(SelfTest.Request())
        rclpy.spin_until_future_complete(node, answered)
        _tell(answered.result())


def _service_of(node: Any, tested: str) -> str:
    """Return the name of the service by which a node tests itself."""
    namespace, _, name = tested.rpartition('/')
    deadline = time.monotonic() + DISCOVERY_SEC
    while True:
        for service, types in _services(node, name, namespace or '/'):
            if _TYPE in types:
                return service
        if time.monotonic() > deadline:
            sys.exit(f'{tested} offers no service of type {_TYPE}, or is not to be seen')
        rclpy.spin_once(node, timeout_sec=_LOOK_SEC)


def _services(node: Any, name: str, namespace: str) -> list[tuple[str, list[str]]]:
    try:
        found: list[tuple[str, list[str]]] = node.get_service_names_and_types_by_node(
            name, namespace
        )
    except RuntimeError:
        return []  # this node has not seen it yet
    return found


def _tell(answer: Any) -> None:
    statuses = list(answer.status)
    for status in statuses:
        values = {each.key: each.value for each in status.values}
        told = {'message': status.message, **values}
        if len(str(told)) > _MAX_VALUE_CHARACTERS:
            told = {'message': status.message[:_MAX_VALUE_CHARACTERS]}
        check(status.name or 'unnamed', _VERDICTS.get(status.level, 'FAIL'), value=told)
    passed = answer.passed not in (0, b'\0', False)
    worst = max((status.level for status in statuses), default=DiagnosticStatus.OK)
    found = 'FAIL'
    if passed:
        found = 'WARN' if worst == DiagnosticStatus.WARN else 'PASS'
    whom = f'{answer.id}: ' if answer.id else ''
    count = f'{len(statuses)} {"test" if len(statuses) == 1 else "tests"}'
    verdict(found, f'{whom}{"passed" if passed else "failed"}, {count}')


if __name__ == '__main__':
    main()
