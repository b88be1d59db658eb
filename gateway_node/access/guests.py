# SPDX-License-Identifier: Apache-2.0
"""Who was let in, and stays: a stream lasts only as long as that holds."""

from collections.abc import Callable, Sequence
import contextlib

from gateway_node.access.authentication import Authentication
from gateway_node.executions.actors import Actor


class Guest:
    """An actor, and what let them in."""

    def __init__(
        self, authentication: Authentication, authorization: Sequence[str], actor: Actor
    ) -> None:
        self._authentication = authentication
        self._authorization = authorization
        self._actor = actor

    @property
    def is_let_in(self) -> bool:
        """Whether they would be let in now, as the same."""
        return self._authentication.still_lets_in(self._authorization, self._actor)

    def changes_told_to(
        self, listener: Callable[[], None]
    ) -> contextlib.AbstractContextManager[None]:
        """Have a function called when they may not be let in any more."""
        return self._authentication.changes_told_to(listener)
