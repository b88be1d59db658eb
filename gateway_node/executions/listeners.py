# SPDX-License-Identifier: Apache-2.0
"""Telling listeners what happened: none of them can harm who tells, or the others."""

from collections.abc import Callable
import logging
from typing import ParamSpec

_log = logging.getLogger(__name__)

_Told = ParamSpec('_Told')


class Guard:
    """Calls listeners and logs how they fail: each kind of failure of each listener once.

    What a listener was told of has happened, and goes on, whatever the listener makes of it.
    """

    def __init__(self) -> None:
        self._failures: set[tuple[object, type[Exception]]] = set()

    def tell(
        self,
        listener: Callable[_Told, object],
        *args: _Told.args,
        **kwargs: _Told.kwargs,
    ) -> None:
        """Call the listener; never raises."""
        try:
            listener(*args, **kwargs)
        except Exception as error:
            failure = (listener, type(error))
            if failure not in self._failures:
                self._failures.add(failure)
                _log.exception('a listener failed; this is logged once: %r', listener)
