"""Threads: started by Python and by others, at once and in turns."""

from __future__ import annotations

import ctypes
import queue
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from paths.probe import Case, Keep, probe


def one_thread() -> None:
    def work() -> None:
        keep(bytes(40))
        deeper()

    def deeper() -> None:
        keep(bytes(40))

    keep = probe.keeper("thread")
    for _ in range(2):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    probe.keep(bytes(40))


def threads_at_once() -> None:
    """Every thread recurses and returns while the others do."""

    def work(keep: Keep) -> None:
        barrier.wait()
        for depth in (3, 30, 1, 12, 12):
            down(keep, depth)

    def down(keep: Keep, depth: int) -> None:
        keep(bytes(40))
        if depth:
            down(keep, depth - 1)
            keep(bytes(41))
        list(map(lambda _: keep(bytes(42)), range(2)))

    count = 4
    barrier = threading.Barrier(count)
    keepers = [probe.keeper(f"thread {number}") for number in range(count)]
    threads = [threading.Thread(target=work, args=(keep,)) for keep in keepers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def one_generator_in_several_threads() -> None:
    def numbers() -> Any:
        while True:
            probe.keep(bytes(40))
            yield 1

    def work() -> None:
        next(generator)

    generator = numbers()
    next(generator)
    for _ in range(3):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        next(generator)


def thread_pool() -> None:
    def work(number: int) -> int:
        probe.keep(bytes(40))
        return number

    # One worker, so that the order of the objects is always the same.
    with ThreadPoolExecutor(1) as pool:
        list(pool.map(work, range(3)))
        pool.submit(work, 1).result()


def objects_made_by_one_thread_for_another() -> None:
    def produce() -> None:
        for _ in range(3):
            made = bytes(40)
            items.put(made)
            keep(bytes(41))
        items.put(None)

    items: queue.Queue[Any] = queue.Queue()
    keep = probe.keeper("producer")
    thread = threading.Thread(target=produce)
    thread.start()
    while items.get() is not None:
        probe.keep(bytes(40))
    thread.join()


def thread_of_c() -> None:
    """A thread that Python did not start, and that has a thread state only while it is called back."""
    libc = ctypes.CDLL(None)
    entry = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)

    def work(_argument: Any) -> None:
        keep(bytes(40))
        list(map(lambda _: keep(bytes(40)), range(2)))

    keep = probe.keeper("thread of C")
    callback = entry(work)
    for _ in range(2):
        thread = ctypes.c_ulong()
        assert libc.pthread_create(ctypes.byref(thread), None, callback, None) == 0
        assert libc.pthread_join(thread, None) == 0


def signals() -> None:
    def handler(_number: int, _frame: Any) -> None:
        probe.keep(bytes(40))

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        for _ in range(3):
            signal.raise_signal(signal.SIGUSR1)
            probe.keep(bytes(40))
    finally:
        signal.signal(signal.SIGUSR1, before)


CASES: list[Case] = [
    one_thread,
    threads_at_once,
    one_generator_in_several_threads,
    thread_pool,
    objects_made_by_one_thread_for_another,
    thread_of_c,
    signals,
]
