# SPDX-License-Identifier: Apache-2.0
"""From stdlib logging, which the whole gateway uses, to the node's ROS logger."""

from collections.abc import Iterator
import contextlib
import logging
import os

from rclpy.impl.rcutils_logger import RcutilsLogger

from gateway_node.ros.errors import RosRefused
from gateway_node.ros.queued_logging import queued_logging
from gateway_node.ros.rcutils import Location, Log, rcutils_log

OUR_LOGGER = 'gateway_node'


class RosLogHandler(logging.Handler):
    """Forwards records to a ROS logger: to rcutils itself, where that is to be had."""

    def __init__(self, logger: RcutilsLogger, log: Log | None) -> None:
        """Forward to `logger`, by `log` and its name where there is one; see `rcutils_log`."""
        super().__init__()
        self._logger = logger
        self._name = logger.name.encode()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record; what fails is told on stderr, as stdlib handlers do."""
        try:
            # ROS takes no lone surrogates, which stand for bytes that are no text.
            message = _bytes(self.format(record))
            severity = _severity(record.levelno)
            if self._log is None:
                self._forward(severity, message.decode())
                return
            place = Location(_bytes(record.funcName or ''), _bytes(record.pathname), record.lineno)
            self._log(place, severity, self._name, message)
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
        with queued_logging(RosLogHandler(logger, rcutils_log()), descriptor):
            yield
    finally:
        root.setLevel(root_level)
        ours.setLevel(our_level)
