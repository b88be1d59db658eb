# Writes 2 GB.
yes | head -c 2000000000
