# SPDX-License-Identifier: Apache-2.0
"""From stdlib logging, which the whole gateway uses, to the node's ROS logger."""

from collections.abc import Iterator
import contextlib
import logging
import os

from rclpy.impl.rcutils_logger import RcutilsLogger

from gateway_node.ros.errors import RosRefused
from gateway_node.ros.queued_logging import queued_logging

OUR_LOGGER = 'gateway_node'


class RosLogHandler(logging.Handler):
    """Forwards records to a ROS logger."""

    def __init__(self, logger: RcutilsLogger) -> None:
        """Forward to `logger`."""
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record; what fails is told on stderr, as stdlib handlers do."""
        try:
            # ROS takes no lone surrogates, which stand for bytes that are no text.
            message = self.format(record).encode(errors='backslashreplace').decode()
            self._forward(record.levelno, message)
        except Exception:
            self.handleError(record)

    def _forward(self, level: int, message: str) -> None:
        # One call for each severity: rclpy refuses another severity from the same line. `log`, as
        # rclpy looks up the file of every frame down to here: `info` and its like are one more.
        # The numbers of severities are the same.
        if level >= logging.CRITICAL:
            self._logger.log(message, logging.CRITICAL)
        elif level >= logging.ERROR:
            self._logger.log(message, logging.ERROR)
        elif level >= logging.WARNING:
            self._logger.log(message, logging.WARNING)
        elif level >= logging.INFO:
            self._logger.log(message, logging.INFO)
        else:
            self._logger.log(message, logging.DEBUG)


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
