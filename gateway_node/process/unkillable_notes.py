# SPDX-License-Identifier: Apache-2.0
"""What executions left that nobody could end, kept for later gateways of the same boot."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
import json
from pathlib import Path

from gateway_node.child.exposed_files import replace_file
from gateway_node.child.process_tree import Identity
from gateway_node.clock import read_boot_id
from gateway_node.executions.values import UnkillableProcess
from gateway_node.process.kept_files import read_regular

_MAX_BYTES = 1024 * 1024


def lives(process: UnkillableProcess) -> bool:
    """Tell whether exactly this process still lives."""
    return Identity(process.pid, process.start_ticks).lives


class UnkillableNotes:
    """One small file, written where an execution left something, which is rare."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._boot_id = read_boot_id()

    def remember(self, execution_id: str, left: Sequence[UnkillableProcess]) -> None:
        """Add what an execution left; where nothing can be written, nothing is remembered."""
        noted = {**self.living(), execution_id: tuple(left)}
        executions = {each: [asdict(p) for p in processes] for each, processes in noted.items()}
        content = json.dumps({'boot_id': self._boot_id, 'executions': executions})
        replace_file(str(self._file), content.encode())

    def living(self) -> Mapping[str, tuple[UnkillableProcess, ...]]:
        """Return what still lives of what was noted in this boot, by execution id."""
        try:
            noted = json.loads(read_regular(self._file, _MAX_BYTES))
            if noted['boot_id'] != self._boot_id:
                return {}
            left = {
                execution_id: [UnkillableProcess(**each) for each in processes]
                for execution_id, processes in noted['executions'].items()
            }
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}
        living = {each: tuple(filter(lives, processes)) for each, processes in left.items()}
        return {each: processes for each, processes in living.items() if processes}
