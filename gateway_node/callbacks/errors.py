# SPDX-License-Identifier: Apache-2.0
"""Errors of the room of callbacks."""


class CallbackNotFound(Exception):
    """The execution was started without a callback."""

    def __init__(self, execution_id: str) -> None:
        super().__init__(f'execution {execution_id!r} has no callback')
        self.execution_id = execution_id


class CallbackNotDue(Exception):
    """There is no end yet that could be told again."""

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f'execution {execution_id!r} has not ended: its end is told when it is there'
        )
        self.execution_id = execution_id


class EntryInvalid(ValueError):
    """An entry of what is allowed cannot be read."""


class SecretInvalid(Exception):
    """Callbacks cannot be signed; the message names the file and what is allowed."""


class AddressRefused(OSError):
    """A name leads to no address that is allowed.

    An OSError, for that is what a resolver raises.
    """

    def __init__(self, host: str, found: tuple[str, ...]) -> None:
        super().__init__(
            f'{host} leads to {", ".join(found) or "no address"}: not public, and in no entry of '
            'callbacks.allowed'
        )
        self.host = host
        self.found = found
