"""End while no memory is left, down to small blocks: what runs at the end has to do without."""

import gc
import resource

gc.disable()
with open("/proc/self/statm") as file:
    in_use = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (in_use + (256 << 20),) * 2)
held = [None] * 1_000_000
taken = 0
for size in (1 << 20, 1 << 16, 1 << 12, 1 << 9, 1):
    try:
        while True:
            held[taken] = bytes(size)
            taken += 1
    except (MemoryError, IndexError):
        pass
print("exhausted")
