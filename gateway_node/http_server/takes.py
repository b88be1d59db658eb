# SPDX-License-Identifier: Apache-2.0
"""What a route takes, as a dataclass whose fields say where each value stands.

    @dataclass(frozen=True, kw_only=True)
    class ExecutionsPage:
        script_id: str = path(ID)
        limit: int = query(Integer(1, 1000), default=100)

`request_reader.py` reads requests by it.
"""

from collections.abc import Mapping
import dataclasses
from dataclasses import dataclass
import enum
import functools
from typing import Any, cast, Final, TypeVar

from gateway_node.http_server.fields import Field

T = TypeVar('T')
D = TypeVar('D')


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


def path(field: Field[T], *, name: str = '', about: str = '') -> T:
    """Declare a value of the path; `name` where it is not the attribute's."""
    return cast(T, _declared(Place.PATH, field, REQUIRED, name, about=about))


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


def header(name: str, field: Field[T], *, default: D, about: str = '') -> T | D:
    """Declare a value of a header, which may be left out."""
    return cast('T | D', _declared(Place.HEADER, field, default, name, about=about))


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
    return _taken_by(kind)


@functools.cache  # the table of routes asks for each kind many times
def _taken_by(kind: type) -> tuple[Taken, ...]:
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
