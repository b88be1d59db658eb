# SPDX-License-Identifier: Apache-2.0
"""The assembled gateway beside a test that is not asynchronous, as clients are."""

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
import contextlib
from pathlib import Path
import threading

from assembled_gateway import bound_gateway
from waiting import DEADLINE_SEC

from gateway_node.entities.values import GraphSnapshot, NodeName

ENTITY = 'apps/temp_sensor'
_GRAPH = GraphSnapshot(
    nodes=frozenset({NodeName(namespace='/powertrain/engine', name='temp_sensor')})
)


@contextlib.contextmanager
def gateway_in_a_thread(
    state_dir: Path, parameters: Mapping[str, object] | None = None
) -> Iterator[str]:
    """Serve a gateway whose graph holds ENTITY, in a thread of its own; yield `host:port`."""
    address: Future[str] = Future()
    loop, over = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with bound_gateway(state_dir, parameters=parameters) as (gateway, client):
            await gateway.open()
            gateway.on_graph(_GRAPH)
            gateway.start_schedules()
            assert client._base_url is not None
            address.set_result(client._base_url.authority)
            await over.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            try:
                runner.run(serve())
            except BaseException as error:
                if address.done():
                    raise
                address.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield address.result(DEADLINE_SEC)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(DEADLINE_SEC)
    assert not thread.is_alive()
