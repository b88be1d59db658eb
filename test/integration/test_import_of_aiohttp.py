# SPDX-License-Identifier: Apache-2.0
"""aiohttp is imported without the certificates that it reads then, and that nothing here uses."""

import subprocess
import sys

_PROGRAM = """
import gc, ssl
from gateway_node.unneeded_imports import nobody_trusted
inherited = ssl.SSLContext.set_default_verify_paths
with nobody_trusted():
    import aiohttp
made = [each for each in gc.get_objects() if isinstance(each, ssl.SSLContext)]
print(sum(each.cert_store_stats()['x509'] for each in made))
assert all(each.check_hostname for each in made if each.verify_mode is ssl.CERT_REQUIRED)
assert ssl.SSLContext.set_default_verify_paths is inherited
"""


def test_nobody_is_trusted_by_what_aiohttp_makes_at_its_import() -> None:
    """And nothing of the standard library is other than it was behind it."""
    made = subprocess.run(
        [sys.executable, '-c', _PROGRAM], check=False, capture_output=True, text=True, timeout=60
    )
    assert (made.returncode, made.stdout) == (0, '0\n'), made.stderr
