# SPDX-License-Identifier: Apache-2.0
"""Leaves with what is no number."""

import sys

sys.exit('what went wrong')
