# SPDX-License-Identifier: Apache-2.0
"""What rclpy and aiohttp import and the gateway hardly ever uses: left out, as it is a fifth of
the start.

In the gateway's process alone; scripts have an interpreter of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
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


@contextlib.contextmanager
def nobody_trusted() -> Iterator[None]:
    """Have contexts of TLS trust nobody that are made meanwhile: no certificates are read.

    aiohttp makes two when it is imported, of all whom the host trusts; who calls an https address
    brings another one.
    """
    # Whoever asks for no more than the version does not wait for it.
    import ssl

    ssl.SSLContext.set_default_verify_paths = lambda self: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        # Inherited again.
        del ssl.SSLContext.set_default_verify_paths


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
