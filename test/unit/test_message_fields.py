# SPDX-License-Identifier: Apache-2.0
"""Fields of messages by path, on classes as rosidl makes them."""

import array
import math
from typing import Any

import pytest

from gateway_node.ros.message_fields import (
    as_json,
    Field,
    FieldUnknown,
    MAX_TEXT,
    MAX_VALUES,
    reads_fast,
    ValueMissing,
)

_made: dict[str, Any] = {}


def message_class(type_name: str, **fields: str) -> Any:
    """Return a class of messages, as rosidl makes them, of a type and its fields."""
    package, name = type_name.split('/')

    class Message:
        __module__ = f'{package}.msg._{name.lower()}'

        def __init__(self, **values: Any) -> None:
            self.__dict__.update(values)

        @classmethod
        def get_fields_and_field_types(cls) -> dict[str, str]:
            return dict(fields)

    Message.__name__ = name
    _made[f'{package}/msg/{name}'] = Message
    return Message


Time = message_class('builtin_interfaces/Time', sec='int32', nanosec='uint32')
Header = message_class('std_msgs/Header', stamp='builtin_interfaces/Time', frame_id='string')
Cell = message_class('robot_msgs/Cell', temperature='double', name='string<10>', flags='octet')
Battery = message_class(
    'robot_msgs/Battery',
    header='std_msgs/Header',
    cells='sequence<robot_msgs/Cell>',
    pair='robot_msgs/Cell[2]',
    levels='sequence<double, 10>',
    matrix='double[4]',
    raw='sequence<octet>',
    charging='boolean',
    count='int64',
    label='wstring',
)
Empty = message_class('std_msgs/Empty', structure_needs_at_least_one_member='uint8')


class NumpyNumber:
    """A number as arrays of a fixed size have them."""

    shape = ()

    def item(self) -> float:
        """Return the number."""
        return 2.5


BATTERY = Battery(
    header=Header(stamp=Time(sec=3, nanosec=500_000_000), frame_id='base'),
    cells=[
        Cell(temperature=20.5, name='left', flags=b'\x07'),
        Cell(temperature=math.inf, name='right', flags=b'\x00'),
    ],
    pair=[Cell(temperature=1.0, name='a', flags=b'\x01')] * 2,
    levels=array.array('d', [0.5, 1.5]),
    matrix=[NumpyNumber()] * 4,
    raw=[b'\x01', b'\xff'],
    charging=True,
    count=2**53 + 1,
    label='grün',
)


@pytest.mark.parametrize(
    ('path', 'value'),
    [
        ('cells[0].temperature', 20.5),
        ('cells[-1].name', 'right'),
        ('cells[1].temperature', math.inf),
        ('cells[0].flags', 7),
        ('pair[1].name', 'a'),
        ('levels[1]', 1.5),
        ('levels', [0.5, 1.5]),
        ('matrix[3]', 2.5),
        ('raw', [1, 255]),
        ('raw[1]', 255),
        ('charging', True),
        ('count', 2**53 + 1),
        ('label', 'grün'),
        ('header.stamp', 3.5),
        ('header.stamp.sec', 3),
        ('header', {'stamp': 3.5, 'frame_id': 'base'}),
        ('cells[0]', {'temperature': 20.5, 'name': 'left', 'flags': 7}),
        ('cells', [as_json(each, '') for each in BATTERY.cells]),
    ],
)
def test_a_field_is_found_by_its_path(path: str, value: Any) -> None:
    """Nested, in arrays and sequences, from the end too; what is a message is an object."""
    assert Field(Battery, path, _made.__getitem__).value(BATTERY) == value


@pytest.mark.parametrize(
    ('path', 'told'),
    [
        ('volts', "robot_msgs/Battery has no field 'volts'; it has header, cells, pair"),
        (
            'cells[0].volts',
            "robot_msgs/Cell has no field 'volts'; it has temperature, name, flags",
        ),
        ('count.volts', "'volts' stands behind a field of type int64"),
        ('cells.temperature', "'temperature' stands behind a field of type sequence<robot_msgs/C"),
        ('count[0]', '[0] stands behind what is no array but int64'),
        ('header[0]', '[0] stands behind what is no array but std_msgs/Header'),
        ('[0]', '[0] stands behind what is no array but robot_msgs/Battery'),
        ('matrix[4]', 'the array has 4 elements, from [0] to [3]'),
        ('matrix[-5]', 'the array has 4 elements'),
        ('cells[x]', "'cells[x]' is no path of a field"),
        ('MAX_CELLS', "has no field 'MAX_CELLS'"),
    ],
)
def test_a_field_that_a_type_does_not_have_is_told_before_a_message_comes(
    path: str, told: str
) -> None:
    """With those that there are; a constant is no field."""
    with pytest.raises(FieldUnknown) as caught:
        Field(Battery, path, _made.__getitem__)
    assert told in str(caught.value)


def test_an_empty_message_has_no_field() -> None:
    """Not even that which rosidl puts there."""
    with pytest.raises(FieldUnknown, match='it has none'):
        Field(Empty, 'structure_needs_at_least_one_member', _made.__getitem__)
    assert as_json(Empty(), 'nothing') == {}


def test_an_element_that_a_message_does_not_have_is_told_of_the_message() -> None:
    """A sequence has as many as it has."""
    field = Field(Battery, 'cells[2].temperature', _made.__getitem__)
    with pytest.raises(ValueMissing, match=r'cells\[2\].temperature is not there: there are 2'):
        field.value(BATTERY)


@pytest.mark.parametrize(
    'value',
    [
        array.array('d', bytes(8 * (MAX_VALUES + 1))),
        [[0] * (MAX_VALUES // 2)] * 3,
        'x' * (MAX_TEXT + 1),
        ['x' * (MAX_TEXT // 2)] * 3,
        bytes(MAX_VALUES + 1),
    ],
)
def test_a_value_has_a_bound(value: Any) -> None:
    """It is kept with what fires, and compared: a part of it can be named instead."""
    with pytest.raises(ValueMissing, match='data holds more than'):
        as_json(value, 'data')


@pytest.mark.parametrize(
    ('types', 'fast'),
    [
        (('sequence<uint8>', 'string', 'double[36]'), True),
        (('std_msgs/Header', 'sequence<std_msgs/MultiArrayDimension>'), True),
        (('sequence<robot_msgs/Cell>',), False),
        (('sequence<string>',), False),
        (('boolean[9000]',), False),
        (('robot_msgs/Battery',), False),
    ],
)
def test_a_large_message_is_made_quickly_where_it_holds_numbers(
    types: tuple[str, ...], fast: bool
) -> None:
    """Each message and text in an array is made by itself; numbers are copied together."""
    whole = message_class('robot_msgs/Whole', **{f'f{n}': each for n, each in enumerate(types)})
    assert reads_fast(whole, _made.__getitem__) is fast
