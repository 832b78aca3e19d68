"""Frames that outlive their callers: generators, coroutines, asynchronous generators, context managers."""

from __future__ import annotations

import asyncio
import contextlib
import types
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from typing import Any

from paths.probe import Case, probe


def numbers(count: int) -> Iterator[int]:
    """Allocate before, between and after the numbers."""
    probe.keep(bytes(40))
    for number in range(count):
        probe.keep(bytes(40))
        yield number
    probe.keep(bytes(40))


def generators_in_every_consumer() -> None:
    for _ in numbers(2):
        probe.keep(bytes(40))
    list(numbers(2))
    sum(numbers(2))
    first, *_rest = numbers(3)
    [number for number in numbers(2)]
    dict.fromkeys(numbers(2))
    any(number > 5 for number in numbers(2))
    next(numbers(1))
    for _ in zip(numbers(2), map(str, numbers(2))):
        probe.keep(bytes(40))
    probe.keep(numbers(1))


def one_generator_resumed_by_different_callers() -> None:
    generator = numbers(9)

    def advance() -> None:
        next(generator)

    def advance_deeper(depth: int) -> None:
        if depth:
            advance_deeper(depth - 1)
        else:
            next(generator)

    advance()
    next(generator)
    advance_deeper(4)
    advance()
    advance_deeper(1)
    for _ in generator:
        advance()
        break
    advance_deeper(7)


def delegation() -> None:
    def middle(count: int) -> Iterator[int]:
        probe.keep(bytes(40))
        yield from numbers(count)
        probe.keep(bytes(40))
        yield from [1, 2]

    def outer() -> Iterator[int]:
        yield from middle(2)
        yield from middle(1)

    list(outer())
    generator = outer()
    next(generator)
    for _ in generator:
        probe.keep(bytes(40))


def recursive_generators() -> None:
    def walk(depth: int) -> Iterator[int]:
        if depth:
            yield from walk(depth - 1)
            probe.keep(bytes(40))
            yield depth
            for each in walk(depth - 1):
                probe.keep(bytes(40))
                yield each

    list(walk(5))


def send_throw_and_close() -> None:
    def receiver() -> Generator[int, int, str]:
        received = 0
        try:
            while True:
                try:
                    received = yield received
                    probe.keep(bytes(40))
                except ValueError:
                    probe.keep(bytes(40))
        finally:
            probe.keep(bytes(40))

    generator = receiver()
    next(generator)
    generator.send(1)
    generator.throw(ValueError("thrown"))
    generator.send(2)
    generator.close()

    dropped = receiver()
    next(dropped)
    del dropped

    def outer() -> Generator[int, int, None]:
        yield from receiver()

    through = outer()
    next(through)
    through.send(1)
    through.throw(ValueError("thrown"))
    through.close()


@types.coroutine
def suspend() -> Generator[None, None, int]:
    """Give control back to whoever drives the coroutine."""
    probe.keep(bytes(40))
    yield
    probe.keep(bytes(40))
    return 1


def drive(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run a coroutine to its end."""
    with contextlib.suppress(StopIteration):
        while True:
            coroutine.send(None)


def coroutines_driven_by_hand() -> None:
    async def leaf() -> int:
        probe.keep(bytes(40))
        value = await suspend()
        probe.keep(bytes(40))
        return value

    async def outer() -> None:
        probe.keep(bytes(40))
        await leaf()
        await leaf()
        probe.keep(bytes(40))

    probe.keep(bytes(40))
    drive(outer())
    one, two = outer(), outer()
    for coroutine in (one, two, one, two):
        coroutine.send(None)
    one.close()
    two.close()


class Awaitable:
    """Awaits through a method of its own."""

    def __await__(self) -> Generator[None, None, int]:
        probe.keep(bytes(40))
        yield
        probe.keep(bytes(40))
        return 1


class Manager:
    """Asynchronous context manager and iterator."""

    def __init__(self) -> None:
        self.left = 2

    async def __aenter__(self) -> Manager:
        probe.keep(bytes(40))
        await suspend()
        return self

    async def __aexit__(self, *_: object) -> None:
        await suspend()
        probe.keep(bytes(40))

    def __aiter__(self) -> Manager:
        probe.keep(bytes(40))
        return self

    async def __anext__(self) -> int:
        probe.keep(bytes(40))
        await suspend()
        self.left -= 1
        if self.left < 0:
            raise StopAsyncIteration
        return self.left


async def asynchronous_numbers(count: int) -> AsyncIterator[int]:
    """Yield numbers, waiting before each."""
    try:
        for number in range(count):
            probe.keep(bytes(40))
            await suspend()
            yield number
            probe.keep(bytes(40))
    finally:
        probe.keep(bytes(40))


def asynchronous_statements() -> None:
    async def everything() -> None:
        await Awaitable()
        async with Manager() as manager:
            async for _ in manager:
                probe.keep(bytes(40))
        async for _ in asynchronous_numbers(2):
            probe.keep(bytes(40))
        [number async for number in asynchronous_numbers(2)]
        [await leaf for leaf in (suspend(), suspend())]
        {number: await suspend() async for number in asynchronous_numbers(1)}

    for _ in range(3):
        drive(everything())


def asynchronous_generators_ended_early() -> None:
    async def ends() -> None:
        generator = asynchronous_numbers(5)
        await generator.__anext__()
        await generator.asend(None)  # type: ignore[attr-defined]
        with contextlib.suppress(ValueError):
            await generator.athrow(ValueError("thrown"))  # type: ignore[attr-defined]
        generator = asynchronous_numbers(5)
        await generator.__anext__()
        await generator.aclose()  # type: ignore[attr-defined]

    drive(ends())


def event_loop() -> None:
    async def worker(count: int) -> int:
        for _ in range(count):
            probe.keep(bytes(40))
            await asyncio.sleep(0)
        return count

    async def main() -> None:
        probe.keep(bytes(40))
        await worker(2)
        tasks = [asyncio.ensure_future(worker(count)) for count in (1, 2, 3)]
        probe.keep(bytes(40))
        await asyncio.gather(*tasks)
        asyncio.get_running_loop().call_soon(lambda: probe.keep(bytes(40)))
        await asyncio.wait_for(worker(1), None)
        async for _ in reader():
            probe.keep(bytes(40))

    async def reader() -> AsyncIterator[int]:
        for _ in range(2):
            await asyncio.sleep(0)
            yield 1

    asyncio.run(main())


def context_managers() -> None:
    @contextlib.contextmanager
    def managed() -> Iterator[None]:
        probe.keep(bytes(40))
        try:
            yield
        finally:
            probe.keep(bytes(40))

    for _ in range(2):
        with managed(), managed():
            probe.keep(bytes(40))
        with contextlib.suppress(KeyError), managed():
            raise KeyError
        with contextlib.ExitStack() as stack:
            stack.enter_context(managed())
            stack.callback(lambda: probe.keep(bytes(40)))

    @managed()
    def decorated() -> None:
        probe.keep(bytes(40))

    decorated()


CASES: list[Case] = [
    generators_in_every_consumer,
    one_generator_resumed_by_different_callers,
    delegation,
    recursive_generators,
    send_throw_and_close,
    coroutines_driven_by_hand,
    asynchronous_statements,
    asynchronous_generators_ended_early,
    event_loop,
    context_managers,
]
