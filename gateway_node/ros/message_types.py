# SPDX-License-Identifier: Apache-2.0
"""Types of messages and services, imported by name when they are first needed."""

import importlib
from typing import Any

RETRY_SEC = 30.0
"""After which a type that could not be loaded may be tried again."""
_KINDS = ('msg', 'srv')


class TypeMissing(Exception):
    """A type cannot be had here; the text says which, and why."""


def interface_class(type_name: str) -> Any:
    """Return the class of a type such as `sensor_msgs/msg/BatteryState`; TypeMissing."""
    package, kind, name, *_ = [*type_name.split('/'), '', '']
    if kind not in _KINDS or not package.isidentifier() or not name.isidentifier():
        raise TypeMissing(f'{type_name!r} is no type; allowed: such as std_msgs/msg/String')
    try:
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
