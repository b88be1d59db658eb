# SPDX-License-Identifier: Apache-2.0
"""The gateway where Python gets no thread, as above a limit on the user's or the service's."""

import threading
from typing import NoReturn
from unittest.mock import patch

from gateway_node.__main__ import main, NO_THREAD


def refuse(_: threading.Thread) -> NoReturn:
    """Fail as `Thread.start` does."""
    raise RuntimeError(NO_THREAD)


with patch.object(threading.Thread, 'start', refuse):
    main()
