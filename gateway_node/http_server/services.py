"""What the handlers call, handed to them through the application."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway_node.entities.directory import EntityDirectory
from gateway_node.executions.service import ExecutionService
from gateway_node.scripts.library import ScriptLibrary

API_VERSION = 'v1'


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that the handlers may call."""

    directory: EntityDirectory
    library: ScriptLibrary
    executions: ExecutionService
    health: Callable[[], Awaitable[Mapping[str, Any]]]
    """Returns the body of /health."""
    gateway_version: str
    path_prefix: str = ''
    """In front of every path, without a trailing slash."""

    @property
    def base(self) -> str:
        """The API's base path."""
        return f'{self.path_prefix}/api/{API_VERSION}'


SERVICES = web.AppKey('services', Services)


def services(request: web.Request) -> Services:
    """Return the services of the application that got this request."""
    return request.app[SERVICES]
