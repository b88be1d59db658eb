# SPDX-License-Identifier: Apache-2.0
"""Handlers of callbacks: what an execution's end was told to, and what is told."""

from gateway_node.callbacks.values import Callback
from gateway_node.clock import rfc3339
from gateway_node.executions.documents import present
from gateway_node.executions.questions import Questions
from gateway_node.http_server.calls import Answer, Call
from gateway_node.http_server.executions import detail_body
from gateway_node.http_server.representations import Json
from gateway_node.http_server.services import Services
from gateway_node.http_server.subjects import NamesExecution

_PATIENCE_SEC = 10.0
"""Seconds in which an end that is on record is settled."""


async def show_callback(call: Call[NamesExecution, None]) -> Answer:
    """Tell how the callback of an execution stands."""
    execution = await call.at.execution(call.services.questions)
    callback = await call.services.callbacks.state(execution)
    return Answer(body=_callback(call.services, callback))


async def send_callback(call: Call[NamesExecution, None]) -> Answer:
    """Send the callback of an execution that has ended again, or now.

    It is on record when this is answered, and tried for another day of time up.
    """
    execution = await call.at.execution(call.services.questions)
    callback = await call.services.callbacks.send_again(execution, actor=call.actor)
    return Answer(body=_callback(call.services, callback))


def _callback(services: Services, callback: Callback) -> Json:
    at = callback.last_attempt_at
    next_sec = services.callbacks.next_attempt_in_sec(callback)
    return present(
        {
            'url': callback.url,
            'status': callback.status.value,
            'attempts': callback.attempts,
            'last_attempt_at': None if at is None else rfc3339(at),
            'next_attempt_in_sec': None if next_sec is None else round(next_sec, 3),
            'last_status': callback.last_status,
            'last_error': callback.last_error,
        }
    )


class AnsweredEnds:
    """What callbacks tell: the `EndDocuments` of the API."""

    def __init__(self, questions: Questions, base: str) -> None:
        """Take what knows of executions, and what goes in front of every href."""
        self._questions = questions
        self._base = base

    async def document(self, execution_id: str) -> bytes:
        """Return an ended execution as its GET answers it."""
        execution = await self._questions.get_by_id(execution_id)
        # Just on record, not all of its output may be where it stays.
        await self._questions.ended_within(execution, _PATIENCE_SEC)
        detail = await self._questions.detail_by_id(execution_id)
        is_outdated, has_content = await self._questions.version_now(detail)
        return detail_body(self._base, detail, is_outdated=is_outdated, has_content=has_content)
