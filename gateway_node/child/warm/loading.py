# SPDX-License-Identifier: Apache-2.0
"""What a warm interpreter loads, and how."""

from collections.abc import Sequence
import ctypes
import importlib


def import_all(names: Sequence[str]) -> list[str]:
    """Import the modules; return those that are there.

    One that is not installed is left out.

    Raises:
        ImportError, or whatever a module raises.
    """
    present = []
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f'{name}.'.startswith(f'{error.name}.'):
                raise
        else:
            present.append(name)
    return present


def load_libraries(paths: Sequence[str]) -> None:
    """Load shared libraries; nothing is unloaded any more.

    Raises:
        OSError: one cannot be loaded.
    """
    for path in paths:
        ctypes.CDLL(path)
