# SPDX-License-Identifier: Apache-2.0
"""What a supervisor shows of the output while its script runs, and who wants to hear of it."""

from collections.abc import Callable
import contextlib
import os
from pathlib import Path
import threading

from gateway_node.child.exposed_files import replace_file
from gateway_node.child.output_frames import TAIL_FILE
from gateway_node.child.shared_tail import MEMORY_BYTES, newest
from gateway_node.executions.listeners import Guard

_READ_ATTEMPTS = 3
"""Of shared memory: a reader that is delayed can find both of its slots being written."""


class SharedOutput:
    """What a supervisor shows of the output beyond the files, for as long as this is open.

    Takes the descriptor over. Reading is for threads.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._open = True
        self._lock = threading.Lock()

    def read(self) -> bytes:
        """Return what the tail's file would hold; empty where there is nothing to be had."""
        for _ in range(_READ_ATTEMPTS):
            with self._lock, contextlib.suppress(OSError):
                memory = os.pread(self._descriptor, MEMORY_BYTES, 0) if self._open else b''
                if content := newest(memory):
                    return content
        return b''

    def close(self) -> None:
        """Let the memory go."""
        with self._lock:
            if self._open:
                os.close(self._descriptor)
                self._open = False


class RunningOutput:
    """The output of one script, on the event loop's thread, until its end is known."""

    def __init__(self) -> None:
        self.shared: SharedOutput | None = None
        """What the supervisor shows beyond the files."""
        self._watchers: dict[object, Callable[[], None]] = {}
        self._guard = Guard()

    def take(self, descriptor: int) -> None:
        """Take over a descriptor of the memory in which the supervisor shows it."""
        if self.shared is None:
            self.shared = SharedOutput(descriptor)
        else:
            os.close(descriptor)

    def watch(self, on_output: Callable[[], None]) -> Callable[[], None]:
        """Call `on_output` whenever there may be more; return what ends that."""
        watcher = object()
        self._watchers[watcher] = on_output

        def end() -> None:
            self._watchers.pop(watcher, None)

        return end

    def tell(self) -> None:
        """Tell all who watch that there may be more."""
        for watcher in tuple(self._watchers.values()):
            self._guard.tell(watcher)

    def keep(self, directory: Path) -> None:
        """Write what the supervisor, which is gone, would have written as the tail; blocks."""
        if self.shared is not None:
            keep_shared_output(directory, self.shared)

    def close(self) -> None:
        """Let go of what the supervisor showed; the files hold it."""
        if self.shared is not None:
            self.shared.close()


def keep_shared_output(directory: Path, shared: SharedOutput) -> None:
    """Write what the supervisor, which is gone, would have written as the tail."""
    path = directory / TAIL_FILE
    content = shared.read()
    if content and not path.exists():
        replace_file(str(path), content)
