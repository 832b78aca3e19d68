"""A job that takes more and more memory, until the kernel ends it (here it ends itself as the kernel would)."""

import os
import signal
import time

results = []


def batch(number):
    """The result of one batch."""
    found = []
    for position in range(2_000):
        found.append(f"result {number}.{position}")
    return found


for number in range(1_000_000):
    results.append(batch(number))
    time.sleep(0.01)
    if number == 100:
        os.kill(os.getpid(), signal.SIGKILL)
