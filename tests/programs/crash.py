"""Read address 0, with the fault handler on."""

import ctypes
import faulthandler
import resource
import sys

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
if sys.version_info >= (3, 14):
    faulthandler.enable(all_threads=False, c_stack=False)  # addresses differ from run to run
else:
    faulthandler.enable(all_threads=False)
print("before", flush=True)
ctypes.string_at(0)
