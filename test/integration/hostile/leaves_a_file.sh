# SPDX-License-Identifier: Apache-2.0
# Leaves a file, says so, and waits.
echo said > "$GATEWAY_ARTIFACTS/log"
echo up
exec sleep 600
