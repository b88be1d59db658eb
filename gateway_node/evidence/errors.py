# SPDX-License-Identifier: Apache-2.0
"""What goes wrong where evidence is taken, kept or compared."""


class EvidenceError(Exception):
    """Base of the errors of this room."""


class Unavailable(EvidenceError):
    """Something that was to be evidence cannot be had; the text says what and why, for a
    person."""


class NotKept(EvidenceError):
    """Evidence cannot be written; the text says why, for a person."""


class EvidenceNotFound(EvidenceError):
    """Of an execution there is no evidence."""

    def __init__(self, execution_id: str, why: str) -> None:
        super().__init__(f'there is no evidence of execution {execution_id!r}: {why}')
        self.execution_id = execution_id


class NothingPassed(EvidenceError):
    """There is nothing to compare an execution with."""

    def __init__(self, execution_id: str, instance: str | None) -> None:
        whose = 'its script' if instance is None else f'its instance {instance!r}'
        super().__init__(
            f'before execution {execution_id!r} no execution of {whose} passed; allowed for '
            '"with": the id of an execution'
        )
        self.execution_id = execution_id
