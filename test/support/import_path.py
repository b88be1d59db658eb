# SPDX-License-Identifier: Apache-2.0
"""Where a program that a test starts finds what tests import."""

import os
from pathlib import Path

_SUPPORT = Path(__file__).parent
IMPORT_PATH = os.pathsep.join((str(_SUPPORT), str(_SUPPORT.parent)))
"""For PYTHONPATH: this folder, and that of the fakes."""
