# SPDX-License-Identifier: Apache-2.0
"""Globs as clients and operators write them: `*` is any text, `?` one character. Pure."""

from collections.abc import Iterable
import fnmatch
import re


def is_pattern(path: str) -> bool:
    """Tell whether what is given for entities is a pattern of their paths."""
    return not {'*', '?'}.isdisjoint(path)


def paths_like(patterns: Iterable[str], paths: Iterable[str]) -> frozenset[str]:
    """Return those of the paths that are among the patterns, or match one of them.

    No pattern takes long: fnmatch tries only the first place of what stands between two `*`.
    """
    # Its character classes are no part of these patterns.
    expressions = (fnmatch.translate(each.replace('[', '[[]')) for each in patterns)
    return frozenset(filter(re.compile('|'.join(expressions)).fullmatch, paths))
