# SPDX-License-Identifier: Apache-2.0
"""Types of messages and services, imported by name when they are first needed.

What a topic's type is called is up to whoever publishes it, and to import a module is to execute
it. So a package is imported only where a prefix of ROS has the type among its interfaces, as for
`ros2 interface` (ament_index, resource type `rosidl_interfaces`), and where what Python finds by
its name was made by rosidl: beside it lies the library of its type support.
"""

from collections.abc import Iterator
import importlib
import importlib.util
import os
from pathlib import Path
import re
import sys
from typing import Any

RETRY_SEC = 30.0
"""After which a type that could not be loaded may be tried again."""
_TYPE = re.compile(
    r'(?P<package>[A-Za-z][A-Za-z0-9_]*)/(?P<kind>msg|srv)/(?P<name>[A-Za-z][A-Za-z0-9_]*)'
)
_LONGEST = 255
"""Characters: the index has a file for each package."""
_INDEX = Path('share/ament_index/resource_index/rosidl_interfaces')
_PREFIX_PATH = 'AMENT_PREFIX_PATH'


class TypeMissing(Exception):
    """A type cannot be had here; the text says which, and why."""


def interface_class(type_name: str) -> Any:
    """Return the class of a type such as `sensor_msgs/msg/BatteryState`; TypeMissing."""
    parts = _TYPE.fullmatch(type_name)
    if parts is None or len(type_name) > _LONGEST:
        raise TypeMissing(
            f'{type_name[:_LONGEST]!r} is no type; allowed: such as std_msgs/msg/String'
        )
    package, kind, name = parts['package'], parts['kind'], parts['name']
    try:
        # What was imported before is not executed again.
        if f'{package}.{kind}' not in sys.modules:
            _check(package, f'{kind}/{name}')
        return getattr(importlib.import_module(f'{package}.{kind}'), name)
    except ModuleNotFoundError as error:
        raise TypeMissing(
            f'the package {package} of the type {type_name} is not installed here: {error}'
        ) from error
    except AttributeError as error:
        raise TypeMissing(f'the package {package} here has no type {type_name}') from error
    except (Exception, SystemExit) as error:
        # Code of others: whatever it raises, it must not end what reads other topics.
        raise TypeMissing(f'the type {type_name} cannot be loaded: {error!r}') from error


def _check(package: str, interface: str) -> None:
    """Raise ModuleNotFoundError where a package is none of interfaces, AttributeError where it has
    no such interface; nothing of it is executed."""
    prefixes = list(_prefixes())
    indexed = (prefix / _INDEX / package for prefix in prefixes)
    listed = next(filter(Path.is_file, indexed), None)
    if listed is None:
        raise ModuleNotFoundError(
            'no prefix lists it as a package of interfaces; looked into: '
            f'{", ".join(map(str, prefixes))}'
        )
    if all(os.path.splitext(line)[0] != interface for line in listed.read_text().split()):
        raise AttributeError(interface)
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations if spec is not None else None) or ()
    if not any(any(Path(each).glob(f'{package}_s__rosidl_typesupport_*')) for each in folders):
        found = ', '.join(folders) or 'nothing'
        raise ModuleNotFoundError(
            f'what Python finds by this name was not made by rosidl: {found}'
        )


def _prefixes() -> Iterator[Path]:
    """Those of ROS, in order; last that of Python, which wheels are installed in."""
    named = os.environ.get(_PREFIX_PATH, '').split(os.pathsep)
    return map(Path, filter(os.path.isabs, [*named, sys.prefix]))
