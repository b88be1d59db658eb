# SPDX-License-Identifier: Apache-2.0
"""What the handlers call, handed to them through the application."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
import time
from typing import Any

from gateway_node.access.audit_trail import AuditTrail
from gateway_node.access.authentication import Authentication
from gateway_node.access.locks import Locks
from gateway_node.access.rates import Rates, RateSettings
from gateway_node.access.seen_entities import SeenEntities
from gateway_node.access.seen_scripts import SeenScripts
from gateway_node.access.sessions import Sessions
from gateway_node.callbacks.callback_service import Callbacks
from gateway_node.clock import Clock
from gateway_node.evidence.kept_evidence import Evidence
from gateway_node.executions.event_pages import EventPages
from gateway_node.executions.many import Many
from gateway_node.executions.once_only import OnceOnly
from gateway_node.executions.proximity import NoProximityCheck, ProximityCheck
from gateway_node.executions.questions import Questions
from gateway_node.executions.scanned_statistics import Statistics
from gateway_node.executions.scopes import Scope
from gateway_node.executions.script_changes import ScriptChanges
from gateway_node.executions.service import ExecutionService
from gateway_node.executions.streams import Streams
from gateway_node.http_server.forwarding import TrustedProxies
from gateway_node.http_server.stream_places import StreamPlaces, StreamSettings
from gateway_node.triggers.firing import Triggers
from gateway_node.triggers.instance_service import Instances

API_VERSION = 'v1'
SOVD_VERSION = '1.0.0'
"""The version of SOVD (ISO 17978-3) whose style the API follows."""


def api_base(path_prefix: str) -> str:
    """Return the API's base path below a prefix."""
    return f'{path_prefix}/api/{API_VERSION}'


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a body may take, which holds a connection, a file and memory meanwhile."""

    silence_sec: float = 30.0
    """How long nothing may come."""
    grace_sec: float = 60.0
    """How long all of it may take at any rate."""
    bytes_per_sec: float = 1024.0
    """What must come on average beyond that."""

    def left_sec(self, received: int, waited_sec: float) -> float:
        """Return how long the rest may be waited for, after a wait for what was received."""
        return self.grace_sec + received / self.bytes_per_sec - waited_sec


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that the handlers may call."""

    directory: SeenEntities
    library: SeenScripts
    script_changes: ScriptChanges
    executions: ExecutionService
    questions: Questions
    once_only: OnceOnly
    many: Many
    statistics: Statistics
    event_pages: EventPages
    evidence: Evidence
    streams: Streams
    callbacks: Callbacks
    locks: Locks
    instances: Instances
    triggers: Triggers
    versions: Mapping[str, str]
    """What /health shows of software, `gateway` and `sqlite` among them."""
    conditions: Callable[[], Awaitable[Mapping[str, Any]]]
    """What other rooms show in /health, in JSON values; `warnings` is a list of sentences."""
    clock: Clock
    started: float
    """The monotonic time at which the gateway was assembled."""
    own_names: frozenset[str]
    """The host names under which the gateway answers, addresses aside; see `origins.own_names`."""
    authentication: Authentication = field(default_factory=Authentication)
    rates: Rates = field(default_factory=lambda: Rates(RateSettings(), time.monotonic))
    sessions: Sessions | None = None
    """Of clients that ask for tokens; None where none are configured."""
    open_probes: bool = True
    """Whether strangers are answered that the gateway lives, and which API it has."""
    proximity: ProximityCheck = field(default_factory=NoProximityCheck)
    audit: AuditTrail | None = None
    """None where it is turned off."""
    patience: Patience = Patience()
    stream_places: StreamPlaces = field(default_factory=lambda: StreamPlaces(StreamSettings()))
    path_prefix: str = ''
    """In front of every path, without a trailing slash."""
    speaks_tls: bool = False
    """Whether clients come over TLS."""
    allowed_origins: tuple[str, ...] = ()
    """Of pages elsewhere that may use this gateway, as browsers write them."""
    trusted_proxies: TrustedProxies = field(default_factory=TrustedProxies)
    """Those that may say who sends a request, and what goes before `path_prefix` for them."""

    @property
    def base(self) -> str:
        """The API's base path."""
        return api_base(self.path_prefix)

    def seen_by(self, scope: Scope) -> 'Services':
        """Return what the handlers may call for who may look no further than a scope.

        Nothing that is found there is beyond; what changes something asks its actor.
        """
        if scope.is_everything:
            return self
        return replace(
            self,
            directory=self.directory.seen_by(scope),
            library=self.library.seen_by(scope),
            questions=self.questions.seen_by(scope),
            many=self.many.seen_by(scope),
            statistics=self.statistics.seen_by(scope),
            event_pages=self.event_pages.seen_by(scope),
        )
