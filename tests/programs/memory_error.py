"""Ask for more memory than there is, at once and bit by bit, and go on."""

import gc
import resource

try:
    bytearray(1 << 60)
except MemoryError:
    print("refused at once")

# A collection that finds no memory says so on stderr, and when it comes depends on what else was allocated.
gc.disable()
with open("/proc/self/statm") as file:
    in_use = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (in_use + (256 << 20),) * 2)
held = []
try:
    while True:
        held.append(bytearray(1 << 20))
except MemoryError:
    print("refused in the end", len(held) > 100)
small = []
try:
    while True:
        small.append([b"%d" % len(small)])
except MemoryError:
    got = len(small)
    del held[:50]
print("and again for small ones", got > 100)
held.clear()
small.clear()
print(sum(len(str(index)) for index in range(10_000)))
raise MemoryError
