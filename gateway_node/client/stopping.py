# SPDX-License-Identifier: Apache-2.0
"""Stopping several executions at a time: one that resists is answered after a second."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from gateway_node.client.errors import Conflict, GatewayError, NotFound
from gateway_node.client.values import Execution

_AT_ONCE = 8


def stop_each(
    execution_ids: Iterable[str], stop: Callable[[str], Execution]
) -> Sequence[Execution]:
    """Stop those that are open; return them as they stood then.

    Where one cannot be stopped, all others are, and then its error is raised.
    """

    def stopped(execution_id: str) -> Execution | GatewayError | None:
        try:
            return stop(execution_id)
        except (Conflict, NotFound):
            return None
        except GatewayError as error:
            return error

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        results = list(pool.map(stopped, execution_ids))
    for result in results:
        if isinstance(result, GatewayError):
            raise result
    return [each for each in results if isinstance(each, Execution)]
