# SPDX-License-Identifier: Apache-2.0
"""The composition root: brings the assembled rooms and ROS together, serves, and ends.

asyncio owns the main thread and the signals; the ROS node has a thread of its own.
"""

import asyncio
import gc
import logging
import os
import secrets
import socket
import sys

from gateway_node.access.errors import AnonymousAccessUnwanted, FileInvalid
from gateway_node.assembly import assemble, NodeSide
from gateway_node.before_start import StartRefused
from gateway_node.clock import SystemClock
from gateway_node.executions.errors import RunnerUnavailable, StoreUnavailable
from gateway_node.http_server.addresses import ListenFailed
from gateway_node.http_server.errors import CertificatesInvalid
from gateway_node.http_server.execution_columns import execution_href
from gateway_node.http_server.services import api_base
from gateway_node.manifest_files import ManifestInvalid
from gateway_node.ros.errors import ConfigurationInvalid, RosUnavailable
from gateway_node.ros.logging_bridge import logging_to
from gateway_node.ros.namesakes import Namesakes
from gateway_node.ros.node import GatewayNode
from gateway_node.ros.queued_logging import StderrHandler, unblock_output
from gateway_node.ros.start_deadline import start_deadline
from gateway_node.ros.unseen_nodes import UnseenNodes
from gateway_node.ros.versions import rmw_identifier, ros_distribution
from gateway_node.scripts.errors import LibraryUnavailable, SchemaCheckUnavailable
from gateway_node.side_tasks import SideTaskFailed, SideTasks
from gateway_node.signals import EndSignals
from gateway_node.start_files import FileSilent
from gateway_node.storage.errors import StateDirectoryInUse, StoreVersionError
from gateway_node.storage.private import UMASK

_log = logging.getLogger(__name__)

START_DEADLINE_SEC = 30.0
"""Seconds in which the node must stand in the graph; a DDS library can hang there."""

MISCONFIGURATIONS = (
    AnonymousAccessUnwanted,
    CertificatesInvalid,
    ConfigurationInvalid,
    FileInvalid,
    ManifestInvalid,
    StoreVersionError,
)
"""What stops every start with one line, until somebody changes something."""
START_ERRORS = (
    *MISCONFIGURATIONS,
    FileSilent,
    LibraryUnavailable,
    ListenFailed,
    RunnerUnavailable,
    SchemaCheckUnavailable,
    StateDirectoryInUse,
    StoreUnavailable,
)
"""What stops the start with one line."""


def main(*, ends_with_terminal: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; StartRefused or SystemExit, one line, where the start fails.

    The end of the controlling terminal counts as such a signal where it `ends_with_terminal`.
    """
    os.umask(UMASK)
    unblock_output()
    logging.basicConfig(level=logging.INFO, handlers=[StderrHandler()])
    try:
        with start_deadline(START_DEADLINE_SEC):
            node = GatewayNode.create(sys.argv[1:])
    except ConfigurationInvalid as error:
        raise StartRefused(str(error)) from error
    except RosUnavailable as error:
        sys.exit(f'gateway_node: {error}')
    try:
        with logging_to(node.logger):
            asyncio.run(_serve(node, ends_with_terminal=ends_with_terminal))
    except MISCONFIGURATIONS as error:
        raise StartRefused(str(error)) from error
    except (*START_ERRORS, SideTaskFailed) as error:
        sys.exit(f'gateway_node: {error}')
    finally:
        node.stop()


async def _serve(node: GatewayNode, *, ends_with_terminal: bool) -> None:
    signals = EndSignals(ends_with_terminal=ends_with_terminal)
    try:
        await _serve_until(signals, node)
    except asyncio.CancelledError:
        if not signals.end.is_set():
            raise
        _log.info('ended before it served')
    finally:
        signals.close()


async def _serve_until(signals: EndSignals, node: GatewayNode) -> None:
    configuration = node.configuration()
    side_tasks = SideTasks()
    clock = SystemClock()
    unseen_nodes = UnseenNodes(
        rmw=rmw_identifier(),
        domain_id=node.domain_id,
        user_id=os.geteuid(),
        monotonic=clock.monotonic,
    )
    robot_values = node.create_robot_values()
    node_side = NodeSide(
        name=node.name,
        versions={'ros_distribution': ros_distribution(), 'rmw': rmw_identifier()},
        unseen_nodes=unseen_nodes,
        namesakes=Namesakes(node.name),
        robot_values=robot_values,
        robot_witness=node.create_robot_witness(robot_values),
        code_display=node.create_proximity_topic(os.environ),
    )
    # Of this process alone: robots can have one hostname, and gateways of one host one name.
    instance = f'{socket.gethostname()}-{secrets.token_hex(3)}'
    async with assemble(
        configuration,
        node_side,
        instance=instance,
        clock=clock,
        side_tasks=side_tasks,
    ) as gateway:
        # What is there now stays; without it the collector has hardly anything to look through.
        gc.freeze()
        gc.enable()
        base = api_base(configuration.server.path_prefix)
        topic = node.create_status_topic(
            path_of=lambda execution: execution_href(base, execution),
            component_of=gateway.component_of,
            gateway=instance,
        )
        await topic.follow(gateway.ledger)
        # The addresses first: where they are taken, no schedule may have started anything.
        urls = await gateway.bind(configuration.server.host, configuration.server.port)
        try:
            await gateway.open()
            node.start(asyncio.get_running_loop(), gateway.on_graph)
            gateway.start_schedules()
            gateway.runner.warm_up()
            for url in urls:
                _log.info('serving %s%s', url, base)
            signals.started(
                gateway.runner.refresh_environment,
                gateway.reload_manifests,
                gateway.read_access_anew,
                gateway.read_certificates_anew,
            )
            await _end_asked(signals, side_tasks)
            _log.info('shutting down')
        finally:
            await gateway.close(signals.kill)


async def _end_asked(signals: EndSignals, side_tasks: SideTasks) -> None:
    """Wait for a signal; SideTaskFailed where the gateway does not work any more."""
    end = asyncio.create_task(signals.end.wait())
    failure = asyncio.create_task(side_tasks.failure())
    try:
        await asyncio.wait({end, failure}, return_when=asyncio.FIRST_COMPLETED)
        if failure.done():
            raise failure.result()
    finally:
        end.cancel()
        failure.cancel()
