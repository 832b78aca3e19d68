"""Be interrupted, as by Ctrl-C, in the middle of work, with clean-up on the way out."""

import os
import signal

try:
    held = [bytes(100) for _ in range(1000)]
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        held.append(bytes(1))
finally:
    print("cleaned up")
