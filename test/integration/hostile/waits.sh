# SPDX-License-Identifier: Apache-2.0
# Does nothing for ten minutes.
sleep 600
