# SPDX-License-Identifier: Apache-2.0
"""What programs use a gateway with: synchronous, with nothing but the standard library.

It imports nothing of the gateway, and runs where none is installed.
"""

from gateway_node.client.errors import (
    AccessDenied,
    AnswerLate,
    AnswerLost,
    AnswerNotUnderstood,
    Conflict,
    Defect,
    GatewayError,
    GatewayUnreachable,
    InvalidRequest,
    LimitReached,
    NotFound,
    NotImplementedThere,
    PreconditionNotFulfilled,
    Refused,
    StillOpen,
    TooLarge,
    Unavailable,
)
from gateway_node.client.remote_gateway import Gateway
from gateway_node.client.values import (
    Artifact,
    Dropped,
    Entity,
    Event,
    Execution,
    GenericError,
    Line,
    Progress,
    Script,
    StartOptions,
    Status,
    WaitingLine,
)

__all__ = [
    'AccessDenied',
    'AnswerLate',
    'AnswerLost',
    'AnswerNotUnderstood',
    'Artifact',
    'Conflict',
    'Defect',
    'Dropped',
    'Entity',
    'Event',
    'Execution',
    'Gateway',
    'GatewayError',
    'GatewayUnreachable',
    'GenericError',
    'InvalidRequest',
    'LimitReached',
    'Line',
    'NotFound',
    'NotImplementedThere',
    'PreconditionNotFulfilled',
    'Progress',
    'Refused',
    'Script',
    'StartOptions',
    'Status',
    'StillOpen',
    'TooLarge',
    'Unavailable',
    'WaitingLine',
]
