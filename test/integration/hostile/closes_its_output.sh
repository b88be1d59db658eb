# Closes its output and goes on.
exec >&- 2>&-
sleep 1
exit 5
