# SPDX-License-Identifier: Apache-2.0
"""Has a hook that fails itself."""

import sys


def fails(kind, value, traceback):
    raise ValueError('in the hook')


sys.excepthook = fails
raise LookupError('hook me')
