"""Write much more than a pipe holds, to both streams."""

import sys

for number in range(200_000):
    print(number, "x" * 60)
    if number % 10 == 0:
        sys.stderr.write(f"{number} {'y' * 60}\n")
