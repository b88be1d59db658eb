# SPDX-License-Identifier: Apache-2.0
"""Leaves as if by itself."""

raise SystemExit
