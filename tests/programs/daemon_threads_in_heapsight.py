"""Exit while daemon threads are inside of heapsight: argv[1] names what they call as fast as they can."""

import io
import os
import sys
import tempfile
import threading

import heapsight
from heapsight import _testing, tracemalloc

THREADS = 3

folder = tempfile.mkdtemp()  # removed by whoever runs this: its name goes to standard output
print(folder, flush=True)
sys.setswitchinterval(1e-6)
tracemalloc.start() if sys.argv[1].startswith("tracemalloc") else heapsight.enable()
snapshot = None if sys.argv[1].startswith("tracemalloc") else heapsight.Snapshot.create(with_traces=True)


class Index:
    """A number that takes Python code to tell."""

    def __index__(self):
        for number in range(100):
            str(number)
        return 16


class Noisy:
    """An object whose end takes Python code."""

    def __del__(self):
        for number in range(100):
            str(number)


def create():
    heapsight.Snapshot.create(with_traces=True)


def write():
    snapshot.write(os.path.join(folder, f"{threading.get_ident()}.heapsight"))


def load():
    file = os.path.join(folder, f"{threading.get_ident()}.heapsight")
    if not os.path.exists(file):
        snapshot.write(file)
    heapsight.Snapshot.load(file)


def display():
    heapsight.DisplayTop().display_snapshot(snapshot, file=io.StringIO())


def compare():
    snapshot.top_by("address").compare_to(snapshot.top_by("address")).sort()


def apply_filters():
    snapshot.apply_filters([heapsight.Filter(True, "*")])


def switch():
    heapsight.enable()
    heapsight.disable()


def set_limit():
    heapsight.set_traceback_limit(3)


def read():
    heapsight.get_traces()
    heapsight.get_stats()


def index():
    heapsight.get_trace(Index())


def replace_timer():
    heapsight.start_timer(3600, print, (Noisy(),))


def fire_timer():
    _testing.advance_timer(1)


def tracemalloc_functions():
    first, second = tracemalloc.take_snapshot(), tracemalloc.take_snapshot()
    first.statistics("lineno")
    first.compare_to(second, "traceback")


going = threading.Semaphore(0)


def work(call):
    call()
    going.release()
    while True:
        call()


call = globals()[sys.argv[1]]
if call is fire_timer:
    heapsight.start_timer(1, str)
for _ in range(THREADS):
    threading.Thread(target=work, args=(call,), daemon=True).start()
for _ in range(THREADS):
    going.acquire()
