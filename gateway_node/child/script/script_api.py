# SPDX-License-Identifier: Apache-2.0
"""The script API: parameters in, progress and a result out, a ROS node for the time between.

It also works where a script is tried by hand: progress is then nobody's, the result is printed.
"""

import codecs
from collections.abc import Iterator, Mapping
import contextlib
import functools
import json
import math
import os
import re
import signal
import sys
from typing import Any, NoReturn

from gateway_node import strict_json
from gateway_node.child.contract import (
    EXECUTION_ID_VARIABLE,
    MAX_PROGRESS_LINE_BYTES,
    MAX_RESULT_BYTES,
    PROGRESS_VARIABLE,
    RESULT_VARIABLE,
)

_SHORT_MESSAGE = 600
"""Characters of a message that fit into a line however they are escaped."""


@functools.cache
def parameters() -> Mapping[str, Any]:
    """Return the execution's parameters; empty without any. Reads stdin, once.

    Raises:
        ValueError: stdin holds something that is no JSON object, or none within the bounds.
    """
    if sys.stdin is None or sys.stdin.isatty():
        return {}
    content = sys.stdin.buffer.read()
    if not content.removeprefix(codecs.BOM_UTF8).strip():
        return {}
    try:
        values = strict_json.parse(content)
    except strict_json.JsonRefused as error:
        raise ValueError(f'what stands on stdin {error}') from error
    if not isinstance(values, dict):
        raise ValueError(f'parameters are a JSON object, not {content[:80]!r}')
    return values


def progress(percent: float, message: str | None = None) -> None:
    """Say how far the script is: 0 to 100 percent (clamped), and what it is at.

    Never waits: where the gateway is not reading, what was said is dropped.

    Raises:
        ValueError: `percent` is no number.
    """
    if math.isnan(percent):
        raise ValueError('progress is a number from 0 to 100, not NaN')
    said: dict[str, Any] = {'progress': min(max(percent, 0), 100)}
    if message is not None:
        # A file's name, say, can hold lone surrogates, which no JSON can carry.
        message = str(message).encode(errors='replace').decode()
        said['message'] = message
    line = json.dumps(said).encode() + b'\n'
    if len(line) > MAX_PROGRESS_LINE_BYTES and message is not None:
        said['message'] = message[:_SHORT_MESSAGE]
        line = json.dumps(said).encode() + b'\n'
    channel = _progress_channel()
    if channel is not None:
        with contextlib.suppress(OSError):
            os.write(channel, line)


def result(values: Mapping[str, Any]) -> None:
    """Give the execution's output parameters; the last call counts.

    Raises:
        TypeError, ValueError: `values` are no JSON object within the bounds that the gateway
            keeps, or longer than MAX_RESULT_BYTES.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f'a result is a mapping, not {type(values).__name__}')
    try:
        text = json.dumps(dict(values))
        # What the gateway would read: with keys as texts, so that 1 and '1' are one name twice.
        strict_json.parse(text.encode())
    except RecursionError as error:
        levels = strict_json.MAX_DEPTH
        raise ValueError(f'the result is nested deeper than {levels} levels') from error
    except strict_json.JsonRefused as error:
        raise ValueError(f'the result {error}') from error
    if len(text) > MAX_RESULT_BYTES:
        raise ValueError(f'a result has at most {MAX_RESULT_BYTES} bytes, not {len(text)}')
    path = os.environ.get(RESULT_VARIABLE)
    if path is None:
        sys.stdout.write(f'{text}\n')
        return
    incoming = f'{path}.{os.getpid()}'
    with open(incoming, 'w') as file:
        file.write(text)
    os.replace(incoming, path)


@contextlib.contextmanager
def ros_node(name: str | None = None) -> Iterator[Any]:
    """Give an `rclpy.node.Node`, hidden by a leading `_`, and tear it down at the end.

    rclpy is initialised for it; `rclpy.spin_once(node)` and its like work. A stop of the
    execution ends the block by SystemExit, so that the teardown takes place.

    Raises:
        ImportError: the script environment has no rclpy.
    """
    import rclpy

    previous = signal.signal(signal.SIGTERM, _leave)
    rclpy.init(args=[])
    try:
        node = rclpy.create_node(name or _node_name())
        try:
            yield node
        finally:
            node.destroy_node()
    finally:
        rclpy.try_shutdown()
        signal.signal(signal.SIGTERM, previous)


def _leave(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _node_name() -> str:
    execution = os.environ.get(EXECUTION_ID_VARIABLE, str(os.getpid()))
    return '_script_' + re.sub(r'\W', '_', execution, flags=re.ASCII).lower()


@functools.cache
def _progress_channel() -> int | None:
    path = os.environ.get(PROGRESS_VARIABLE)
    if path is None:
        return None
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None
