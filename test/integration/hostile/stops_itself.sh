# SPDX-License-Identifier: Apache-2.0
# Stops itself and waits to be continued.
echo up
kill -STOP $$
sleep 600
