"""Calls from Python to Python: functions, recursion, lambdas, comprehensions, decorators."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from paths.probe import Case, probe


def three_deep() -> None:
    def inner() -> None:
        probe.keep(bytes(40))

    def middle() -> None:
        probe.keep(bytes(41))
        inner()
        probe.keep(bytes(42))

    middle()
    middle()
    inner()


def same_line_from_two_callers() -> None:
    def leaf() -> None:
        probe.keep(bytes(40))

    def first() -> None:
        leaf()

    def second() -> None:
        leaf()

    for _ in range(3):
        first()
        second()
        leaf()


def one_line_many_times() -> None:
    def leaf() -> Any:
        probe.keep(bytes(40)), probe.keep(object()), probe.keep(bytes(60))

    leaf(), leaf(), leaf()


def every_argument_form() -> None:
    def takes(*args: Any, first: int = 0, **more: Any) -> None:
        probe.keep(bytes(40))

    takes()
    takes(1, 2)
    takes(first=1)
    takes(*(1, 2), **{"first": 1, "second": 2})
    functools.partial(takes, 1, first=2)()


def recursion_with_an_object_at_every_level() -> None:
    def down(depth: int) -> None:
        probe.keep(bytes(40))
        if depth:
            down(depth - 1)
        probe.keep(bytes(41))

    down(150)


def mutual_recursion() -> None:
    def even(number: int) -> None:
        probe.keep(bytes(40))
        if number:
            odd(number - 1)

    def odd(number: int) -> None:
        even(number - 1)
        probe.keep(bytes(40))

    even(60)


def tree_recursion() -> None:
    def visit(depth: int) -> None:
        if depth:
            visit(depth - 1)
            probe.keep(bytes(40))
            visit(depth - 1)

    visit(7)


def short_calls_between_long_ones() -> None:
    """Frames come back at the same address with other callers below them."""

    def leaf() -> None:
        probe.keep(bytes(40))

    def nested(depth: int) -> None:
        if depth:
            nested(depth - 1)
        else:
            leaf()

    for depth in (0, 5, 1, 9, 2, 9, 0, 30, 3):
        nested(depth)
        leaf()


def lambdas() -> None:
    direct: Any = lambda: probe.keep(bytes(40))
    direct()
    outer: Any = lambda call: call()
    outer(direct)
    outer(lambda: outer(direct))


def comprehensions() -> None:
    [probe.keep(bytes(40)) for _ in range(2)]
    {probe.keep(bytes(40)) for _ in range(2)}
    {index: probe.keep(bytes(40)) for index in range(2)}
    list(probe.keep(bytes(40)) for _ in range(2))
    [[probe.keep(bytes(40)) for _ in range(2)] for _ in range(2)]
    [probe.keep(bytes(40)) for _ in range(2) if [probe.keep(bytes(41)) for _ in range(2)]]


def closures_and_cells() -> None:
    def make(value: int) -> Callable[[], int]:
        probe.keep(bytes(40))

        def read() -> int:
            nonlocal value
            value += 1
            probe.keep(bytes(40))
            return value

        return read

    read = make(1)
    read()
    read()


def decorators() -> None:
    def outer(label: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        probe.keep(bytes(40))

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            probe.keep(bytes(40))

            @functools.wraps(function)
            def wrapper(*args: Any, **keywords: Any) -> Any:
                probe.keep((label, bytes(40))[1])
                return function(*args, **keywords)

            return wrapper

        return decorate

    @outer("first")
    @outer("second")
    @functools.lru_cache(maxsize=None)
    def decorated(value: int) -> int:
        probe.keep(bytes(40))
        return value

    decorated(1)
    decorated(1)
    decorated(2)


def statements_over_several_lines() -> None:
    def leaf(*_: Any) -> int:
        probe.keep(bytes(40))
        return 1

    leaf(
        leaf(),
        leaf(
            leaf(),
        ),
    )
    assert (
        leaf()
        + leaf(
            leaf(),
        )
        == 2
    )


def many_instructions_and_lines() -> None:
    """Needs EXTENDED_ARG before its jumps and calls, and big steps in its line table."""
    statements = (f" x{index} = {index} if flag else keep(bytes(40))" + "\n" * (index % 7) for index in range(400))
    source = "def long(flag, keep):\n" + "\n".join(statements)
    namespace: dict[str, Any] = {}
    exec(compile(source, "<long>", "exec"), namespace)
    namespace["long"](False, probe.keep)


CASES: list[Case] = [
    three_deep,
    same_line_from_two_callers,
    one_line_many_times,
    every_argument_form,
    recursion_with_an_object_at_every_level,
    mutual_recursion,
    tree_recursion,
    short_calls_between_long_ones,
    lambdas,
    comprehensions,
    closures_and_cells,
    decorators,
    statements_over_several_lines,
    many_instructions_and_lines,
]
