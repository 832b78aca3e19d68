"""Be interrupted, as by Ctrl-C, in the middle of work, with clean-up on the way out."""

import os
import signal

try:
    held = [bytes(100) for _ in range(1000)]
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(100_000_000):  # an end, should nobody interrupt
        bytes(1)
    print("was not interrupted")
finally:
    print("cleaned up")
