"""Close every descriptor, as daemons do, then fill their numbers with files of its own."""

import os
import sys

directory = sys.argv[1]
held = [bytes(1000) for _ in range(1000)]
os.closerange(2, 2048)
paths = [os.path.join(directory, f"file{number}") for number in range(900)]
files = [os.open(path, os.O_RDWR | os.O_CREAT) for path in paths]
more = [bytes(1000) for _ in range(1000)]
for number in files:
    os.write(number, b"mine\n")
print(files[0], {os.stat(path).st_size for path in paths})
