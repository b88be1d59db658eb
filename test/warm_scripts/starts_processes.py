# SPDX-License-Identifier: Apache-2.0
"""Starts programs and other interpreters."""

import os
import subprocess
import sys

print(subprocess.run(['sh', '-c', 'echo out; echo "$PARAM_A" >&2; exit 5'], capture_output=True))
asks = 'import sys, os; print(sys.flags.safe_path, sys.argv, len(os.environ))'
print(subprocess.run([sys.executable, '-c', asks, 'x'], capture_output=True, text=True).stdout)
print(os.system('exit 3'), os.popen('echo popen').read())
pid = os.fork()
if pid == 0:
    print('in the fork')
    sys.exit(4)
print(os.waitpid(pid, 0)[1])
