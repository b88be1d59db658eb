# SPDX-License-Identifier: Apache-2.0
"""What was started and may have to be stopped."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
import threading

from gateway_node.client.errors import Conflict, GatewayError, NotFound
from gateway_node.client.values import Execution

_STOPS_AT_ONCE = 8
"""A stop is answered after up to a second."""


class Started:
    """Executions that were started and not seen to have ended. Threads may share it."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._lock = threading.Lock()

    def add(self, execution: Execution) -> Execution:
        """Take what was started, with the schedule that came with it; return it."""
        schedule = execution.fields.get('schedule')
        with self._lock:
            self._ids.add(execution.id)
            if schedule is not None:
                self._ids.add(str(schedule).rpartition('/')[2])
        return execution

    def see(self, execution: Execution) -> Execution:
        """Take note of how an execution stands, whoever started it; return it."""
        if execution.has_ended:
            with self._lock:
                self._ids.discard(execution.id)
        return execution

    def stop_all(self, stop: Callable[[str], Execution]) -> Sequence[Execution]:
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

        with self._lock:
            started = sorted(self._ids)
        with ThreadPoolExecutor(_STOPS_AT_ONCE) as pool:
            results = list(pool.map(stopped, started))
        for result in results:
            if isinstance(result, GatewayError):
                raise result
        with self._lock:
            self._ids.difference_update(started)
        return [each for each in results if isinstance(each, Execution)]
