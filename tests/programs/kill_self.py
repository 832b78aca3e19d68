"""Die of the signal that the first argument names."""

import os
import signal
import sys

held = [bytes(100) for _ in range(10_000)]
print("before", flush=True)
os.kill(os.getpid(), getattr(signal, sys.argv[1]))
print("survived")
