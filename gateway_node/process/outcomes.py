"""From a supervisor's last words to an outcome."""

from collections.abc import Mapping
import json
import logging
from pathlib import Path
from typing import Any, NoReturn

from gateway_node.child.workplace import END_FILE, GIVEN_RESULT_FILE
from gateway_node.executions.ports import EndCause, LimitReached, Outcome
from gateway_node.executions.values import ResourceUse
from gateway_node.process.output_log import read_whole_stdout

_log = logging.getLogger(__name__)

MAX_RESULT_BYTES = 1024 * 1024


def outcome_of_report(report: Mapping[str, Any], directory: Path) -> Outcome:
    """Return the outcome that a supervisor's `EndReport` tells."""
    limit = report['limit']
    result, complaint = read_given_result(directory)
    return Outcome(
        cause=EndCause(report['cause']),
        exit_code=report['exit_code'],
        signal=report['signal'],
        message=report['message'] or complaint,
        limit=None if limit is None else LimitReached(**limit),
        duration_sec=report['duration_sec'],
        leftover_processes=report['leftover_processes'],
        unkillable_pids=tuple(report['unkillable_pids']),
        resource_use=ResourceUse(
            max_memory_bytes=report['max_memory_bytes'], cpu_sec=report['cpu_sec']
        ),
        end_asked=report['end_asked'],
        result=result,
        stdout=read_whole_stdout(directory, report['stdout_bytes']),
    )


def read_end_report(directory: Path) -> dict[str, Any] | None:
    """Return what the supervisor wrote before it ended, or None."""
    try:
        report = json.loads((directory / END_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) else None


def read_given_result(directory: Path) -> tuple[Mapping[str, Any] | None, str]:
    """Return what the script gave as its result, or None, and what is wrong with it."""
    path = directory / GIVEN_RESULT_FILE
    try:
        with path.open('rb') as file:
            content = file.read(MAX_RESULT_BYTES + 1)
    except OSError:
        return None, ''
    if len(content) > MAX_RESULT_BYTES:
        return None, f"the script's result is longer than {MAX_RESULT_BYTES} bytes"
    try:
        result = json.loads(content, parse_constant=_refuse_constant)
        # Lone surrogates, and 1e999, which becomes Infinity, cannot be served again.
        json.dumps(result, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        return None, f"the script's result is no JSON: {error}"
    if not isinstance(result, dict):
        return None, "the script's result is no JSON object"
    return result, ''


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f'{constant} is no JSON value')
