# SPDX-License-Identifier: Apache-2.0
"""What an archive of evidence is made of, within its bound. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

SUMMARY = 'summary.json'
"""The part that tells of all others."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A file of an archive."""

    name: str
    """Names with slashes between."""
    content: bytes
    may_be_cut: bool = False
    """Whether its end says something without its beginning: a line does."""
    cut_bytes: int = 0
    """That were at its beginning."""


@dataclass(frozen=True, kw_only=True)
class KeptEvidence:
    """An archive that is kept."""

    size: int
    """Bytes."""
    digest: str
    """Of its content; hexadecimal digits."""
    summary: bytes
    """The part SUMMARY."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What is kept of what was to be."""

    parts: tuple[Part, ...]
    left_out: tuple[tuple[str, int], ...]
    """Names and sizes of what there is no room for."""


def fitted(parts: Iterable[Part], max_bytes: int) -> Fitted:
    """Return what of these, the most important first, takes no more than a bound.

    What may be cut and does not fit is cut at a line.
    """
    kept: list[Part] = []
    left_out: list[tuple[str, int]] = []
    left = max_bytes
    for part in parts:
        fits = part if len(part.content) <= left else _end_of(part, left)
        if fits is None:
            left_out.append((part.name, len(part.content)))
        else:
            left -= len(fits.content)
            kept.append(fits)
    return Fitted(parts=tuple(kept), left_out=tuple(left_out))


def _end_of(part: Part, max_bytes: int) -> Part | None:
    """Return the last lines of a part that fit; None where that is not even one."""
    begin = len(part.content) - max_bytes
    line_end = part.content.find(b'\n', begin - 1)
    if not part.may_be_cut or not 0 <= line_end < len(part.content) - 1:
        return None
    return replace(part, content=part.content[line_end + 1 :], cut_bytes=line_end + 1)
