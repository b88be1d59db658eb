# SPDX-License-Identifier: Apache-2.0
"""Takes itself out of what is loaded."""

import sys

del sys.modules['__main__']
print('removed')
