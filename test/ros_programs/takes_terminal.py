# SPDX-License-Identifier: Apache-2.0
"""Makes the terminal of its first argument its controlling one; becomes the command after it."""

import os
import sys

os.setsid()
# The first terminal that a session's leader opens is the session's (man 4 tty_ioctl).
os.dup2(os.open(sys.argv[1], os.O_RDWR), 0)
os.execvp(sys.argv[2], sys.argv[2:])
