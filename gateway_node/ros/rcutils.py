# SPDX-License-Identifier: Apache-2.0
"""The logger of rcutils, called as rclpy calls it, without rclpy's search for who calls.

Decision 045 says why, and how to go back.
"""

from collections.abc import Callable
import ctypes
import os

LIBRARY = 'librcutils.so'
"""As rclpy has loaded it; it is looked for nowhere else."""


class Location(ctypes.Structure):
    """`rcutils_log_location_t` of rcutils/logging.h."""

    _fields_ = (
        ('function_name', ctypes.c_char_p),
        ('file_name', ctypes.c_char_p),
        ('line_number', ctypes.c_size_t),
    )


Log = Callable[[Location, int, bytes, bytes], None]
"""Logs from a place, with a severity, under the name of a logger, a message."""


def rcutils_log(library: str = LIBRARY) -> Log | None:
    """Return `rcutils_log` of a library that this process has loaded; None without."""
    try:
        # PyDLL holds the GIL meanwhile, as rclpy does: rcutils has tables that are not locked.
        function = ctypes.PyDLL(library, mode=os.RTLD_NOW | os.RTLD_NOLOAD).rcutils_log
    except (OSError, AttributeError):
        return None
    function.restype = None
    # What stands behind a format is variable, and a text here (ctypes, variadic functions).
    function.argtypes = (ctypes.POINTER(Location), ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)

    def log(location: Location, severity: int, name: bytes, message: bytes) -> None:
        function(ctypes.byref(location), severity, name, b'%s', message)

    return log
