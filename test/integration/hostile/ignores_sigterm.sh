# Cannot be asked to end.
trap '' TERM
echo up
while :; do sleep 1; done
