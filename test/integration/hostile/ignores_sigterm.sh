# SPDX-License-Identifier: Apache-2.0
# Cannot be asked to end.
trap '' TERM
echo up
while :; do sleep 1; done
