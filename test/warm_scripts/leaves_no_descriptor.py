# SPDX-License-Identifier: Apache-2.0
"""Ends with as many open files as it may have."""

import os
import resource

resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
try:
    while True:
        os.open('/dev/null', os.O_RDONLY)
except OSError:
    print('there are no more')
