# SPDX-License-Identifier: Apache-2.0
"""Reads what a route takes of a request.

All that is wrong is told at once, by JSON Pointer: `/path/script_id`, `/query/limit`,
`/header/If-Match`, `/body/execution_type`.
"""

from collections.abc import Iterator, Mapping
import dataclasses
from functools import lru_cache
from typing import Any, Generic, Protocol, TypeVar

from gateway_node.http_server.errors import InvalidParameter, InvalidRequest
from gateway_node.http_server.fields import ValueRefused
from gateway_node.http_server.takes import Place, Taken, taken_by
from gateway_node.strict_json import pointer_token
from gateway_node.violations import Violation

T = TypeVar('T')

MAX_VIOLATIONS = 20
"""How many an answer names; how many there are beyond that, its message says."""
_PATHS = 64
"""Of each route, for which what they say is remembered: it never changes."""
_SHOWN = 80
"""Characters of an unknown name that an answer repeats."""


class Texts(Protocol):
    """The query or the headers of a request: names, each with one or several texts."""

    def __len__(self) -> int:
        """Tell how many texts there are."""

    def __contains__(self, key: object) -> bool:
        """Tell whether a name is given."""

    def __iter__(self) -> Iterator[str]:
        """Go through the names; as often as they are given."""

    def getall(self, key: str, default: list[str]) -> list[str]:
        """Return all texts of a name."""


class _NoTexts:
    """Neither a query nor a header."""

    def __len__(self) -> int:
        return 0

    def __contains__(self, key: object) -> bool:
        return False

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def getall(self, key: str, default: list[str]) -> list[str]:
        return default


class Reader(Generic[T]):
    """Reads the values of one dataclass."""

    def __init__(self, kind: type[T]) -> None:
        taken = taken_by(kind)
        self._kind = kind
        self._path = [each for each in taken if each.place is Place.PATH]
        in_texts = [each for each in taken if each.place in (Place.QUERY, Place.HEADER)]
        self._texts = [each for each in in_texts if not each.is_family]
        self._families = [each for each in in_texts if each.is_family]
        self._shown_names = [each.shown_name for each in taken if each.place is Place.QUERY]
        self._query_names = {each.name for each in self._texts if each.place is Place.QUERY}
        self._header_names = [each.name for each in self._texts if each.place is Place.HEADER]
        self._read_path = lru_cache(maxsize=_PATHS)(self._read_path_alone)
        self._members = {each.name: each for each in taken if each.place is Place.BODY}

    def read(self, segments: Mapping[str, str], query: Texts, headers: Texts) -> T:
        """Read path, query and headers; InvalidParameter, with all that is wrong."""
        if query or any(name in headers for name in self._header_names):
            return self._read(segments, query, headers)
        return self._read_path(tuple(segments.items()))

    def _read_path_alone(self, segments: tuple[tuple[str, str], ...]) -> T:
        nothing = _NoTexts()
        return self._read(dict(segments), nothing, nothing)

    def _read(self, segments: Mapping[str, str], query: Texts, headers: Texts) -> T:
        faults = _Faults()
        values: dict[str, Any] = {}
        others = [name for name in dict.fromkeys(query) if name not in self._query_names]
        for taken in self._families:
            names = [name for name in others if _is_of(taken, name)]
            others = [name for name in others if name not in names]
            values[taken.attribute] = _read_family(taken, names, query, faults)
        if others:
            faults.unknown(others, self._shown_names, Place.QUERY)
        for taken in self._path:
            try:
                values[taken.attribute] = taken.field.read_text(segments[taken.name])
            except ValueRefused as error:
                faults.refused(taken, error)
        for taken in self._texts:
            given = (query if taken.place is Place.QUERY else headers).getall(taken.name, [])
            if not given:
                if taken.required:
                    faults.missing(taken)
                values[taken.attribute] = taken.default
                continue
            try:
                values[taken.attribute] = taken.field.read_texts(given)
            except ValueRefused as error:
                faults.refused(taken, error)
        faults.check()
        return self._kind(**values)

    def read_body(self, body: Mapping[str, Any]) -> T:
        """Read a JSON body.

        Raises:
            InvalidRequest: a member is unknown, or one that is required is missing.
            InvalidParameter: a value is not allowed. Both with all that is wrong.
        """
        faults = _Faults()
        values: dict[str, Any] = {}
        unknown = [name for name in body if name not in self._members]
        if unknown:
            faults.unknown(unknown, list(self._members), Place.BODY)
        for name, taken in self._members.items():
            if name not in body:
                if taken.required:
                    faults.missing(taken)
                values[taken.attribute] = taken.default
            elif body[name] is None and taken.default is None:
                values[taken.attribute] = None
            else:
                try:
                    values[taken.attribute] = taken.field.read(body[name])
                except ValueRefused as error:
                    faults.refused(taken, error)
        faults.check()
        return self._kind(**values)


