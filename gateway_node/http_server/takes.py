# SPDX-License-Identifier: Apache-2.0
"""What a route takes, as a dataclass whose fields say where each value stands; and reading it.

    @dataclass(frozen=True, kw_only=True)
    class ExecutionsPage:
        script_id: str = path(ID)
        limit: int = query(Integer(1, 1000), default=100)

All that is wrong is told at once, by JSON Pointer: `/path/script_id`, `/query/limit`,
`/header/If-Match`, `/body/execution_type`.
"""

from collections.abc import Iterator, Mapping
import dataclasses
from dataclasses import dataclass
import enum
from typing import Any, cast, Final, Generic, Protocol, TypeVar

from gateway_node.http_server.errors import InvalidParameter, InvalidRequest
from gateway_node.http_server.fields import Field, ValueRefused
from gateway_node.scripts.errors import Violation
from gateway_node.strict_json import pointer_token

T = TypeVar('T')
D = TypeVar('D')

MAX_VIOLATIONS = 20
"""How many an answer names; how many there are beyond that, its message says."""
_SHOWN = 80
"""Characters of an unknown name that an answer repeats."""


class Place(enum.Enum):
    """Where in a request a value stands; the values are OpenAPI's `in`, and `body`."""

    PATH = 'path'
    """A segment of the path, for which the route's path has a placeholder."""
    QUERY = 'query'
    """Behind the `?`."""
    HEADER = 'header'
    """A header; names in any case."""
    BODY = 'body'
    """A member of the JSON object."""


class _Required(enum.Enum):
    """The default of what has none."""

    REQUIRED = 0


REQUIRED: Final = _Required.REQUIRED


@dataclass(frozen=True, kw_only=True)
class Taken:
    """One value that a route takes."""

    attribute: str
    """Of the dataclass."""
    name: str
    """In the request."""
    place: Place
    field: Field[Any]
    default: Any
    about: str = ''
    """What it is for, for who reads the description of the API."""
    max_names: int = 0
    """Above 0: it is a family of values of the query, so many at most, whose names begin with
    `name`."""

    @property
    def is_family(self) -> bool:
        """Whether it stands for any number of names."""
        return self.max_names > 0

    @property
    def shown_name(self) -> str:
        """What stands for its names where they are told."""
        return f'{self.name}NAME' if self.is_family else self.name

    @property
    def required(self) -> bool:
        """Whether a request must have it."""
        return self.default is REQUIRED

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of its value; null stands for a default that is nothing."""
        schema = self.field.schema()
        if self.place is Place.BODY and self.default is None:
            return {'anyOf': [schema, {'type': 'null'}], 'default': None}
        if self.required or self.default is None:
            return schema
        return schema | {'default': _as_json(self.default)}


class Texts(Protocol):
    """The query or the headers of a request: names, each with one or several texts."""

    def __iter__(self) -> Iterator[str]:
        """Go through the names; as often as they are given."""

    def getall(self, key: str, default: list[str]) -> list[str]:
        """Return all texts of a name."""


def path(field: Field[T], *, name: str = '') -> T:
    """Declare a value of the path; `name` where it is not the attribute's."""
    return cast(T, _declared(Place.PATH, field, REQUIRED, name))


def query(field: Field[T], *, default: D, name: str = '', about: str = '') -> T | D:
    """Declare a value of the query, which may be left out; `name` as for a path."""
    return cast('T | D', _declared(Place.QUERY, field, default, name, about=about))


def required_query(field: Field[T], *, name: str = '', about: str = '') -> T:
    """Declare a value of the query that must be there; `name` as for a path."""
    return cast(T, _declared(Place.QUERY, field, REQUIRED, name, about=about))


def family(prefix: str, field: Field[T], *, max_names: int, about: str) -> Mapping[str, T]:
    """Declare values of the query whose names begin with a prefix; they come by the rest of it."""
    declared = _declared(Place.QUERY, field, {}, prefix, about=about, max_names=max_names)
    return cast(Mapping[str, T], declared)


def header(name: str, field: Field[T], *, default: D) -> T | D:
    """Declare a value of a header, which may be left out."""
    return cast('T | D', _declared(Place.HEADER, field, default, name))


def member(field: Field[T]) -> T:
    """Declare a member of a JSON body that must be there."""
    return cast(T, _declared(Place.BODY, field, REQUIRED))


def optional(field: Field[T], *, default: D) -> T | D:
    """Declare a member of a JSON body that may be left out.

    All requests share the default: its type has to be one that nobody can change, as a Mapping.
    """
    return cast('T | D', _declared(Place.BODY, field, default))


def _as_json(value: object) -> object:
    if isinstance(value, enum.Enum):
        return value.value
    return [_as_json(each) for each in value] if isinstance(value, (tuple, frozenset)) else value


def _declared(
    place: Place,
    field: Field[Any],
    default: Any,
    name: str = '',
    *,
    about: str = '',
    max_names: int = 0,
) -> Any:
    taken = Taken(
        attribute='',
        name=name,
        place=place,
        field=field,
        default=default,
        about=about,
        max_names=max_names,
    )
    return dataclasses.field(metadata={'taken': taken})


def taken_by(kind: type) -> tuple[Taken, ...]:
    """Return what a dataclass declares, in order."""
    return tuple(
        dataclasses.replace(taken, attribute=field.name, name=taken.name or field.name)
        for field in dataclasses.fields(kind)
        for taken in [cast(Taken, field.metadata['taken'])]
    )


def body_schema(kind: type) -> dict[str, Any]:
    """Return the JSON Schema of a body whose members a dataclass declares."""
    members = [each for each in taken_by(kind) if each.place is Place.BODY]
    return {
        'type': 'object',
        'properties': {each.name: each.schema() for each in members},
        'required': [each.name for each in members if each.required],
        'additionalProperties': False,
    }


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
        self._members = {each.name: each for each in taken if each.place is Place.BODY}

    def read(self, segments: Mapping[str, str], query: Texts, headers: Texts) -> T:
        """Read path, query and headers; InvalidParameter, with all that is wrong."""
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
        noted = [*self._malformed, *self._wrong]
        if not noted:
            return
        message, _ = noted[0]
        more = len(noted) + self._uncounted - 1
        if more:
            message += f' (and {more} more)'
        kind = InvalidRequest if self._malformed else InvalidParameter
        raise kind(message, tuple(violation for _, violation in noted[:MAX_VIOLATIONS]))


def _pointer(place: Place, name: str) -> str:
    return f'/{place.value}/{pointer_token(name[:_SHOWN])}'
