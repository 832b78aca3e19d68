"""Become another program."""

import os
import sys

held = [bytes(100) for _ in range(10_000)]
print("before", flush=True)
os.execv(sys.executable, [sys.executable, "-c", "import sys; print(sys.argv); sys.exit(4)", "after"])
