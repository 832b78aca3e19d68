"""Use tracemalloc, as if nobody else traced."""

import tracemalloc

tracemalloc.start(5)
held = [bytes(1000) for _ in range(1000)]
snapshot = tracemalloc.take_snapshot()
[line] = [
    stat
    for stat in snapshot.statistics("lineno")
    if stat.traceback[0].lineno == 6 and stat.traceback[0].filename == __file__
]
print(line.count, line.size)
trace = tracemalloc.get_object_traceback(held[0])
print([(frame.filename == __file__, frame.lineno) for frame in trace])
tracemalloc.stop()
del held
print(tracemalloc.get_traced_memory())
