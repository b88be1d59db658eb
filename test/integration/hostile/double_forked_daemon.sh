# SPDX-License-Identifier: Apache-2.0
# Leaves a daemon in a session of its own, away from its parents.
(setsid sh -c 'sleep 600 &' &)
sleep 0.2
echo up
sleep 600
