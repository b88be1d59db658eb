"""What every request has to pass, whatever its route: before that, no byte of its body is read."""

from aiohttp import hdrs, HttpVersion11, web
from aiohttp.typedefs import Handler

from gateway_node.http_server.errors import BodyEncoded, ExpectationUnknown


@web.middleware
async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what no route takes; ask for the body where a client waits for that."""
    _check_coding(request)
    await _meet_expectation(request)
    return await handler(request)


async def leave_expectation(request: web.Request) -> None:
    """Do nothing about `Expect` yet: aiohttp calls this before the middlewares."""


def _check_coding(request: web.Request) -> None:
    """Raise BodyEncoded where the body is compressed (RFC 9110, section 8.4): none is inflated."""
    codings = ','.join(request.headers.getall(hdrs.CONTENT_ENCODING, ()))
    if any(coding.strip().lower() not in ('', 'identity') for coding in codings.split(',')):
        raise BodyEncoded(codings)


async def _meet_expectation(request: web.Request) -> None:
    """Say that the body may come; ExpectationUnknown where something else is expected.

    RFC 9110, section 10.1.1; HTTP/1.0 has no expectations.
    """
    expectation = request.headers.get(hdrs.EXPECT)
    if expectation is None or request.version < HttpVersion11:
        return
    if expectation.lower() != '100-continue':
        raise ExpectationUnknown(expectation)
    await request.writer.write(b'HTTP/1.1 100 Continue\r\n\r\n')
    # aiohttp takes an answer with any output for begun.
    request.writer.output_size = 0
