# SPDX-License-Identifier: Apache-2.0
# Closes its output and goes on.
exec >&- 2>&-
sleep 1
exit 5
