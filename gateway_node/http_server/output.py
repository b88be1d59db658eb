# SPDX-License-Identifier: Apache-2.0
"""The output of an execution, as lines and as text."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from gateway_node.clock import rfc3339
from gateway_node.executions.output_lines import OutputLine, OutputStream, UnfinishedLine
from gateway_node.executions.output_pages import line_moment, LinesWanted, OutputPage
from gateway_node.executions.values import Execution
from gateway_node.http_server.calls import Answer, Call, TextPart
from gateway_node.http_server.errors import InvalidParameter
from gateway_node.http_server.execution_columns import execution_href
from gateway_node.http_server.fields import Choice, Flag, Integer
from gateway_node.http_server.media_types import accepts, JSON, TEXT
from gateway_node.http_server.parts import entity_tag, OfPart
from gateway_node.http_server.plain_text import plain, plain_bytes
from gateway_node.http_server.representations import Json
from gateway_node.http_server.subjects import ByExecutionId, NamesExecution, OfExecution
from gateway_node.http_server.takes import query

DEFAULT_LINES = 100
MAX_LINES = 1000
MAX_LINE_NUMBER = 2**53 - 1
"""What every client of JSON can hold."""
MAX_TAIL = 1_000_000


@dataclass(frozen=True, kw_only=True)
class OutputWanted(OfPart):
    """Takes what is wanted of an output."""

    stream: OutputStream | None = query(Choice(OutputStream), default=None)
    plain: bool = query(Flag(), default=False)
    limit: int | None = query(Integer(-MAX_LINES, MAX_LINES, nonzero=True), default=None)
    number_exclusive: int | None = query(Integer(0, MAX_LINE_NUMBER), default=None)
    tail: int | None = query(Integer(1, MAX_TAIL), default=None)
    download: bool = query(Flag(), default=False)
    accept: str = accepts(JSON, TEXT)

    @property
    def is_text(self) -> bool:
        """Whether text is wanted; a link in a page cannot say so by `Accept`."""
        return self.accept == TEXT or self.download or self.tail is not None


@dataclass(frozen=True, kw_only=True)
class NamesOutput(OutputWanted, NamesExecution):
    """Takes an execution, and what is wanted of its output."""


@dataclass(frozen=True, kw_only=True)
class OfOutput(OfExecution, NamesOutput):
    """Takes an execution of a script, and what is wanted of its output."""


@dataclass(frozen=True, kw_only=True)
class ByOutputId(ByExecutionId, NamesOutput):
    """Takes an execution, whatever it is of, and what is wanted of its output."""


async def show_output(call: Call[NamesOutput, None]) -> Answer:
    """Show the output of an execution, while it runs and after.

    As a list of lines: a positive limit follows the number upwards or begins at the oldest, a
    negative one precedes it or begins at the newest. As text with `Accept: text/plain`, `tail` or
    `download`, also in parts.
    """
    wanted, questions = call.at, call.services.questions
    execution = await wanted.execution(questions)
    if wanted.is_text:
        return Answer(body=await _text(call, execution, wanted))
    limit = DEFAULT_LINES if wanted.limit is None else wanted.limit
    page = await questions.output_page(
        execution,
        LinesWanted(limit=limit, reference=wanted.number_exclusive, stream=wanted.stream),
    )
    # In a thread: a line may be long, and a regular expression is gone through.
    body = await asyncio.to_thread(_lines, page, execution, plain if wanted.plain else str)
    if page.next is not None:
        body['next'] = _href(call.base, execution, wanted, limit, page.next)
    return Answer(body=body)


async def _text(
    call: Call[NamesOutput, None], execution: Execution, wanted: OutputWanted
) -> TextPart:
    _check_no_list(wanted)
    content = await call.services.questions.output_text(execution.id, wanted.stream)
    content, tag = await asyncio.to_thread(_shaped, content, wanted)
    of_stream = f'-{wanted.stream.value}' if wanted.stream else ''
    return TextPart(
        content=content,
        tag=tag,
        asked=wanted,
        file_name=f'{execution.id}{of_stream}.txt' if wanted.download else None,
    )


def _check_no_list(wanted: OutputWanted) -> None:
    names = [name for name in ('limit', 'number_exclusive') if getattr(wanted, name) is not None]
    if names:
        reason = 'is for a list of lines; of text there is tail, and Range'
        raise InvalidParameter.of_query(*((name, reason) for name in names))


def _shaped(content: bytes, wanted: OutputWanted) -> tuple[bytes, str]:
    """Return the text that is wanted of one, and its validator."""
    if wanted.tail is not None:
        content = _last_lines(content, wanted.tail)
    if wanted.plain:
        content = plain_bytes(content)
    return content, entity_tag(content)


def _last_lines(content: bytes, count: int) -> bytes:
    begin = len(content) - content.endswith(b'\n')
    for _ in range(count):
        begin = content.rfind(b'\n', 0, begin)
        if begin < 0:
            return content
    return content[begin + 1 :]


def _lines(page: OutputPage, execution: Execution, shown: Callable[[str], str]) -> Json:
    def line(said: OutputLine | UnfinishedLine) -> Json:
        known = {
            'stream': said.stream.value,
            'time': rfc3339(line_moment(said, execution)),
            'text': shown(said.text),
        }
        return known if said.whole else known | {'whole': False}

    return {
        'items': [{'number': each.number} | line(each) for each in page.lines],
        'dropped': [{'first': gap.first, 'last': gap.last} for gap in page.dropped],
        'unfinished': [line(each) for each in page.unfinished],
        'last': page.last,
    }


def _href(
    base: str, execution: Execution, wanted: OutputWanted, limit: int, reference: int
) -> str:
    names = {'limit': str(limit), 'number_exclusive': str(reference)}
    if wanted.stream is not None:
        names['stream'] = wanted.stream.value
    if wanted.plain:
        names['plain'] = 'true'
    return f'{execution_href(base, execution)}/output?{urlencode(names)}'
