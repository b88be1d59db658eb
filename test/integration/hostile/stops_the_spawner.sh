# SPDX-License-Identifier: Apache-2.0
# Stops the process that forks supervisors, then kills its own supervisor.
setsid sleep 600 &
kill -STOP "$(awk '/^PPid/ {print $2}' /proc/$PPID/status)"
kill -KILL $PPID
sleep 600
