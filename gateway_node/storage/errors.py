# SPDX-License-Identifier: Apache-2.0
"""Errors of the storage room; StoreUnavailable is the execution room's."""

from pathlib import Path


class StoreVersionError(Exception):
    """The database was written by a newer gateway; it is left as it is."""

    def __init__(self, path: Path, found: int, supported: int) -> None:
        super().__init__(
            f'{path} has schema version {found}, this gateway knows versions up to {supported}; '
            'start a gateway at least as new as the one that wrote it, or use another state_dir'
        )
        self.path = path
        self.found = found
        self.supported = supported


class StateDirectoryInUse(Exception):
    """Another gateway holds the state directory."""

    def __init__(self, directory: Path, pid: int | None, started_at: str | None) -> None:
        holder = 'another process' if pid is None else f'the gateway with pid {pid}'
        since = '' if started_at is None else f', started at {started_at}'
        super().__init__(
            f'the state_dir {directory} is in use by {holder}{since}; '
            'end that one first, or use another state_dir'
        )
        self.directory = directory
        self.pid = pid
        self.started_at = started_at
