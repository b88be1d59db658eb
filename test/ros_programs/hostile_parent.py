# SPDX-License-Identifier: Apache-2.0
"""Becomes the command of its arguments, and leaves it as badly off as a parent can.

The first argument is a file that is left open for it, where it does not expect one.
"""

import contextlib
import os
import resource
import signal
import sys
import tempfile

INHERITED_FD = 50
GRAPH = (
    *('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_LOG_DIR'),
    *('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'),
)

environment = {
    **{os.fsencode(name): os.fsencode(os.environ[name]) for name in GRAPH if name in os.environ},
    # Neither HOME nor PATH, and an encoding in which a name in another script cannot be written.
    b'LC_ALL': b'C',
    b'PYTHONUTF8': b'0',
    b'PYTHONCOERCECLOCALE': b'0',
    b'ODD_BYTES': b'\xe9\xff',
}
os.setsid()
os.nice(19)
os.umask(0o777)
os.dup2(os.open(sys.argv[1], os.O_RDWR), INHERITED_FD)
for limit, value in ((resource.RLIMIT_NOFILE, 64), (resource.RLIMIT_FSIZE, 4 * 1024 * 1024)):
    resource.setrlimit(limit, (value, value))
for number in signal.valid_signals():
    with contextlib.suppress(OSError):
        signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
gone = tempfile.mkdtemp()
os.chdir(gone)
os.rmdir(gone)
os.close(0)
os.close(1)
os.execve(sys.argv[2], sys.argv[2:], environment)
