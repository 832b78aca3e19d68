"""Sampling across everything that ends or changes a session, and single blocks on their way through the allocators.

With a distance of one byte every block is sampled and stands for itself, so that these tests have one right answer.
"""

from __future__ import annotations

import ctypes
import inspect
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from harness import Start

import heapsight
from heapsight import _testing

pytestmark = pytest.mark.usefixtures("untraced")

MEBIBYTE = 1 << 20
#: What a test itself may allocate beside what it is about.
ASIDE = 200_000


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    _testing.fix_sampling_seed(1)
    yield
    _testing.fix_sampling_seed(None)


def is_sampled(obj: object) -> bool:
    """Tell whether the block that holds the object is traced."""
    return heapsight.get_object_trace(obj) is not None


def restart(sample_bytes: int) -> None:
    """Stop and start."""
    heapsight.disable()
    heapsight.enable(sample_bytes=sample_bytes)


CHANGES: dict[str, Callable[[int], None]] = {
    "clear": lambda _: heapsight.clear_traces(),
    "disable and enable": restart,
    "limit": lambda _: heapsight.set_traceback_limit(7),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("sample_bytes", [1, 4096])
def test_blocks_from_before_a_change_never_count_after_it(change: str, sample_bytes: int) -> None:
    heapsight.enable(sample_bytes=sample_bytes)
    held = [bytes(1000) for _ in range(5000)]
    arrays = [bytearray(10_000) for _ in range(100)]
    CHANGES[change](sample_bytes)
    assert heapsight.is_enabled()
    assert heapsight.get_traced_memory() < ASIDE
    for array in arrays:
        del array[100:]
    del held[1000:]
    assert not any(map(is_sampled, held))
    assert 0 <= heapsight.get_traced_memory() < ASIDE
    held += [bytes(1000) for _ in range(2000)]
    assert 1_000_000 < heapsight.get_traced_memory() < 4_000_000
    del held, arrays
    assert 0 <= heapsight.get_traced_memory() < ASIDE


def test_blocks_from_before_a_fork_end_in_the_child_without_trace() -> None:
    heapsight.enable(sample_bytes=1)
    held = [bytes(1000) for _ in range(5000)]
    before = heapsight.get_traced_memory()

    def child() -> list[int]:
        held.clear()
        after_end = heapsight.get_traced_memory()
        heapsight.clear_traces()
        return [after_end, heapsight.get_traced_memory()]

    [[after_end, after_clear]] = in_children(child, 1)
    assert before - 6_000_000 < after_end < before - 5_000_000
    assert 0 <= after_clear < ASIDE
    assert len(held) == 5000


def test_a_child_takes_another_sample_than_its_parent() -> None:
    heapsight.enable(sample_bytes=4096)

    def sampled() -> list[int]:
        blocks = [bytes(1000) for _ in range(2000)]
        return [number for number, block in enumerate(blocks) if is_sampled(block)]

    samples = [*in_children(sampled, 2), sampled()]
    assert min(map(len, samples)) > 300
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert likeness(samples[one], samples[other]) < 0.5


def likeness(one: list[int], other: list[int]) -> float:
    """Give the part of `one` that is in `other` too, at the shift at which it is largest: a process may have allocated a little before."""
    known = set(other)
    return max(sum(number + shift in known for number in one) for shift in range(-100, 100)) / len(one)


def in_children(work: Callable[[], list[int]], count: int) -> list[list[int]]:
    """Return what `work` returns in each of several children, forked one right after the other."""
    pipes = [os.pipe() for _ in range(count)]
    pids = []
    for _, writing in pipes:
        pids.append(os.fork())
        if pids[-1] == 0:
            status = 1
            try:
                os.write(writing, ",".join(map(str, work())).encode())
                status = 0
            finally:
                os._exit(status)
    texts = []
    for reading, writing in pipes:
        os.close(writing)
        with os.fdopen(reading) as pipe:
            texts.append(pipe.read())
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * count
    return [[int(number) for number in text.split(",")] for text in texts]


class Worker:
    """A thread that lives on through sessions and does what it is told."""

    def __init__(self) -> None:
        self._orders: Queue[Callable[[], Any] | None] = Queue()
        self._answers: Queue[Any] = Queue()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            self._answers.put(order())

    def do(self, order: Callable[[], Any]) -> Any:
        """Run `order` there, and return what it returns."""
        self._orders.put(order)
        return self._answers.get(timeout=60)

    def end(self) -> None:
        """End the thread."""
        self._orders.put(None)
        self._thread.join()


def test_a_thread_keeps_no_distance_from_an_earlier_session() -> None:
    def allocate() -> list[Any]:
        # Without the GIL: the raw domain has a stream of its own for each thread on every version.
        raw = [NATIVE.PyMem_RawMalloc(1000) for _ in range(100)]
        return [bytes(1000) for _ in range(100)] + raw

    heapsight.enable(sample_bytes=1 << 50)
    worker = Worker()
    try:
        for do in (worker.do, lambda order: order()):
            first = do(allocate)
            assert not any(map(is_sampled, first[:100]))
            for address in first[100:]:
                NATIVE.PyMem_RawFree(address)
        restart(1)
        for do in (worker.do, lambda order: order()):
            second = do(allocate)
            assert all(map(is_sampled, second[:100]))
            assert all(map(_testing.trace_of_address, second[100:]))
            for address in second[100:]:
                NATIVE.PyMem_RawFree(address)
    finally:
        worker.end()


def functions(library: Any) -> Any:
    """Declare the allocators of `library`."""
    for domain in DOMAINS:
        for name, arguments in (("Malloc", 1), ("Calloc", 2), ("Realloc", 2), ("Free", 1)):
            function = getattr(library, domain + name)
            function.restype = None if name == "Free" else ctypes.c_void_p
            function.argtypes = [ctypes.c_size_t] * (arguments - 1) + [ctypes.c_size_t]
    return library


DOMAINS = ["PyMem_Raw", "PyMem_", "PyObject_"]
#: Calls without the GIL: for the raw domain only.
NATIVE = functions(ctypes.CDLL(None))
API = functions(ctypes.PyDLL(None))


class Allocator:
    """One domain, and what the tracer says of it."""

    def __init__(self, domain: str) -> None:
        self.malloc = getattr(API, domain + "Malloc")
        self.calloc = getattr(API, domain + "Calloc")
        self.realloc = getattr(API, domain + "Realloc")
        self.free = getattr(API, domain + "Free")

    @staticmethod
    def size(address: int) -> int | None:
        """Give the size of the traced block at the address."""
        found = _testing.trace_of_address(address)
        return None if found is None else found[0]


@pytest.fixture(params=DOMAINS)
def allocator(request: pytest.FixtureRequest) -> Allocator:
    return Allocator(request.param)


COUNT = 2000
#: Keeps addresses without a number object for each.
Addresses = ctypes.c_size_t * COUNT


def live_here() -> tuple[int, int]:
    """Give (bytes, blocks) that live by every path through this file, in all domains, but for this function itself.

    What it makes stays in CPython's free lists, unless a full collection has emptied them before.
    """
    own_lines, first = inspect.getsourcelines(live_here)
    own = range(first, first + len(own_lines))
    size = blocks = 0
    for _, frames, ((allocated, allocated_blocks), (freed, freed_blocks), _, _) in _testing.get_counters()[1]:
        if frames and frames[0][0] == __file__ and frames[0][1] not in own:
            size += allocated - freed
            blocks += allocated_blocks - freed_blocks
    return size, blocks


@pytest.mark.parametrize("sample_bytes", [None, 1])
@pytest.mark.parametrize("sizes", [(50_000, 100), (50_000, 512), (100, 50_000), (50_000, 0), (0, 300), (300, 513)])
def test_a_block_reallocated_to_another_kind_is_one_block(
    allocator: Allocator, sizes: tuple[int, int], sample_bytes: int | None
) -> None:
    before, after = sizes
    heapsight.enable(sample_bytes=sample_bytes)
    addresses = Addresses()
    size, blocks = live_here()
    for place in range(COUNT):
        addresses[place] = allocator.malloc(before)
    for place in range(COUNT):
        addresses[place] = allocator.realloc(addresses[place], after)
    found_size, found_blocks = live_here()
    assert found_blocks - blocks == pytest.approx(COUNT, abs=50)
    assert found_size - size == pytest.approx(COUNT * after, abs=5000)
    for address in addresses:
        assert allocator.size(address) == after
        allocator.free(address)
    assert live_here()[1] - blocks < 100


def test_a_failed_reallocation_changes_nothing(allocator: Allocator) -> None:
    heapsight.enable(sample_bytes=1)
    address = allocator.malloc(MEBIBYTE)
    heapsight.reset_peak()
    before = heapsight.get_traced_memory()
    for _ in range(100):
        assert allocator.realloc(address, 1 << 62) is None
    assert allocator.size(address) == MEBIBYTE
    assert heapsight.get_traced_memory() - before < ASIDE
    assert heapsight.get_traced_peak() - before < ASIDE
    allocator.free(address)
    assert before - heapsight.get_traced_memory() == pytest.approx(MEBIBYTE, abs=ASIDE)


@pytest.mark.parametrize("sample_bytes", [1, 5000])
def test_failed_allocations_and_blocks_of_no_bytes_are_counted_as_what_they_are(
    allocator: Allocator, sample_bytes: int
) -> None:
    heapsight.enable(sample_bytes=sample_bytes)
    empty = Addresses()
    size, blocks = live_here()
    for place in range(0, COUNT, 2):
        assert allocator.malloc(1 << 62) is None
        assert allocator.calloc(1 << 30, 1 << 31) is None
        empty[place] = allocator.malloc(0)
        empty[place + 1] = allocator.calloc(0, 8)
    found_size, found_blocks = live_here()
    # Five standard errors: see test_sampling_estimates. What else lives here is a few blocks.
    error = 0.0 if sample_bytes == 1 else (COUNT * sample_bytes / 16) ** 0.5
    assert found_blocks - blocks == pytest.approx(COUNT, abs=5 * error + 50)
    assert abs(found_size - size) < (5000 if sample_bytes == 1 else 20 * sample_bytes)
    for address in empty:
        allocator.free(address)


def test_a_growing_list_has_the_peak_that_it_has() -> None:
    peaks = []
    for sample_bytes in (None, 1, 32768):
        heapsight.enable(sample_bytes=sample_bytes)
        grown: list[None] = []
        for _ in range(450_000):
            grown.append(None)
        peaks.append(heapsight.get_traced_peak())
        heapsight.disable()
        del grown
    exact, every, sampled = peaks
    assert every == pytest.approx(exact, abs=ASIDE)
    assert sampled == pytest.approx(exact, rel=0.05)


def test_traces_are_the_blocks_of_the_sample_and_stats_what_they_stand_for() -> None:
    heapsight.enable(sample_bytes=10_000)
    held = [bytes(1000) for _ in range(20_000)]
    line = max(heapsight.get_stats()[__file__].values())
    traces = [trace for trace in heapsight.get_traces().values() if trace.size == held[0].__sizeof__()]
    assert line.count == pytest.approx(20_000, rel=0.2)
    assert 1500 < len(traces) < 3000
    assert line.size / line.count == pytest.approx(traces[0].size, rel=0.01)
    snapshot = heapsight.Snapshot.create(with_traces=True)
    assert snapshot.traces is not None
    assert len(snapshot.traces) < 4000


@pytest.mark.parametrize("sample_bytes", [1, 64, 4096])
def test_nothing_goes_below_zero_whatever_a_program_does(sample_bytes: int) -> None:
    numbers = random.Random(sample_bytes)
    heapsight.enable(sample_bytes=sample_bytes)
    table: list[Any] = [None] * 500
    worker = Worker()
    makers: list[Callable[[int], Any]] = [bytes, bytearray, lambda size: [None] * (size // 8)]

    def make() -> Any:
        size = int(numbers.paretovariate(0.7) * 20) % 50_000
        return numbers.choice(makers)(size)

    def shrink() -> None:
        array = table[numbers.randrange(len(table))]
        if isinstance(array, bytearray):
            del array[numbers.randrange(600) :]

    def grow() -> None:
        array = table[numbers.randrange(len(table))]
        if isinstance(array, bytearray):
            array.extend(bytes(numbers.randrange(3000)))

    def replace() -> None:
        table[numbers.randrange(len(table))] = make()

    def change() -> None:
        if numbers.randrange(50) == 0:
            numbers.choice(list(CHANGES.values()))(sample_bytes)

    try:
        for _ in range(4000):
            do = numbers.choice([replace, replace, shrink, grow, change])
            if numbers.randrange(20) == 0:
                worker.do(do)
            else:
                do()
            assert heapsight.get_traced_memory() <= heapsight.get_traced_peak() < 1 << 35
        (live, _), paths = _testing.get_counters()
        assert live == sum(allocated[0] - freed[0] for _, _, (allocated, freed, _, _) in paths)
        assert all(freed <= allocated for _, _, (allocated, freed, _, _) in paths)
    finally:
        worker.end()


FORK = """
import os
held = [bytes(1000) for _ in range(20_000)]
if os.fork() == 0:
    held.clear()
    own = [bytes(1000) for _ in range(5000)]
    raise SystemExit(0)
held.clear()
raise SystemExit(os.wait()[1])
"""


@pytest.mark.parametrize("sample_bytes", [1, 32768])
def test_a_followed_child_has_in_its_file_what_it_holds_itself(capture: Path, sample_bytes: int) -> None:
    script = capture.with_name("program.py")
    script.write_text(FORK)
    done = Start([script]).traced(capture, "--follow", "--quiet", f"--sample={sample_bytes}")
    assert (done.status, done.errors) == (0, "")
    [child] = capture.parent.glob("run-*.heapsight")
    live, peak = _testing.capture_totals(str(child))
    assert 2_500_000 < live <= peak < 10_000_000
    live, peak = _testing.capture_totals(str(capture))
    assert live < 5_000_000
    assert 10_000_000 < peak < 30_000_000
