# SPDX-License-Identifier: Apache-2.0
"""A supervisor without spawner and gateway; argv: its channel's number and its folder.

Whoever started it is its gateway.
"""

import os
import socket
import sys

from gateway_node.child.supervision.program import execute
from gateway_node.child.supervision.script_start import supervise

channel = socket.socket(fileno=int(sys.argv[1]))
os.set_inheritable(channel.fileno(), False)
supervise(channel, os.pidfd_open(os.getppid()), execute, sys.argv[2])
