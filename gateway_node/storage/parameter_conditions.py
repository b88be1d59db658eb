# SPDX-License-Identifier: Apache-2.0
"""Filters as conditions on what lists leave out: input and output parameters. Pure.

They are decided here and not in SQL: the texts are stored as ASCII, `é` as an escape, and SQLite
knows the cases of no other letters.
"""

from collections.abc import Callable, Iterable
import json
from typing import Any

from gateway_node.executions.filters import ExecutionFilter

_decoder = json.JSONDecoder()


def parameters_condition(wanted: ExecutionFilter) -> Callable[[str], bool] | None:
    """Return what tells whether stored parameters are as wanted; None where any are."""
    if wanted.result_contains is None and not wanted.parameters:
        return None
    texts = None if wanted.result_contains is None else _written(wanted.result_contains)
    given = {name: tuple(map(_meant, values)) for name, values in wanted.parameters.items()}

    def holds(stored: str) -> bool:
        # [input, output, …]; the output is parsed where that is needed only.
        values, end = _decoder.raw_decode(stored, 1)
        if not all(name in values and _is_any(values[name], each) for name, each in given.items()):
            return False
        if texts is None:
            return True
        result, result_end = _decoder.raw_decode(stored, end + 1)
        return result is not None and _contains(result, stored[end + 1 : result_end], texts)

    return holds


def _written(text: str) -> tuple[str, str]:
    """Return a text as a part of JSON, and as it stands within a text of JSON."""
    return text.casefold(), json.dumps(text, ensure_ascii=False)[1:-1].casefold()


def _contains(result: Any, stored: str, texts: Iterable[str]) -> bool:
    if '\\u' in stored:
        stored = json.dumps(result, ensure_ascii=False, separators=(',', ':'))
    written = stored.casefold()
    return any(text in written for text in texts)


def _meant(text: str) -> tuple[str, str | None]:
    """Return a text, and which JSON it is, where it is any that is not a text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text, None
    return text, None if isinstance(value, str) else _canonical(value)


def _is_any(value: Any, wanted: Iterable[tuple[str, str | None]]) -> bool:
    if isinstance(value, str):
        return any(value == text for text, _ in wanted)
    written = _canonical(value)
    return any(written == canonical for _, canonical in wanted)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
