"""Lets no file grow, and has the system end the process that writes beyond the limit."""

import resource
import signal
import sys

signal.signal(signal.SIGXFSZ, signal.SIG_DFL if sys.argv[1] == "default" else lambda *_: print("told"))
resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))
print(signal.sigpending(), signal.pthread_sigmask(signal.SIG_BLOCK, []))
