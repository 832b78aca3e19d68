"""Write to the file named by the first argument which standard streams there are, and which numbers new files get."""

import os
import sys

with open(sys.argv[1], "w") as file:
    print([stream is None for stream in (sys.stdin, sys.stdout, sys.stderr)], file=file)
    print(file.fileno(), os.open(os.devnull, os.O_RDONLY), file=file)
print("to a closed stream")
