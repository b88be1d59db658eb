# SPDX-License-Identifier: Apache-2.0
"""What rclpy imports and the gateway never uses: left out, as it is a sixth of the start.

In the gateway's process alone; scripts have an interpreter of their own.
"""

from __future__ import annotations

import importlib
from importlib.machinery import ModuleSpec
import importlib.util
import sys
from types import ModuleType

_GENERATOR = 'rosidl_generator_py.generate_py_impl'
"""Makes the code of messages, with a parser. Where it cannot be imported, its package does
without, as it does on a robot that has no tools to build with."""
_NUMPY = 'numpy'
"""The code of messages needs it for arrays of numbers, which no message of the gateway has."""


def without_unneeded_imports() -> None:
    """Have rclpy imported without them; numpy is imported once something of it is asked for."""
    sys.modules.setdefault(_GENERATOR, None)  # type: ignore[arg-type]
    spec = None if _NUMPY in sys.modules else importlib.util.find_spec(_NUMPY)
    if spec is not None:
        sys.modules[_NUMPY] = StandIn(spec)


class StandIn(ModuleType):
    """A package of which nobody has needed anything yet.

    `importlib.util.LazyLoader` does not do: where a module is there already, its import asks for
    its `__spec__`, and with that loads it.
    """

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        self.__spec__ = spec
        # Who looks for the module of a line asks every module for its file.
        self.__file__ = spec.origin

    def __getattr__(self, attribute: str) -> object:
        name = self.__name__
        if sys.modules.get(name) is self:
            del sys.modules[name]
        module = importlib.import_module(name)
        # Those who hold this one find everything in it from now on.
        self.__dict__.update(vars(module))
        return getattr(module, attribute)
