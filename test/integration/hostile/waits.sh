# Does nothing for ten minutes.
sleep 600
