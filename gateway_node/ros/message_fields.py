# SPDX-License-Identifier: Apache-2.0
"""Fields of messages by path, and values of messages as JSON values; knows nothing of rclpy."""

from collections.abc import Callable
import re
from typing import Any

_STEP = re.compile(r'\.?([A-Za-z][A-Za-z0-9_]*)|\[(-?\d{1,9})\]')
_ELEMENTS = re.compile(r'sequence<(?P<element>[^,]+)(?:, *\d+)?>|(?P<item>.+)\[(?P<size>\d+)\]')
_PART = re.compile(r'[A-Za-z][A-Za-z0-9_]*/[A-Za-z][A-Za-z0-9_]*')
_TIMES = ('builtin_interfaces/Time', 'builtin_interfaces/Duration')
_FEW = ('sensor_msgs/PointField', 'std_msgs/MultiArrayDimension')
"""Parts of which a message has some, whatever its size: they describe the array beside them."""
_OF_EMPTY_MESSAGES = 'structure_needs_at_least_one_member'
_SHOWN_FIELDS = 30
MAX_VALUES = 1000
"""Of one field that is a whole message or an array."""
MAX_TEXT = 16 * 1024
"""Characters of one field."""


class FieldUnknown(Exception):
    """A type has no such field; the text says which there are."""


class ValueMissing(Exception):
    """A message has no value in a field, or none that is small enough; the text says why."""


class Field:
    """A field of a type's messages, such as `cells[0].temperature`; -1 is the last element."""

    def __init__(self, message_class: Any, path: str, class_of: Callable[[str], Any]) -> None:
        """Compare the path with the type; `class_of` gives the class of a type by its name.

        Raises:
            FieldUnknown: there is no such field.
        """
        self.path = path
        self._steps: list[str | int] = []
        kind: Any = message_class
        position = 0
        while position < len(path):
            step = _STEP.match(path, position)
            if step is None:
                raise FieldUnknown(f'{path!r} is no path of a field; such as cells[0].voltage')
            position = step.end()
            if step[1] is not None:
                kind = _member(kind, step[1], path, class_of)
                self._steps.append(step[1])
            else:
                kind = _element(kind, int(step[2]), path)
                self._steps.append(int(step[2]))

    def value(self, message: Any) -> Any:
        """Return what a message has in the field, as a JSON value; ValueMissing.

        A time or duration is a number of seconds. Numbers that are not finite stay.
        """
        value = message
        for step in self._steps:
            if isinstance(step, str):
                value = getattr(value, step)
            else:
                try:
                    value = value[step]
                except IndexError:
                    raise ValueMissing(
                        f'{self.path} is not there: there are {len(value)} elements'
                    ) from None
        return as_json(value, self.path)


def as_json(value: Any, path: str) -> Any:
    """Return a value of a message as a JSON value; ValueMissing where it is too much."""
    return _Conversion(path).converted(value)


def reads_fast(message_class: Any, class_of: Callable[[str], Any]) -> bool:
    """Tell whether even a large message of a type is made quickly: its arrays hold numbers only,
    which are copied, and no messages or texts, each of which is made by itself."""
    for type_name in message_class.get_fields_and_field_types().values():
        elements = _ELEMENTS.fullmatch(type_name)
        if elements is not None:
            element = elements['element'] or elements['item']
            if element in _FEW:
                continue
            if '/' in element or 'string' in element or element in ('boolean', 'octet'):
                return False
        elif _PART.fullmatch(type_name) and not reads_fast(_class(type_name, class_of), class_of):
            return False
    return True


def _member(kind: Any, name: str, path: str, class_of: Callable[[str], Any]) -> Any:
    """Return what a member of a message is: a class, or the name of a type of another kind."""
    if isinstance(kind, str) and _PART.fullmatch(kind):
        kind = _class(kind, class_of)
    if isinstance(kind, str):
        raise FieldUnknown(f'{path}: {name!r} stands behind a field of type {kind}')
    fields = kind.get_fields_and_field_types()
    if name not in fields or name == _OF_EMPTY_MESSAGES:
        names = [each for each in fields if each != _OF_EMPTY_MESSAGES]
        more = ', …' if len(names) > _SHOWN_FIELDS else ''
        raise FieldUnknown(
            f'{path}: {_name(kind)} has no field {name!r}; '
            f'it has {", ".join(names[:_SHOWN_FIELDS]) or "none"}{more}'
        )
    return fields[name]


def _element(kind: Any, index: int, path: str) -> str:
    elements = _ELEMENTS.fullmatch(kind) if isinstance(kind, str) else None
    if elements is None:
        what = kind if isinstance(kind, str) else _name(kind)
        raise FieldUnknown(f'{path}: [{index}] stands behind what is no array but {what}')
    size = elements['size']
    if size is not None and not -int(size) <= index < int(size):
        raise FieldUnknown(f'{path}: the array has {size} elements, from [0] to [{int(size) - 1}]')
    return elements['element'] or elements['item']


def _class(part: str, class_of: Callable[[str], Any]) -> Any:
    package, name = part.split('/')
    return class_of(f'{package}/msg/{name}')


def _name(message_class: Any) -> str:
    return f'{message_class.__module__.split(".")[0]}/{message_class.__name__}'


class _Conversion:
    """One value on its way to JSON, as far as there is room."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._left = MAX_VALUES
        self._text_left = MAX_TEXT

    def converted(self, value: Any) -> Any:
        """Return a JSON value; ValueMissing where it is too much."""
        self._left -= 1
        if self._left < 0:
            raise ValueMissing(f'{self._path} holds more than {MAX_VALUES} values; name a part')
        if isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, bytes):
            # An octet is a byte string; several are none in rclpy.
            return value[0] if len(value) == 1 else list(value[: self._room(value)])
        if hasattr(value, 'get_fields_and_field_types'):
            return self._message(value)
        if hasattr(value, 'item') and not getattr(value, 'shape', ()):
            return value.item()  # a number of numpy's
        return [self.converted(each) for each in value[: self._room(value)]]

    def _text(self, value: str) -> str:
        self._text_left -= len(value)
        if self._text_left < 0:
            raise ValueMissing(f'{self._path} holds more than {MAX_TEXT} characters')
        return value

    def _room(self, array: Any) -> int:
        if len(array) > self._left:
            raise ValueMissing(
                f'{self._path} holds more than {MAX_VALUES} values ({len(array)} in one array); '
                'name a part'
            )
        return len(array)

    def _message(self, message: Any) -> Any:
        fields = message.get_fields_and_field_types()
        if _is_time(message):
            return message.sec + message.nanosec / 1e9
        return {
            name: self.converted(getattr(message, name))
            for name in fields
            if name != _OF_EMPTY_MESSAGES
        }


def _is_time(message: Any) -> bool:
    return _name(type(message)) in _TIMES
