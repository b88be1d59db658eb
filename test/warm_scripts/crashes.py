# SPDX-License-Identifier: Apache-2.0
"""Dies in C."""

import ctypes

print('before')
ctypes.string_at(0)
