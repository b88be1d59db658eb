"""From stdlib logging, which the rest of the gateway uses, to the node's ROS logger."""

from collections.abc import Iterator
import contextlib
import logging

from rclpy.impl.rcutils_logger import RcutilsLogger

OUR_LOGGER = 'gateway_node'
_RECORD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {'message', 'asctime'}


class RosLogHandler(logging.Handler):
    """Forwards records to a ROS logger, the fields that came as `extra` behind the message."""

    def __init__(self, logger: RcutilsLogger) -> None:
        """Forward to `logger`."""
        super().__init__()
        self._logger = logger
        self.setFormatter(_FieldsFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record; what fails is told on stderr, as stdlib handlers do."""
        try:
            self._forward(record.levelno, self.format(record))
        except Exception:
            self.handleError(record)

    def _forward(self, level: int, message: str) -> None:
        # One call for each severity: rclpy refuses another severity from the same line.
        if level >= logging.CRITICAL:
            self._logger.fatal(message)
        elif level >= logging.ERROR:
            self._logger.error(message)
        elif level >= logging.WARNING:
            self._logger.warning(message)
        elif level >= logging.INFO:
            self._logger.info(message)
        else:
            self._logger.debug(message)


@contextlib.contextmanager
def logging_to(logger: RcutilsLogger) -> Iterator[None]:
    """Send stdlib logging to `logger`, in place of the root logger's handlers, for a while.

    The gateway's own records come from the level that `--log-level` set; those of other libraries
    from WARNING, or above it where that level is higher.
    """
    root = logging.getLogger()
    ours = logging.getLogger(OUR_LOGGER)
    handlers, root_level, our_level = root.handlers, root.level, ours.level
    level = int(logger.get_effective_level())
    root.handlers = [RosLogHandler(logger)]
    root.setLevel(max(level, logging.WARNING))
    ours.setLevel(level)
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(root_level)
        ours.setLevel(our_level)


class _FieldsFormatter(logging.Formatter):
    """`script started: execution_id=exec_01 pid=4711`."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (stdlib's name)
        fields = ' '.join(
            f'{name}={_field(value)}'
            for name, value in vars(record).items()
            if name not in _RECORD_ATTRIBUTES
        )
        return f'{record.message}: {fields}' if fields else record.message


def _field(value: object) -> str:
    text = str(value)
    return repr(text) if not text or any(char.isspace() for char in text) else text
