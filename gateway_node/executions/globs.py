# SPDX-License-Identifier: Apache-2.0
"""Globs as clients and operators write them: `*` is any text, `?` one character. Pure."""

from collections.abc import Iterable
import fnmatch
from functools import lru_cache
import re


def is_pattern(path: str) -> bool:
    """Tell whether what is given for entities is a pattern of their paths."""
    return not {'*', '?'}.isdisjoint(path)


def paths_like(patterns: Iterable[str], paths: Iterable[str]) -> frozenset[str]:
    """Return those of the paths that are among the patterns, or match one of them.

    No pattern takes long: fnmatch tries only the first place of what stands between two `*`.
    """
    return frozenset(filter(_expression(tuple(patterns)).fullmatch, paths))


def covered(globs: Iterable[str], patterns: Iterable[str]) -> bool:
    """Tell whether one of the globs matches, for each of the patterns, all that this matches.

    So it is where a glob matches the text of the pattern, as long as no `?` stands for a `*`.
    Where several globs are needed to match all of it the answer is no.
    """
    exact = tuple(each.replace('?', '[!*]') for each in map(_without_classes, globs))
    return all(any(fnmatch.fnmatchcase(each, glob) for glob in exact) for each in patterns)


@lru_cache(maxsize=256)
def _expression(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile('|'.join(map(fnmatch.translate, map(_without_classes, patterns))))


def _without_classes(pattern: str) -> str:
    """Return a pattern for fnmatch, whose character classes are no part of these."""
    return pattern.replace('[', '[[]')
