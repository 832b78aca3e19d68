"""Programs whose memory is estimated from a sample: run NAME RUNS SAMPLE_BYTES SCALE prints what was there and what each sample said, as JSON.

Nothing in heapsight was tuned for them. Each does what one kind of program does with memory, the same way every time, and returns what it keeps.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import threading
import zlib
from collections.abc import Callable
from typing import Any

import heapsight
from heapsight import _testing

#: One for all: newer interpreters give each new instance less room for its attributes than the one before.
NUMBERS = random.Random()


def list_growth(scale: int) -> Any:
    """Lists that grow by append: one long, many short."""
    long: list[None] = []
    for _ in range(60_000 * scale):
        long.append(None)
    short = []
    for _ in range(3000 * scale):
        one: list[int] = []
        for number in range(12):
            one.append(number)
        short.append(one)
    return long, short


def dict_growth(scale: int) -> Any:
    """One large dict and many small ones."""
    large = {}
    for number in range(12_000 * scale):
        large[number] = float(number)
    small = [{"id": number + 1000, "name": f"name {number}", "tags": None} for number in range(2500 * scale)]
    return large, small


def strings(scale: int) -> Any:
    """Text that is cut, joined and replaced: most of it lives for a moment."""
    lines = [f"{number},{number * 7},{'x' * (number % 50)}" for number in range(8000 * scale)]
    fields = [line.split(",") for line in lines]
    joined = ["".join(line).upper().replace("X", "yz") for line in fields]
    return "\n".join(joined), joined


def nested_json(scale: int) -> Any:
    """A document that is written and read."""
    document = [
        {"key": str(number), "values": [number * 1000, number * 2.5], "inner": {"a": [], "b": {"c": None}}}
        for number in range(2500 * scale)
    ]
    return json.loads(json.dumps(document))


def recursion(scale: int) -> Any:
    """A tree built by a function that calls itself: one call path for each level."""

    def build(depth: int) -> Any:
        if depth == 0:
            return [None] * 20
        return (build(depth - 1), build(depth - 1), bytes(depth * 10))

    return [build(10) for _ in range(4 * scale)]


def big_arrays(scale: int) -> Any:
    """Blocks from a few bytes to many times the sampling distance."""
    NUMBERS.seed(3)
    kept = []
    for number in range(800 * scale):
        array = bytearray(int(NUMBERS.paretovariate(0.8) * 300) % 300_000)
        if number % 4 == 0:
            kept.append(array)
    return kept


def resizing(scale: int) -> Any:
    """Arrays that shrink to next to nothing, grow again, and shrink: reallocated in both directions past pymalloc's limit."""
    NUMBERS.seed(4)
    kept = []
    for number in range(2000 * scale):
        array = bytearray(NUMBERS.randrange(2000, 20_000))
        del array[NUMBERS.randrange(10, 700) :]
        if number % 3 == 0:
            array.extend(bytes(NUMBERS.randrange(100, 3000)))
            del array[NUMBERS.randrange(10, 400) :]
        kept.append(array)
    return kept


def threads(scale: int) -> Any:
    """Threads side by side, each with lists and text of its own."""
    kept: list[Any] = [None] * 4

    def work(slot: int) -> None:
        kept[slot] = [[f"{slot} {number}" * 3] for number in range(3000 * scale)]

    workers = [threading.Thread(target=work, args=(slot,)) for slot in range(len(kept))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return kept


def index_of_words(scale: int) -> Any:
    """A dict of lists that grow: few words are frequent, most are rare."""
    NUMBERS.seed(5)
    index: dict[str, list[int]] = {}
    for place in range(15_000 * scale):
        index.setdefault(f"w{int(NUMBERS.paretovariate(0.7)) % 10**9}", []).append(place + 1000)
    return index


def churn(scale: int) -> Any:
    """Objects that are replaced again and again, in no order, while about as many live."""
    NUMBERS.seed(6)
    table: list[Any] = [None] * (4000 * scale)
    for _ in range(30_000 * scale):
        table[NUMBERS.randrange(len(table))] = bytes(int(NUMBERS.paretovariate(1.1) * 40) % 60_000)
    return table


def objects(scale: int) -> Any:
    """Instances with dicts, slots, cycles, sets and large numbers."""

    class Plain:
        def __init__(self, number: int) -> None:
            self.number = number
            self.me = self
            self.members = {number, number + 1}

    class Slotted:
        __slots__ = ("power",)

        def __init__(self, number: int) -> None:
            self.power = (number + 2) ** 200

    for number in range(1500 * scale):
        Plain(number)
    return [Plain(number) for number in range(1500 * scale)], [Slotted(number) for number in range(2500 * scale)]


def exceptions(scale: int) -> Any:
    """Generators, closures and exceptions that are caught, some of them kept with their frames."""

    def numbers(count: int) -> Any:
        for number in range(count):
            yield (number, str(number) * 5)
        raise LookupError(f"{count} is the end", bytes(count))

    kept = []
    for number in range(400 * scale):
        try:
            kept.extend(numbers(number % 30))
        except LookupError as error:
            kept.append(error)
    return kept


PROGRAMS: dict[str, Callable[[int], Any]] = {
    program.__name__: program
    for program in (
        list_growth,
        dict_growth,
        strings,
        nested_json,
        recursion,
        big_arrays,
        resizing,
        threads,
        index_of_words,
        churn,
        objects,
        exceptions,
    )
}


def measure(program: Callable[[int], Any], scale: int, sample_bytes: int | None) -> dict[str, Any]:
    """Run the program traced, and say what there is while it still keeps its result."""
    gc.collect()
    heapsight.enable(sample_bytes=sample_bytes)
    kept = program(scale)
    totals, counters = _testing.get_counters()
    heapsight.disable()
    del kept
    paths: dict[str, Any] = {}
    for domain, frames, figures in counters:
        # A path may be long. Its sites differ where one line asks for memory in several places.
        name = f"{domain} {frames[:2]} {zlib.crc32(repr(frames).encode())}"
        paths.setdefault(name, []).append(figures)
    added = {name: [tuple(map(sum, zip(*pairs))) for pairs in zip(*sites)] for name, sites in paths.items()}
    return {"live": totals[0], "peak": totals[1], "paths": added}


def main(name: str, runs: int, sample_bytes: int, scale: int) -> None:
    """Run it untraced once, exactly twice, and then sampled, from one seed after the other."""
    program = PROGRAMS[name]
    heapsight.set_traceback_limit(None)
    program(scale)
    measured = []
    for run in range(-2, runs):
        # The same seed for two programs would let luck with one be luck with the other.
        _testing.fix_sampling_seed(zlib.crc32(f"{name} {run}".encode()))
        measured.append(measure(program, scale, sample_bytes if run >= 0 else None))
    json.dump({"exact": measured[1], "samples": measured[2:]}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
