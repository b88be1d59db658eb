# SPDX-License-Identifier: Apache-2.0
"""The body of a request for a token: parameters as a form or as JSON (RFC 6749, section 3.2)."""

from typing import Any, TypeVar
from urllib.parse import parse_qsl

from gateway_node.access.session_errors import TokenRequestInvalid
from gateway_node.http_server.bodies import JsonBody
from gateway_node.http_server.errors import (
    BodyTooLarge,
    ClientSilent,
    ClientSlow,
    InvalidParameter,
    InvalidRequest,
    MediaTypeWrong,
)
from gateway_node.http_server.media_types import FORM, JSON
from gateway_node.http_server.reading import content_of, IncomingBody, json_object
from gateway_node.http_server.takes import taken_by

T = TypeVar('T')

_MAX_FORM_BYTES = 16 * 1024
_MAX_PARAMETERS = 32


class TokenBody(JsonBody[T]):
    """Parameters, each a text; what is not known is ignored, and an empty one is not there.

    That is what the RFC wants, and so is the answer to whatever is wrong: TokenRequestInvalid.
    """

    other_media_types = (FORM,)
    errors = (TokenRequestInvalid, MediaTypeWrong, BodyTooLarge, ClientSilent, ClientSlow)

    async def read(self, body: IncomingBody) -> T:
        """Return the parameters."""
        try:
            given = await _form(body) if body.request.content_type == FORM else await _json(body)
            known = {each.name for each in taken_by(self.kind)}
            return self._reader.read_body(
                {name: value for name, value in given.items() if name in known and value != ''}
            )
        except (InvalidRequest, InvalidParameter) as error:
            raise TokenRequestInvalid(str(error)) from error

    def schema(self) -> dict[str, Any]:
        """Tell the parameters, beside which there may be others."""
        return super().schema() | {'additionalProperties': True}


async def _json(body: IncomingBody) -> dict[str, Any]:
    if body.request.content_type != JSON:
        raise MediaTypeWrong(body.request.content_type, f'{FORM}, {JSON}')
    return await json_object(body)


async def _form(body: IncomingBody) -> dict[str, str]:
    content = await content_of(body, _MAX_FORM_BYTES)
    try:
        pairs = parse_qsl(
            content.decode(),
            keep_blank_values=True,
            errors='strict',
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError as error:
        raise InvalidRequest(
            'the body is no form, or not UTF-8, or has too many fields'
        ) from error
    given = dict(pairs)
    if len(given) < len(pairs):
        raise InvalidRequest('a parameter is given twice')
    return given
