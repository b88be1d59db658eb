# SPDX-License-Identifier: Apache-2.0
"""A node that offers a test of itself, until its stdin ends; at the first line it offers it no
more. Says `ready` once it does, `withdrawn` once it does no more."""

import sys
import threading

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from diagnostic_msgs.srv import SelfTest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor


def answer(_: SelfTest.Request, response: SelfTest.Response) -> SelfTest.Response:
    """Tell of one test that passed and one that did not."""
    response.id = 'pump 7'
    response.passed = b'\0'
    response.status = [
        DiagnosticStatus(level=DiagnosticStatus.OK, name='wiring', message='fine'),
        DiagnosticStatus(
            level=DiagnosticStatus.ERROR,
            name='pressure',
            message='too low',
            values=[KeyValue(key='bar', value='0.4')],
        ),
    ]
    return response


def main() -> None:
    """Offer the service, spin beside it, and do what stdin says."""
    name, namespace = sys.argv[1:]
    context = Context()
    rclpy.init(args=[], context=context)
    node = rclpy.create_node(name, namespace=namespace, context=context)
    service = node.create_service(SelfTest, '~/self_test', answer)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin)
    spinning.start()

    def withdraw() -> None:
        node.destroy_service(service)
        sys.stdout.write('withdrawn\n')
        sys.stdout.flush()

    sys.stdout.write('ready\n')
    sys.stdout.flush()
    if sys.stdin.readline():
        executor.create_task(withdraw)
        sys.stdin.readline()
    context.try_shutdown()
    spinning.join()


if __name__ == '__main__':
    main()
