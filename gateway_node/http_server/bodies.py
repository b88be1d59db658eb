# SPDX-License-Identifier: Apache-2.0
"""The kinds of bodies that a route may take, each with what it is refused for."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from gateway_node.http_server.errors import (
    BodyTooLarge,
    ClientSilent,
    ClientSlow,
    MediaTypeWrong,
)
from gateway_node.http_server.multipart_form import MultipartForm
from gateway_node.http_server.reading import IncomingBody, json_object
from gateway_node.http_server.request_reader import Reader
from gateway_node.http_server.takes import body_schema
from gateway_node.http_server.uploads import Form, FORM_ENCODING, FORM_SCHEMA

T = TypeVar('T')
T_co = TypeVar('T_co', covariant=True)


class Body(ABC, Generic[T_co]):
    """One kind of body."""

    name: str
    """Of its schema."""
    media_type: str
    other_media_types: tuple[str, ...] = ()
    """In which the same may come."""
    required: bool = True
    """Whether it must be there."""
    encoding: Mapping[str, str] = {}
    """The media types of the parts, of a body that has parts."""
    errors: tuple[type[Exception], ...] = (MediaTypeWrong, BodyTooLarge, ClientSilent, ClientSlow)
    """What reading it raises, beside what every request may be refused with."""

    @abstractmethod
    async def read(self, body: IncomingBody) -> T_co:
        """Return what the body says; raises `errors`, InvalidParameter and InvalidRequest."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""


class JsonBody(Body[T]):
    """A JSON object, as a dataclass declares its members; no body at all may stand for `{}`."""

    media_type = 'application/json'

    def __init__(self, kind: type[T], *, required: bool = True) -> None:
        self.kind = kind
        """The dataclass."""
        self.required = required
        self.name = kind.__name__
        self._reader = Reader(kind)

    async def read(self, body: IncomingBody) -> T:
        """Return the members."""
        if not self.required and not body.request.can_read_body:
            return self._reader.read_body({})
        return self._reader.read_body(await json_object(body))

    def schema(self) -> dict[str, Any]:
        """Tell the members."""
        return body_schema(self.kind)


class DocumentBody(Body[Mapping[str, Any]]):
    """A JSON object, read by whoever knows what stands in it: all that is wrong there is told
    together."""

    media_type = 'application/json'

    def __init__(self, name: str, schema: Mapping[str, Any]) -> None:
        self.name = name
        self._schema = schema

    async def read(self, body: IncomingBody) -> Mapping[str, Any]:
        """Return the object."""
        return await json_object(body)

    def schema(self) -> dict[str, Any]:
        """Tell what it is to be."""
        return dict(self._schema)


class UploadBody(Body[Form]):
    """The form of an upload, whose parts the handler reads: they are too large to be held."""

    name = 'Upload'
    media_type = 'multipart/form-data'
    encoding = FORM_ENCODING

    async def read(self, body: IncomingBody) -> Form:
        """Return the form; nothing of it is read yet, not even its type."""
        return MultipartForm(body)

    def schema(self) -> dict[str, Any]:
        """Tell the parts."""
        return FORM_SCHEMA
