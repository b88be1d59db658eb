# SPDX-License-Identifier: Apache-2.0
# Leaves a daemon, kills the process that watches it, and stays.
setsid sleep 600 &
echo up
kill -KILL $PPID
sleep 600
