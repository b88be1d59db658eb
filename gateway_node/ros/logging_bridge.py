# SPDX-License-Identifier: Apache-2.0
"""From stdlib logging, which the whole gateway uses, to the node's ROS logger."""

from collections.abc import Callable, Iterator
import contextlib
import ctypes
import logging
import os
from typing import cast

from rclpy.impl.rcutils_logger import RcutilsLogger

from gateway_node.ros.errors import RosRefused
from gateway_node.ros.queued_logging import queued_logging

OUR_LOGGER = 'gateway_node'


class _Location(ctypes.Structure):
    """`rcutils_log_location_t` of rcutils/logging.h."""

    _fields_ = (
        ('function_name', ctypes.c_char_p),
        ('file_name', ctypes.c_char_p),
        ('line_number', ctypes.c_size_t),
    )


class RosLogHandler(logging.Handler):
    """Forwards records to a ROS logger.

    To rcutils itself, where its library is found: rclpy looks up the file of each frame below a
    call, a hundred system calls for a line, and tells this file as the place. rclpy calls the
    same function, and holds the GIL as this does (ctypes.PyDLL).
    """

    def __init__(self, logger: RcutilsLogger, library: str = 'librcutils.so') -> None:
        """Forward to `logger`; `library` is the one that rclpy has loaded."""
        super().__init__()
        self._logger = logger
        self._name = logger.name.encode()
        self._log = _rcutils_log(library)

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record; what fails is told on stderr, as stdlib handlers do."""
        try:
            # ROS takes no lone surrogates, which stand for bytes that are no text.
            message = _bytes(self.format(record))
            severity = _severity(record.levelno)
            if self._log is None:
                self._forward(severity, message.decode())
                return
            location = _Location(
                _bytes(record.funcName or ''), _bytes(record.pathname), record.lineno
            )
            self._log(ctypes.byref(location), severity, self._name, b'%s', message)
        except Exception:
            self.handleError(record)

    def _forward(self, level: int, message: str) -> None:
        # One call for each severity: rclpy refuses another severity from the same line. `log`, as
        # rclpy looks up the file of every frame down to here: `info` and its like are one more.
        match level:
            case logging.CRITICAL:
                self._logger.log(message, logging.CRITICAL)
            case logging.ERROR:
                self._logger.log(message, logging.ERROR)
            case logging.WARNING:
                self._logger.log(message, logging.WARNING)
            case logging.INFO:
                self._logger.log(message, logging.INFO)
            case _:
                self._logger.log(message, logging.DEBUG)


def _rcutils_log(library: str) -> Callable[..., None] | None:
    """Return the function of a library that is loaded; None where it goes by another name."""
    try:
        log = ctypes.PyDLL(library, mode=os.RTLD_NOW | os.RTLD_NOLOAD).rcutils_log
    except (OSError, AttributeError):
        return None
    log.restype = None
    # What a format has behind it is variable, and a text here (ctypes, variadic functions).
    log.argtypes = (ctypes.POINTER(_Location), ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)
    return cast(Callable[..., None], log)


def _severity(level: int) -> int:
    """Return a severity of ROS, which has no others; their numbers are those of Python."""
    return max(logging.DEBUG, min(logging.CRITICAL, level // 10 * 10))


def _bytes(text: str) -> bytes:
    return text.encode(errors='backslashreplace')


@contextlib.contextmanager
def logging_to(logger: RcutilsLogger) -> Iterator[None]:
    """Send stdlib logging to `logger`, in place of the root logger's handlers, for a while.

    The gateway's own records come from the level that `--log-level` set; those of other libraries
    from WARNING, or above it where that level is higher.

    Raises:
        RosRefused: ROS cannot log with the environment that it has.
    """
    root = logging.getLogger()
    ours = logging.getLogger(OUR_LOGGER)
    root_level, our_level = root.level, ours.level
    try:
        level = int(logger.get_effective_level())
    except RuntimeError as error:
        raise RosRefused(f'{error}; one of the RCUTILS_ environment variables is wrong') from error
    root.setLevel(max(level, logging.WARNING))
    ours.setLevel(level)
    # What rcutils writes its lines to.
    descriptor = 1 if os.environ.get('RCUTILS_LOGGING_USE_STDOUT') == '1' else 2
    try:
        with queued_logging(RosLogHandler(logger), descriptor):
            yield
    finally:
        root.setLevel(root_level)
        ours.setLevel(our_level)
