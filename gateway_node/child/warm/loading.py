# SPDX-License-Identifier: Apache-2.0
"""What a warm interpreter loads, and how."""

from collections.abc import Sequence
import ctypes
import importlib


class ModuleFails(Exception):
    """A module cannot be loaded."""

    def __init__(self, name: str, error: BaseException) -> None:
        super().__init__(f'{name} cannot be loaded: {type(error).__name__}: {error}')


def import_all(names: Sequence[str]) -> list[str]:
    """Import the modules; return those that are there.

    One that is not installed is left out.

    Raises:
        ModuleFails: one of them does, in whatever way.
    """
    present = []
    for name in names:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:
            if not _is_absent(name, error):
                raise ModuleFails(name, error) from error
        else:
            present.append(name)
    return present


def _is_absent(name: str, error: BaseException) -> bool:
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return False
    return f'{name}.'.startswith(f'{error.name}.')


def load_libraries(paths: Sequence[str]) -> None:
    """Load shared libraries; nothing is unloaded any more.

    Raises:
        OSError: one cannot be loaded.
    """
    for path in paths:
        ctypes.CDLL(path)
