# SPDX-License-Identifier: Apache-2.0
"""Writes 50 MiB into its working directory; Python turns the limit into an error."""

with open('large', 'wb') as file:
    file.writelines(bytes(1024 * 1024) for _ in range(50))
