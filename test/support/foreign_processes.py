# SPDX-License-Identifier: Apache-2.0
"""For tests of processes that the gateway may not signal.

The gateway runs without CAP_KILL (man 7 capabilities): to root without it, another user's
process is what root's is to everybody else.
"""

import os
import pwd
import shutil
import subprocess

import pytest

UID = 65534
_AS_OTHER = ('setpriv', f'--reuid={UID}', f'--regid={UID}', '--clear-groups')
AS_OTHER = ' '.join(_AS_OTHER)
"""Put before a command in a script: the command runs as another user."""
WITHOUT_KILL = ('setpriv', '--bounding-set=-kill', '--inh-caps=-kill')
"""Put before a gateway: it may signal its own user's processes only."""
WITHOUT_CGROUPS = ('unshare', '--mount', 'sh', '-c', 'umount -a -t cgroup2; exec "$@"', 'sh')
"""Put before that: no kernel's `cgroup.kill`, which asks for no permission, ends what is left."""


def user() -> str:
    """Return the other user's name."""
    try:
        return pwd.getpwuid(UID).pw_name
    except KeyError:
        return str(UID)


def skip_where_users_cannot_change() -> None:
    """Skip where this process may not run another one as somebody else."""
    if os.geteuid() != 0:
        pytest.skip('only root may start a process of another user')
    if shutil.which('setpriv') is None:
        pytest.skip('setpriv (util-linux) is not installed')
    probed = subprocess.run(
        (*WITHOUT_CGROUPS, *WITHOUT_KILL, *_AS_OTHER, 'true'), check=False, capture_output=True
    )
    if probed.returncode != 0:
        pytest.skip(f'users cannot be changed here: {probed.stderr.decode().strip()}')
