# SPDX-License-Identifier: Apache-2.0
# Writes 2 GB.
yes | head -c 2000000000
