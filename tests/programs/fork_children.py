"""Fork children that allocate, and end in every way; none may disturb its parent."""

import atexit
import logging  # has fork hooks of its own, in Python
import os
import sys

atexit.register(print, "exit function", flush=True)
os.register_at_fork(after_in_parent=lambda: [str(number) for number in range(100)])
logging.getLogger()
held = [bytes(500) for _ in range(5000)]


def child(how):
    own = [str(index) for index in range(5000)]
    held.clear()
    if how == "return":
        return
    if how == "exit":
        sys.exit(5)
    if how == "raise":
        raise ValueError(f"in the child, holding {len(own)}")
    os._exit(9)


for how in ("return", "exit", "raise", "at once"):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        child(how)
        sys.exit()
    _, status = os.waitpid(pid, 0)
    print(how, status, len(held), flush=True)
