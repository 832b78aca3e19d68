"""What random programs do to memory: see random_program.py."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import queue
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Function = Callable[[int], None]
Allocators = dict[str, tuple[Any, Any, Any, Any]]


def allocators() -> Allocators:
    """Return malloc, calloc, realloc and free of each allocator of CPython.

    "raw" is there twice: once called with the GIL held, once without, as extensions call it from threads.
    """
    found: Allocators = {}
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    forms: list[tuple[str, str, Any]] = [
        ("raw", "PyMem_Raw", ctypes.PYFUNCTYPE),
        ("raw without GIL", "PyMem_Raw", ctypes.CFUNCTYPE),
        ("mem", "PyMem_", ctypes.PYFUNCTYPE),
        ("obj", "PyObject_", ctypes.PYFUNCTYPE),
    ]
    for name, prefix, make in forms:
        malloc, calloc, realloc, free = (
            ctypes.cast(getattr(ctypes.pythonapi, prefix + function), pointer).value or 0
            for function in ("Malloc", "Calloc", "Realloc", "Free")
        )
        found[name] = (
            make(pointer, size)(malloc),
            make(pointer, size, size)(calloc),
            make(pointer, pointer, size)(realloc),
            make(None, pointer)(free),
        )
    return found


class Oops(Exception):  # noqa: N818
    """What random programs raise."""


class Slotted:
    """An instance without a dictionary."""

    __slots__ = ("first", "second")


class Instance:
    """An instance with a dictionary, whose making calls down to some depth."""

    def __init__(self, depth: int) -> None:
        self.inner: Instance | None = Instance(depth - 1) if depth > 0 else None
        self.data = bytes(depth + 33)


def wait_for_end(thread: threading.Thread) -> None:
    """Wait until the system knows no such thread any more.

    On its way out a thread frees raw blocks without the GIL. `tracemalloc` forgets a block after it was
    freed: whoever gets the same address in between loses its trace. So nobody allocates meanwhile.
    """
    thread.join()
    task = Path(f"/proc/self/task/{thread.native_id}")
    while task.exists():
        os.sched_yield()


class Heap:
    """Keeps objects and blocks, and changes them at random."""

    #: Objects and blocks kept at most, of each kind: beyond it one goes for each that comes.
    most = 1_000

    def __init__(self, seed: int, operations: int) -> None:
        self.random = random.Random(seed)
        self.left = operations
        self.objects: list[Any] = []
        self.blocks: list[tuple[str, int]] = []
        self.generators: list[Iterator[int]] = []
        self.allocators = allocators()
        self.given: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.lock = threading.Lock()
        self.taker = threading.Thread(target=self._take, daemon=True)
        self.taker.start()

    def quiesce(self) -> None:
        """Wait until the other thread has freed what it was given."""
        done = threading.Event()
        self.given.put(done.set)
        done.wait()

    def finish(self) -> None:
        """End the other thread."""
        self.given.put(self)
        wait_for_end(self.taker)

    def spent(self) -> bool:
        """Count an operation; true when there were enough."""
        self.left -= 1
        return self.left < 0

    def coin(self) -> bool:
        """Return true half of the time, and never once the program should end."""
        return not self.spent() and self.random.random() < 0.5

    def __enter__(self) -> None:
        self.keep(bytearray(40))

    def __exit__(self, *_: object) -> None:
        self.drop()

    # Objects.

    def keep(self, made: Any) -> None:
        """Keep an object that was just made."""
        self.objects.append(made)
        if len(self.objects) > self.most:
            self.drop()

    def _taken(self) -> Any:
        """Remove an object and return it."""
        with self.lock:
            if not self.objects:
                return None
            index = self.random.randrange(len(self.objects))
            self.objects[index], self.objects[-1] = self.objects[-1], self.objects[index]
            return self.objects.pop()

    def drop(self) -> None:
        """Free an object."""
        self._taken()

    def give_away(self) -> None:
        """Let another thread free an object."""
        self.given.put(self._taken())

    def _take(self) -> None:
        while True:
            given = self.given.get()
            if given is self:
                return
            if callable(given):
                given()
            del given

    def grow(self, size: int) -> None:
        """Make some object bigger, in place."""
        some = self._taken()
        if isinstance(some, bytearray):
            some += bytes(size)
        elif isinstance(some, list):
            some.extend([None] * size)
        elif isinstance(some, dict):
            some.update(dict.fromkeys(range(size % 200)))
        elif isinstance(some, set):
            some.update(range(size % 200))
        elif isinstance(some, str):
            some += "y" * size
        self.keep(some)

    def shrink(self) -> None:
        """Make some object smaller, in place."""
        some = self._taken()
        if isinstance(some, (bytearray, list)):
            del some[len(some) // 2 :]
        elif isinstance(some, (dict, set)):
            some.clear()
        self.keep(some)

    def cycle(self) -> None:
        """Make garbage that only the collector finds."""
        some: list[Any] = [self._taken()]
        some.append(some)

    def collect(self) -> None:
        """Collect the youngest garbage."""
        gc.collect(0)

    # Blocks.

    def _block(self, domain: str, address: int | None) -> None:
        assert address is not None
        self.blocks.append((domain, address))
        if len(self.blocks) > self.most:
            self.free()

    def allocate(self, size: int) -> None:
        """Allocate a block; every so often an empty one."""
        domain = self.random.choice([*self.allocators])
        self._block(domain, self.allocators[domain][0](size if self.random.random() < 0.9 else 0))

    def allocate_zeroed(self, size: int) -> None:
        """Allocate a block of zeros."""
        domain = self.random.choice([*self.allocators])
        self._block(domain, self.allocators[domain][1](size, self.random.randint(1, 4)))

    def _taken_block(self) -> tuple[str, int] | None:
        with self.lock:
            if not self.blocks:
                return None
            index = self.random.randrange(len(self.blocks))
            self.blocks[index], self.blocks[-1] = self.blocks[-1], self.blocks[index]
            return self.blocks.pop()

    def reallocate(self, size: int) -> None:
        """Make a block bigger, smaller, empty, or out of nothing."""
        taken = self._taken_block()
        if taken is None or self.random.random() < 0.1:
            domain: str = self.random.choice([*self.allocators])
            self._block(domain, self.allocators[domain][2](None, size))
            if taken is None:
                return
        domain, address = taken
        self._block(domain, self.allocators[domain][2](address, size if self.random.random() < 0.9 else 0))

    def free(self) -> None:
        """Free a block."""
        taken = self._taken_block()
        if taken is not None:
            domain, address = taken
            self.allocators[domain][3](address)

    # Calls.

    def call_back(self, function: Function, depth: int) -> None:
        """Call through C."""
        list(map(function, [depth]))

    def start(self, generator: Iterator[int]) -> None:
        """Keep a generator that has not begun."""
        self.generators.append(generator)
        if len(self.generators) > 20:
            self.generators.pop(0)

    def resume(self) -> None:
        """Take one step in some generator."""
        with self.lock:
            if not self.generators:
                return
            generator = self.generators.pop(self.random.randrange(len(self.generators)))
        try:
            next(generator)
        except StopIteration:
            return
        self.generators.append(generator)

    def in_thread(self, function: Function, depth: int) -> None:
        """Call in another thread, while this one goes on for a bit."""
        may_end = threading.Event()

        def work() -> None:
            with contextlib.suppress(Oops):
                function(depth)
            may_end.wait()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            if self.random.random() < 0.5:
                function(depth)
        finally:
            may_end.set()
            wait_for_end(thread)
