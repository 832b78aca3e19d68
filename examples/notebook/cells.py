"""The cells of docs/how-to/notebooks.md, in their order."""

# %% begin
import heapsight

heapsight.enable()

# %% compare
before = heapsight.Snapshot.create().top_by("line")

table = [{"id": number, "name": f"row {number}"} for number in range(10_000)]

after = heapsight.Snapshot.create().top_by("line")
for size, _, count, _, (filename, line) in after.compare_to(before).differences[:3]:
    print(f"{size:+,} bytes in {count:+,} blocks at {filename}:{line}")

# %% peak
heapsight.reset_peak()
held = heapsight.get_traced_memory()

total = sum([number * number for number in range(100_000)])

print(f"{heapsight.get_traced_peak() - held:,} bytes more at the peak of this cell")

# %% paths
heapsight.set_traceback_limit(None)


def load():
    return bytearray(1_000_000)


kept = load()

snapshot = heapsight.Snapshot.create(with_traces=True)
largest = max(snapshot.traces.values(), key=lambda trace: trace.size)
for frame in largest.traceback:
    print(f"{frame.filename}:{frame.lineno} {frame.name}")

# %% write
snapshot.write("cell.heapsight")
heapsight.disable()
