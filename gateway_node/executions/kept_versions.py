# SPDX-License-Identifier: Apache-2.0
"""Which versions of scripts are kept: whoever looks at an execution may want to see what ran."""

from collections.abc import Container
import logging

from gateway_node.executions.errors import StoreUnavailable
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.scripts.values import EVERY_VERSION

_log = logging.getLogger(__name__)


async def versions_to_keep(
    store: ExecutionStore, script_id: str, *, needed: frozenset[str] = frozenset()
) -> Container[str]:
    """Return the versions of a script that executions name, and those that are needed besides.

    All of them where that is not known at the moment, or a store that was set aside may know more.
    """
    if store.may_have_forgotten:
        return EVERY_VERSION
    try:
        return needed | (await store.versions_named(script_id)).keys()
    except StoreUnavailable as error:
        _log.warning('old versions of %s stay for now: %s', script_id, error)
        return EVERY_VERSION
