# SPDX-License-Identifier: Apache-2.0
"""The page on which a description is read and tried: Swagger UI, from this gateway alone.

The files lie in `pages/`, those of others as they were published. They are read when a page is
asked for, and never before.
"""

from dataclasses import dataclass
import enum
import html
from importlib import resources
from pathlib import PurePosixPath
from string import Template

from gateway_node.http_server.calls import Document
from gateway_node.http_server.fields import Segment
from gateway_node.http_server.media_types import HTML
from gateway_node.http_server.parts import entity_tag, OfKnown
from gateway_node.http_server.takes import path
from gateway_node.threads import Threads

_SWAGGER_UI = 'swagger-ui-dist'
_MEDIA_TYPES = {'.js': 'text/javascript', '.css': 'text/css'}
_HEADERS = {
    'Content-Security-Policy': (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
"""So that nothing runs that is not one of the files, and nothing is sent to anybody else."""


class PageFile(enum.Enum):
    """What the page consists of, by the names under which it is served."""

    BUNDLE = 'swagger-ui-bundle.js'
    """Swagger UI."""
    STYLE = 'swagger-ui.css'
    """How it looks."""
    BOOTSTRAP = 'docs.js'
    """What starts it: ours, for no script stands in the page."""
    OWN_STYLE = 'docs.css'
    """What it looks like around it."""


@dataclass(frozen=True, kw_only=True)
class OfFile(OfKnown):
    """Takes a file of the page."""

    file: PageFile = path(Segment(PageFile))


class DocsPage:
    """Reads the page and its files."""

    def __init__(self) -> None:
        self._threads = Threads('docs', 1)

    async def page(self, base: str, title: str) -> Document:
        """Return the page of whatever is described where it is asked for."""
        template = await self._threads.run(_read, 'docs.html')
        content = Template(template.decode()).substitute(
            title=html.escape(title), files=html.escape(f'{base}/docs')
        )
        return Document(content=content.encode(), media_type=HTML, headers=_HEADERS)

    async def file(self, at: OfFile) -> Document:
        """Return a file of it."""
        return await self._threads.run(_file, at)


def _file(at: OfFile) -> Document:
    file = at.file
    of_others = file in (PageFile.BUNDLE, PageFile.STYLE)
    content = _read(_SWAGGER_UI, file.value) if of_others else _read(file.value)
    return Document(
        content=content,
        media_type=_MEDIA_TYPES[PurePosixPath(file.value).suffix],
        tag=entity_tag(content),
        headers=_HEADERS,
    )


def _read(*name: str) -> bytes:
    return resources.files(__package__).joinpath('pages', *name).read_bytes()
