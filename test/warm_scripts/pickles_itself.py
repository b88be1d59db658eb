# SPDX-License-Identifier: Apache-2.0
"""Relies on being `__main__`: pickles its own class, finds itself among the modules."""

import dataclasses
import inspect
import pickle
import sys
import typing


@dataclasses.dataclass
class Value:
    """A value."""

    number: int = 3


print(pickle.loads(pickle.dumps(Value(4))), Value.__module__)
print(sys.modules['__main__'].Value is Value, typing.get_type_hints(Value))
print(inspect.getsource(Value).splitlines()[0], inspect.getfile(Value) == __file__)
import __main__

print(__main__.Value is Value, globals() is vars(__main__))
