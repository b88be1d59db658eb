# SPDX-License-Identifier: Apache-2.0
# Ends at once; a child keeps stdout open.
sleep 60 &
exit 0
