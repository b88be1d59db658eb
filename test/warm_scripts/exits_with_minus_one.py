# SPDX-License-Identifier: Apache-2.0
"""Leaves with a number that does not fit."""

import sys

sys.exit(-1)
