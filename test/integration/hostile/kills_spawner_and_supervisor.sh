# SPDX-License-Identifier: Apache-2.0
# Leaves a daemon, then kills both processes above it.
setsid sleep 600 &
spawner=$(awk '/^PPid/ {print $2}' /proc/$PPID/status)
kill -KILL "$spawner"
sleep 0.2
kill -KILL $PPID
sleep 600
