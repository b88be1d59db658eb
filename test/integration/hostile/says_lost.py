# SPDX-License-Identifier: Apache-2.0
"""Says something that finds no room, and fails."""

import sys

sys.stdout.write('lost\n')
sys.exit(3)
