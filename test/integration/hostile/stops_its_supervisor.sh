# SPDX-License-Identifier: Apache-2.0
# Stops the process that watches it, again and again.
echo up
while :; do
  kill -STOP $PPID
  sleep 0.05
done
