"""Read address 0, with the fault handler on."""

import ctypes
import faulthandler
import resource

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
faulthandler.enable(all_threads=False)
print("before", flush=True)
ctypes.string_at(0)
