"""Say, as JSON, everything that a program can easily learn about how it was started."""

import gc
import json
import locale
import os
import signal
import sys
import threading

main = sys.modules["__main__"]
descriptors = []
for name in sorted(os.listdir("/proc/self/fd"), key=int):
    try:
        os.fstat(int(name))
    except OSError:
        continue  # the one that listed them
    descriptors.append(int(name))

report = {
    "argv": sys.argv,
    "orig_argv": getattr(sys, "orig_argv", None),
    "path": sys.path,
    "executable": sys.executable,
    "prefix": [sys.prefix, sys.base_prefix],
    "flags": {
        name: getattr(sys.flags, name)
        for name in dir(sys.flags)
        if not name.startswith(("_", "n_")) and name not in ("count", "index")
    },
    "xoptions": sys._xoptions,
    "warnoptions": sys.warnoptions,
    "environ": dict(os.environ),
    "cwd": os.getcwd(),
    "umask": os.umask(0o22),
    "parent": os.getppid(),
    "group": os.getpgrp(),
    "main": {
        "names": sorted(vars(main)),
        "file": getattr(main, "__file__", None),
        "package": main.__package__,
        "spec": getattr(main.__spec__, "name", None),
        "loader": type(main.__loader__).__name__,
    },
    "modules": sorted(sys.modules),
    "threads": [thread.name for thread in threading.enumerate()],
    "tasks": len(os.listdir("/proc/self/task")),
    "signals": {
        number.name: str(signal.getsignal(number))
        for number in sorted(signal.valid_signals())
        if isinstance(number, signal.Signals)
    },
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "descriptors": descriptors,
    "hooks": [
        str(sys.gettrace()),
        str(sys.getprofile()),
        sys.excepthook is sys.__excepthook__,
        sys.stdout is sys.__stdout__,
    ],
    "recursion": sys.getrecursionlimit(),
    "switch": sys.getswitchinterval(),
    "gc": [gc.isenabled(), gc.get_threshold(), gc.get_debug()],
    "encodings": [
        sys.getfilesystemencoding(),
        sys.stdout.encoding,
        sys.stdin.encoding,
        locale.getpreferredencoding(False),
    ],
    "buffering": [stream.line_buffering for stream in (sys.stdout, sys.stderr)],
}
json.dump(report, sys.stdout)
