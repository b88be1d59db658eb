# SPDX-License-Identifier: Apache-2.0
"""Has a hook that leaves."""

import sys

sys.excepthook = lambda *_: sys.exit(9)
raise LookupError('hook me')
