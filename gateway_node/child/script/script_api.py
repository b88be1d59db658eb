# SPDX-License-Identifier: Apache-2.0
"""The script API: parameters in, progress and a result out, a ROS node for the time between.

It also works where a script is tried by hand: progress is then nobody's, the result is printed.
"""

import _thread
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
from typing import Any, NoReturn, TYPE_CHECKING

from gateway_node import strict_json
from gateway_node.child.contract import (
    ARTIFACTS_VARIABLE,
    EXECUTION_ID_VARIABLE,
    MAX_PROGRESS_LINE_BYTES,
    MAX_RESULT_BYTES,
    PROGRESS_VARIABLE,
    RESULT_VARIABLE,
    VERDICTS,
)

if TYPE_CHECKING:
    from pathlib import Path

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
        said['message'] = message = _text(message)
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

    What `check`, `verdict` and `metric` say, before or after, comes on top.

    Raises:
        TypeError, ValueError: `values` are no JSON object within the bounds that the gateway
            keeps, or the result is longer than MAX_RESULT_BYTES.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f'a result is a mapping, not {type(values).__name__}')
    given = _plain(dict(values))
    with _lock:
        _say(given, given=given)


@functools.cache
def artifacts() -> 'Path':
    """Return the folder of the files that are to be kept with the execution.

    By hand it is a new temporary one, which is named on stderr.
    """
    from pathlib import Path

    path = os.environ.get(ARTIFACTS_VARIABLE)
    if path is None:
        import tempfile

        path = tempfile.mkdtemp(prefix='artifacts_')
        sys.stderr.write(f'the artifacts are in {path}\n')
    return Path(path)


def check(
    name: str,
    verdict: object,
    *,
    value: Any = None,
    unit: str | None = None,
    expected: Any = None,
    hint: str | None = None,
) -> None:
    """Say how one of the things is that the script looks at.

    `verdict` is PASS, WARN, FAIL or SKIP; what is no text is PASS where it is true, else FAIL.
    `value` and what was `expected` are JSON values.

    Raises:
        TypeError, ValueError: the verdict is another text, a value cannot be JSON within the
            bounds, or the result is longer than MAX_RESULT_BYTES.
    """
    if not isinstance(verdict, str):
        verdict = 'PASS' if verdict else 'FAIL'
    fields = {
        'name': _text(name),
        'verdict': _one_of_four(verdict),
        'value': value,
        'unit': _text(unit),
        'expected': expected,
        'hint': _text(hint),
    }
    said = _plain({'checks': [_without_none(fields)]})
    with _lock:
        _say(said, checks=[*_said['checks'], json.dumps(said['checks'][0])])


def verdict(verdict: str, summary: str | None = None) -> None:
    """Say what the script found: PASS, WARN, FAIL or SKIP, and in one line why.

    The last call counts; without any, the worst of the checks is the verdict.

    Raises:
        ValueError: it is none of these, or the result is longer than MAX_RESULT_BYTES.
    """
    said = _without_none({'verdict': _one_of_four(verdict), 'summary': _text(summary)})
    with _lock:
        _say(said, verdict=said)


def metric(name: str, value: float) -> None:
    """Say what the script measured; of one name the last call counts.

    Raises:
        TypeError, ValueError: it is no finite number, or the result is longer than
            MAX_RESULT_BYTES.
    """
    try:
        finite = not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise ValueError(f'a metric is a finite number, not {value}')
    said = {str(_text(name)): value if isinstance(value, int) else float(value)}
    with _lock:
        _say({'metrics': said}, metrics=_said['metrics'] | said)


_said: dict[str, Any] = {'given': {}, 'verdict': {}, 'checks': [], 'metrics': {}}
"""All that the script said of its result; the checks as JSON, for it is written with each."""
_lock = _thread.RLock()
"""Scripts look at several things at a time. From `_thread`, for `threading` takes long to import;
a handler of signals may speak too."""


def _say(told: Mapping[str, Any], **changes: Any) -> None:
    """Change what was said, and write it at once: a script may be killed at any moment.

    By hand, what this call told is printed instead.
    """
    text = _result_text({**_said, **changes})
    if len(text) > MAX_RESULT_BYTES:
        raise ValueError(f'a result has at most {MAX_RESULT_BYTES} bytes, not {len(text)}')
    _said.update(changes)
    path = os.environ.get(RESULT_VARIABLE)
    if path is None:
        sys.stdout.write(f'{json.dumps(told)}\n')
        return
    incoming = f'{path}.{os.getpid()}'
    with open(incoming, 'w') as file:
        file.write(text)
    os.replace(incoming, path)


def _result_text(said: Mapping[str, Any]) -> str:
    values = {**said['given'], **said['verdict']}
    if said['metrics']:
        given = values.get('metrics')
        values['metrics'] = {**(given if isinstance(given, dict) else {}), **said['metrics']}
    if not said['checks']:
        return json.dumps(values)
    given = values.pop('checks', None)
    checks = [json.dumps(each) for each in given] if isinstance(given, list) else []
    values_text = json.dumps(values)[1:-1]
    checks_text = ', '.join(checks + said['checks'])
    return f'{{{values_text}{", " if values_text else ""}"checks": [{checks_text}]}}'


def _plain(values: dict[Any, Any]) -> Any:
    """Return values as the gateway would read them: with keys as texts, so that 1 and '1' are one
    name twice."""
    try:
        return strict_json.parse(json.dumps(values).encode())
    except RecursionError as error:
        levels = strict_json.MAX_DEPTH
        raise ValueError(f'the result is nested deeper than {levels} levels') from error
    except strict_json.JsonRefused as error:
        raise ValueError(f'the result {error}') from error


def _one_of_four(verdict: str) -> str:
    if verdict not in VERDICTS:
        raise ValueError(f'a verdict is one of {", ".join(VERDICTS)}, not {verdict!r}')
    return verdict


def _text(text: str | None) -> str | None:
    """Return a text that JSON can carry: a file's name, say, can hold lone surrogates."""
    return None if text is None else str(text).encode(errors='replace').decode()


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


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
