# SPDX-License-Identifier: Apache-2.0
"""What a handler is given, and what it gives back: values, and nothing of aiohttp."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from gateway_node.access.authentication import Authentication
from gateway_node.executions.actors import Actor
from gateway_node.executions.stream_readers import Outlet
from gateway_node.http_server.parts import OfKnown, OfPart
from gateway_node.http_server.representations import Json
from gateway_node.http_server.services import Services
from gateway_node.http_server.stream_places import StreamPlaces
from gateway_node.http_server.targets import Target
from gateway_node.scripts.content import Content
from gateway_node.scripts.values import Script

At_co = TypeVar('At_co', covariant=True)
Body_co = TypeVar('Body_co', covariant=True)


class Description(Protocol):
    """What is served, as clients are told."""

    endpoints: list[str]
    """Method and path of every route, below the base."""

    def document_below(self, base: str) -> bytes:
        """Return the OpenAPI document for who sees the API below a base, as JSON."""

    def part_below(self, base: str, path: str, script: Script | None) -> bytes:
        """Return the document of a path and what lies below it, as JSON.

        `path` is below the base, with values in place of its placeholders; of a script, starts
        are described with the parameters that it takes.
        """


@dataclass(frozen=True, kw_only=True)
class Call(Generic[At_co, Body_co]):
    """One request, read and found to be in order."""

    at: At_co
    """What its path, query and headers say, as the route takes it."""
    body: Body_co
    """What its body says; None for a route without one."""
    actor: Actor
    """Who asks; every change has it."""
    base: str
    """The API's base path, as whoever asks sees it: in front of every href of the answer."""
    target: Target
    """What it is for."""
    services: Services
    """What it may call."""
    description: Description
    """Of all routes."""


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file to be answered as it is."""

    content: Content
    file_name: str


@dataclass(frozen=True, kw_only=True)
class Document:
    """What is kept as the bytes to be answered."""

    content: bytes
    media_type: str
    tag: str | None = None
    """Its validator, where that is known already."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """That belong to it."""


@dataclass(frozen=True, kw_only=True)
class TextPart:
    """A text of which a part may do."""

    content: bytes
    """UTF-8, as far as it is text."""
    tag: str
    """Its validator."""
    asked: OfPart
    """Of it."""
    file_name: str | None
    """As which it is to be saved, where it is."""


@dataclass(frozen=True, kw_only=True)
class FilePart:
    """A file, whatever is in it, of which a part may do; to be saved, and never to be shown."""

    pieces: Callable[[int, int], AsyncIterator[bytes]]
    """Yields its bytes, from where to where. Where it raises, the connection ends in a way that
    tells that this is not all."""
    size: int
    tag: str
    """Its validator."""
    asked: OfPart
    """Of it."""
    media_type: str
    file_name: str
    """As which it is to be saved."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """What is made while it is sent, and however long."""

    pieces: AsyncIterator[bytes]
    """UTF-8. Where it raises, the connection ends in a way that tells that this is not all."""
    media_type: str
    file_name: str
    """As which it is to be saved."""


@dataclass(frozen=True, kw_only=True)
class EventStream:
    """Events, told as they happen."""

    follow: Callable[[Outlet], Coroutine[Any, Any, None]]
    """Writes them, until there are no more."""
    base: str
    """In front of every href."""
    reader: Actor
    """Whose stream it is, as long as they are let in."""
    authentication: Authentication
    """Knows how long they are."""
    places: StreamPlaces


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a handler answers."""

    body: Json | Download | Document | TextPart | FilePart | Stream | EventStream | None = None
    status: int | None = None
    """None for the route's."""
    location: str | None = None
    """The path of what came into being."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Paths by what they are to this answer (RFC 8288)."""
    asked: OfKnown | None = None
    """What the client may have of it, which it then need not be sent; None where none keeps it."""
    name: str | None = None
    """Who a stranger is, now that they have shown it."""
    replayed: bool = False
    """Whether an earlier request made what is answered."""
    preference: str | None = None
    """The one that was applied, of those that the client has (RFC 7240)."""
