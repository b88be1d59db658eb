# SPDX-License-Identifier: Apache-2.0
"""Exits with more than a number of C holds."""

import sys

sys.exit(1 << 70)
