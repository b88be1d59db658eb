# SPDX-License-Identifier: Apache-2.0
"""A descriptor that can be read when a child has ended."""

import contextlib
import os
import signal

_READ_BYTES = 4096


class Wakeup:
    """SIGCHLD, for a poll. One a process: it takes Python's wake-up descriptor."""

    def __init__(self) -> None:
        self.descriptor, self._writing = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._writing, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)

    def clear(self) -> None:
        """Take note of what has ended so far."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, _READ_BYTES)

    def close(self) -> None:
        """Wake nobody any more."""
        signal.set_wakeup_fd(-1)
        os.close(self.descriptor)
        os.close(self._writing)
