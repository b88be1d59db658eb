# SPDX-License-Identifier: Apache-2.0
"""Parameter files: the sections for nodes in them, and which of them concern a node.

Knows nothing of rclpy: the launch file asks it as well, since launch leaves a file out that it
does not find.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import ctypes
from dataclasses import dataclass
import math
from pathlib import Path
import re
import stat

import yaml

from gateway_node.ros.errors import ParameterFileInvalid

_PARAMETERS_KEY = 'ros__parameters'
_BOOLEANS = {
    **dict.fromkeys(('y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE'), True),
    **dict.fromkeys(('on', 'On', 'ON'), True),
    **dict.fromkeys(('n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE'), False),
    **dict.fromkeys(('off', 'Off', 'OFF'), False),
}
_NO_NUMBERS = {
    **dict.fromkeys(('.nan', '.NaN', '.NAN'), math.nan),
    **dict.fromkeys(('.inf', '.Inf', '.INF', '+.inf', '+.Inf', '+.INF'), math.inf),
    **dict.fromkeys(('-.inf', '-.Inf', '-.INF'), -math.inf),
}
_libc = ctypes.CDLL(None, use_errno=True)
_libc.strtoll.restype = ctypes.c_longlong
_libc.strtod.restype = ctypes.c_double
_ANY_BASE = ctypes.c_int(0)


class _Loader(yaml.SafeLoader):
    """Refuses aliases, as rcl does; a few lines of them can stand for more than the memory."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(problem='an alias is not allowed')
        return super().compose_node(parent, index)


@dataclass(frozen=True, kw_only=True)
class Section:
    """What a file, or an argument, gives to the nodes of one name."""

    node: str
    """Fully qualified; `*` stands for one name, `**` for any number of them."""
    values: Mapping[str, object]
    """By full name, such as `server.port`."""

    def concerns(self, node: str) -> bool:
        """Tell whether the section is for the node of a fully qualified name."""
        names = {'*': r'/\w+', '**': r'(/\w+)*'}
        pattern = ''.join(names.get(name, f'/{re.escape(name)}') for name in self._names)
        return re.fullmatch(pattern, node) is not None

    @property
    def exactness(self) -> tuple[int, int]:
        """The more names it says, and then the fewer it leaves open, the greater."""
        stars = self._names.count('*')
        return len(self._names) - stars - self._names.count('**'), stars

    @property
    def _names(self) -> list[str]:
        return names_in(self.node)


def names_in(node: str) -> list[str]:
    """Return the names that a node's fully qualified name is made of."""
    return [name for name in node.split('/') if name]


def read_parameter_file(path: Path) -> tuple[Section, ...]:
    """Return a file's sections, in their order; none for an empty file; ParameterFileInvalid."""
    if not stat.S_ISREG(mode_of(path)):
        raise ParameterFileInvalid(path, 'is no regular file')
    try:
        root = yaml.compose(path.read_text(encoding='utf-8'), Loader=_Loader)
        return () if root is None else tuple(_sections(root, ()))
    except OSError as error:
        raise ParameterFileInvalid(path, f'cannot be read: {error.strerror}') from error
    except _Malformed as error:
        raise ParameterFileInvalid(path, str(error)) from error
    except RecursionError as error:
        raise ParameterFileInvalid(path, 'nests too deep') from error
    except (UnicodeError, yaml.YAMLError) as error:
        raise ParameterFileInvalid(path, f'is no YAML: {" ".join(str(error).split())}') from error


def mode_of(path: Path) -> int:
    """Return the mode of a parameter file (man 7 inode); ParameterFileInvalid."""
    try:
        return path.stat().st_mode
    except OSError as error:
        raise ParameterFileInvalid(path, f'cannot be read: {error.strerror}') from error


def sections_for(path: Path, node: str) -> tuple[Section, ...]:
    """Return the sections of a file that concern `node`; ParameterFileInvalid where none does."""
    sections = read_parameter_file(path)
    concerned = tuple(section for section in sections if section.concerns(node))
    if not concerned:
        raise ParameterFileInvalid(path, lacks_section(sections, node))
    return concerned


def lacks_section(sections: Sequence[Section], node: str) -> str:
    """Continue a sentence about a file in which nothing concerns `node`."""
    found = ', '.join(section.node for section in sections) or 'nothing'
    return f'has no section for {node} or /**; it has {found}'


def scalar_or_list(text: str) -> object:
    """Return the value that the YAML of one parameter stands for; yaml.YAMLError."""
    node = yaml.compose(text, Loader=_Loader)
    return None if node is None else _value(node)


class _Malformed(Exception):
    def __init__(self, node: yaml.Node, what: str) -> None:
        super().__init__(f'is malformed: line {node.start_mark.line + 1}: {what}')


def _sections(node: yaml.Node, names: tuple[str, ...]) -> Iterator[Section]:
    for key, value in _pairs(node, f'{"/".join(names) or "the document"} is no mapping'):
        if key == _PARAMETERS_KEY:
            if not names:
                raise _Malformed(value, f'{_PARAMETERS_KEY} stands below no name of a node')
            yield Section(node='/' + '/'.join(names), values=dict(_values(value, '')))
        else:
            yield from _sections(value, (*names, *names_in(key)))


def _values(node: yaml.Node, prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in _pairs(node, f'{prefix[:-1] or _PARAMETERS_KEY} is no mapping'):
        if isinstance(value, yaml.MappingNode):
            yield from _values(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', _value(value)


def _pairs(node: yaml.Node, otherwise: str) -> Iterator[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise _Malformed(node, otherwise)
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _Malformed(key, 'a key is no text')
        yield key.value, value


def _value(node: yaml.Node) -> object:
    """Read a value as rcl's parser does, which is not quite YAML: no null, no dates, `1e5`."""
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    text = str(node.value)
    if isinstance(node, yaml.ScalarNode) and node.style in ("'", '"'):
        return text
    for value in (_BOOLEANS.get(text), _whole(text), _fractional(text)):
        if value is not None:
            return value
    return text


def _whole(text: str) -> int | None:
    number = _converted(_libc.strtoll, text, _ANY_BASE)
    return None if number is None else int(number)


def _fractional(text: str) -> float | None:
    number = _NO_NUMBERS.get(text) or _converted(_libc.strtod, text)
    return None if number is None else float(number)


def _converted(function: Callable[..., float], text: str, *more: object) -> float | None:
    """Return what a function of man 3 strtod makes of a whole text; None where it does not fit.

    The parser of rcl calls the same ones: `010` is 8, `0b11` a text, and so is `1e400`.
    """
    encoded = text.encode()
    rest = ctypes.c_char_p()
    ctypes.set_errno(0)
    number = function(encoded, ctypes.byref(rest), *more)
    return number if encoded and rest.value == b'' and ctypes.get_errno() == 0 else None
