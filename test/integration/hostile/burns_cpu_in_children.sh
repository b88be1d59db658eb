# SPDX-License-Identifier: Apache-2.0
# Three children spin, for a minute at most.
for _ in 1 2 3; do
  timeout 60 sh -c 'while :; do :; done' &
done
wait