def _is_of(taken: Taken, name: str) -> bool:
    return len(name) > len(taken.name) and name.startswith(taken.name)


def _read_family(
    taken: Taken, names: list[str], query: Texts, faults: '_Faults'
) -> dict[str, Any]:
    """Read the values of a family, by what their names have behind its prefix."""
    values = {}
    if len(names) > taken.max_names:
        reason = f'is given for {len(names)} names; allowed: {taken.max_names}'
        faults.refused(taken, ValueRefused(Violation(path='', reason=reason)))
        return {}
    for name in names:
        try:
            texts = query.getall(name, [])
            values[name.removeprefix(taken.name)] = taken.field.read_texts(texts)
        except ValueRefused as error:
            faults.refused(dataclasses.replace(taken, name=name, max_names=0), error)
    return values


class _Faults:
    """What is wrong with one request: what is malformed first, then what is not allowed."""

    def __init__(self) -> None:
        self._malformed: list[tuple[str, Violation]] = []
        """Each with the sentence that tells it where it is the first, or the only one."""
        self._wrong: list[tuple[str, Violation]] = []
        self._uncounted = 0

    def refused(self, taken: Taken, error: ValueRefused) -> None:
        """Note all that is wrong with a value, by the places inside of it."""
        for violation in error.violations:
            at = _pointer(taken.place, taken.shown_name) + violation.path
            message = f'{taken.shown_name[:_SHOWN]}{violation.path} {violation.reason}'
            self._wrong.append((message, Violation(path=at, reason=violation.reason)))

    def missing(self, taken: Taken) -> None:
        """Note a member, or a value of the query, that must be there."""
        noted, what = self._malformed, 'field'
        if taken.place is Place.QUERY:
            noted, what = self._wrong, 'query parameter'
        violation = Violation(path=_pointer(taken.place, taken.name), reason='is missing')
        noted.append((f'the {what} {taken.name!r} is missing', violation))

    def unknown(self, names: list[str], known: list[str], place: Place) -> None:
        """Note names that nobody reads."""
        noted, what = self._malformed, 'field'
        if place is Place.QUERY:
            noted, what = self._wrong, 'query parameter'
        allowed = f'allowed: {", ".join(known) or "none"}'
        self._uncounted += len(names[MAX_VIOLATIONS:])
        for name in names[:MAX_VIOLATIONS]:
            violation = Violation(path=_pointer(place, name), reason=f'is unknown; {allowed}')
            noted.append((f'unknown {what} {name[:_SHOWN]!r}; {allowed}', violation))

    def check(self) -> None:
        """Raise InvalidRequest or InvalidParameter where something was noted."""
        if not self._malformed and not self._wrong:
            return
        noted = [*self._malformed, *self._wrong]
        message, _ = noted[0]
        more = len(noted) + self._uncounted - 1
        if more:
            message += f' (and {more} more)'
        kind = InvalidRequest if self._malformed else InvalidParameter
        raise kind(message, tuple(violation for _, violation in noted[:MAX_VIOLATIONS]))


def _pointer(place: Place, name: str) -> str:
    return f'/{place.value}/{pointer_token(name[:_SHOWN])}'
