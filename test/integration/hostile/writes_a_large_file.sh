# SPDX-License-Identifier: Apache-2.0
# Writes 50 MiB into its working directory.
exec dd if=/dev/zero of=large bs=1M count=50
