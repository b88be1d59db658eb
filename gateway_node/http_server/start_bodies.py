# SPDX-License-Identifier: Apache-2.0
"""What clients say to start executions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
import datetime
from typing import Any

from gateway_node.document_fields import MIN_TIMEOUT_SEC
from gateway_node.executions.confirmations import Confirmed
from gateway_node.executions.starts import RUNS_NOW, StartRequest
from gateway_node.executions.values import ExecutionType
from gateway_node.http_server.errors import InvalidParameter
from gateway_node.http_server.fields import (
    Arguments,
    Choice,
    ExecutionId,
    Field,
    Flag,
    Integer,
    JsonObject,
    Number,
    refused,
    shown,
    Text,
)
from gateway_node.http_server.query_fields import Moment
from gateway_node.http_server.takes import member, optional
from gateway_node.scripts.arguments import MAX_ARGUMENT_BYTES, MAX_ARGUMENTS, MAX_PARAMETERS
from gateway_node.scripts.values import DEFAULT_PRIORITY, MAX_PRIORITY
from gateway_node.violations import Violation

MAX_TIMEOUT_SEC = 31_536_000.0
"""As long as `scripts.default_timeout_sec` may be; what a script allows is shorter."""

PRIORITY = Integer(0, MAX_PRIORITY)
MIN_EXPIRY_SEC = 0.01
MAX_EXPIRY_SEC = 31_536_000.0

PARAMETERS = JsonObject(max_names=MAX_PARAMETERS)
ARGUMENTS = Arguments(max_items=MAX_ARGUMENTS, max_bytes=MAX_ARGUMENT_BYTES)


class Confirmation(Field[Confirmed]):
    """True, or the text that is confirmed."""

    def read(self, value: object) -> Confirmed:
        """Return it."""
        if not isinstance(value, (bool, str)):
            raise refused(f'is {shown(value)}; allowed: true, false, or what is confirmed')
        return value

    def schema(self) -> dict[str, Any]:
        """Tell both forms."""
        return {'type': ['boolean', 'string']}


@dataclass(frozen=True, kw_only=True)
class StartOptions:
    """What a client may say with any start, beside what the script is given."""

    confirmed: Confirmed = optional(Confirmation(), default=False)
    proximity_response: str | None = optional(Text(), default=None)
    timeout_sec: float | None = optional(Number(MIN_TIMEOUT_SEC, MAX_TIMEOUT_SEC), default=None)
    priority: int = optional(PRIORITY, default=DEFAULT_PRIORITY)
    queue: bool = optional(Flag(), default=True)
    expires_in_sec: float | None = optional(Number(MIN_EXPIRY_SEC, MAX_EXPIRY_SEC), default=None)
    expires_at: datetime.datetime | None = optional(Moment(), default=None)
    callback: str | None = optional(Text(), default=None)

    def request(
        self,
        execution_type: ExecutionType,
        *,
        parameters: Mapping[str, Any],
        arguments: tuple[str, ...],
    ) -> StartRequest:
        """Return the wish that it makes, with what the script is given; InvalidParameter where
        parts of it do not go together."""
        self._check_expiry(execution_type)
        return StartRequest(
            execution_type=execution_type,
            parameters=parameters,
            arguments=arguments,
            timeout_sec=self.timeout_sec,
            priority=self.priority,
            queue=self.queue,
            confirmed=self.confirmed,
            proximity_response=self.proximity_response,
            expires_in_sec=self.expires_in_sec,
            expires_at=self.expires_at,
            callback=self.callback,
        )

    def _check_expiry(self, execution_type: ExecutionType) -> None:
        names = [each for each in ('expires_at', 'expires_in_sec') if getattr(self, each)]
        if len(names) > 1:
            reason = 'does not go with expires_in_sec; allowed: one of them'
        elif names and execution_type not in RUNS_NOW:
            allowed = ', '.join(sorted(each.value for each in RUNS_NOW))
            reason = f"is given with execution_type '{execution_type.value}'; allowed: {allowed}"
        else:
            return
        violation = Violation(path=f'/body/{names[0]}', reason=reason)
        raise InvalidParameter(f'{names[0]} {reason}', (violation,))


@dataclass(frozen=True, kw_only=True)
class RetryBody(StartOptions):
    """What a client says to start an execution again; what it is given is the same by default."""

    parameters: Mapping[str, Any] | None = optional(PARAMETERS, default=None)
    arguments: tuple[str, ...] | None = optional(ARGUMENTS, default=None)

    def over(self, wish: StartRequest) -> StartRequest:
        """Return a wish with what is said otherwise."""
        given = self.request(
            wish.execution_type,
            parameters=wish.parameters if self.parameters is None else self.parameters,
            arguments=wish.arguments if self.arguments is None else self.arguments,
        )
        return replace(
            given, again=wish.again, secrets=wish.secrets if self.parameters is None else ()
        )


@dataclass(frozen=True, kw_only=True)
class StartBody(StartOptions):
    """What a client says to start an execution."""

    execution_type: ExecutionType = member(Choice(ExecutionType))
    parameters: Mapping[str, Any] = optional(PARAMETERS, default={})
    arguments: tuple[str, ...] = optional(ARGUMENTS, default=())
    parent: str | None = optional(ExecutionId(), default=None)

    def start(self) -> StartRequest:
        """Return the wish that it makes; InvalidParameter where a child is to be a schedule."""
        if self.parent is not None and self.execution_type is not ExecutionType.NOW:
            allowed = f"allowed: with execution_type '{ExecutionType.NOW.value}'"
            reason = f"is given with execution_type '{self.execution_type.value}'; {allowed}"
            violation = Violation(path='/body/parent', reason=reason)
            raise InvalidParameter(f'parent {reason}', (violation,))
        wish = self.request(
            self.execution_type, parameters=self.parameters, arguments=self.arguments
        )
        return replace(wish, parent=self.parent)
