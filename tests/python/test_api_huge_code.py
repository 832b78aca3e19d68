"""Functions of megabytes: every block is attributed to the line that the interpreter says is running."""

from __future__ import annotations

import dis
import random
import sys
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

import pytest

import heapsight

pytestmark = pytest.mark.usefixtures("untraced")

#: Every so many bytes the positions of instructions used to begin anew (2**21 bytes on 3.9), or come to those of the next address.
PERIOD_BYTES = 2**21 if sys.version_info < (3, 10) else 2**22
COPIES = 10


def here(kept: Any, new: Any, frame: Any) -> None:
    kept.append((new(1000), frame().f_lineno))


def in_a_call(kept: Any, new: Any, frame: Any) -> None:
    new(kept, frame())


def keep(kept: list[tuple[bytes, int]], frame: Any) -> None:
    kept.append((bytes(1000), frame.f_lineno))


def repeated(function: Any) -> CodeType:
    """Return the code of a function whose one line is there once in each period, as lines 10, 20, …; nothing else in between."""
    code: CodeType = function.__code__
    body, end = code.co_code[:-4], code.co_code[-4:]
    assert list(end[::2]) == [dis.opmap["LOAD_CONST"], dis.opmap["RETURN_VALUE"]]
    assert not any(opcode in dis.hasjabs + dis.hasjrel for opcode in body[::2])
    filler = bytes([dis.opmap["NOP"], 0]) * ((PERIOD_BYTES - len(body)) // 2)
    if sys.version_info < (3, 10):
        whole, rest = divmod(PERIOD_BYTES, 255)
        table = bytes([0, 9]) + (bytes([255, 0]) * whole + bytes([rest, 10])) * COPIES
        lines: dict[str, Any] = {"co_lnotab": table}
    else:
        whole, rest = divmod(PERIOD_BYTES, 254)
        period = bytes([254, 0]) * (whole - 1) + bytes([rest, 0])
        table = bytes([254, 9]) + period + (bytes([254, 10]) + period) * (COPIES - 1) + bytes([len(end), 10])
        lines = {"co_linetable": table}
    made: CodeType = code.replace(co_code=(body + filler) * COPIES + end, co_firstlineno=1, **lines)
    starts = dict(dis.findlinestarts(made))
    assert [starts[PERIOD_BYTES * number] for number in range(COPIES)] == [
        10 * (number + 1) for number in range(COPIES)
    ]
    return made


def call_for_ever(function: Callable[[Callable[[], None]], object], act: Callable[[], None]) -> None:
    """Call until something is raised."""
    while True:
        function(act)


@pytest.mark.skipif(sys.version_info >= (3, 11), reason="since 3.11 frames have a pointer to the instruction")
@pytest.mark.parametrize("limit", [1, 3, None])
def test_lines_far_apart_are_told_apart(limit: int | None) -> None:
    # Code objects at neighbouring addresses, for these are part of what is remembered.
    codes = {name: repeated(function) for name, function in (("here", here), ("call", in_a_call))}
    functions = [
        (name, FunctionType(code.replace(co_flags=code.co_flags), globals()))
        for _ in range(20)
        for name, code in codes.items()
    ]
    heapsight.set_traceback_limit(limit)
    heapsight.enable()
    for name, function in functions:
        kept: list[tuple[bytes, int]] = []
        function(kept, bytes if name == "here" else keep, sys._getframe)
        assert [line for _, line in kept] == [10 * (number + 1) for number in range(COPIES)]
        if name == "call" and limit == 1:
            continue
        for block, line in kept:
            trace = heapsight.get_object_trace(block)
            assert trace is not None
            assert trace.traceback[0 if name == "here" else 1].lineno == line
    heapsight.disable()


def nested_finally(levels: int) -> Any:
    """Return a function of megabytes: the compiler puts what is in a ``finally`` there twice, on each level."""
    lines = ["def function(act):"]
    for level in range(levels):
        lines += [f"{' ' * (level + 1)}try:", f"{' ' * (level + 2)}act()", f"{' ' * (level + 1)}finally:"]
    lines += [f"{' ' * (levels + 1)}act()" for _ in range(20)]
    names: dict[str, Any] = {}
    exec(compile("\n".join(lines), "huge.py", "exec"), names)
    return names["function"]


def test_lines_of_a_huge_function_are_those_of_the_interpreter() -> None:
    function = nested_finally(14 if sys.version_info < (3, 11) else 12)
    assert len(function.__code__.co_code) > 2_000_000 or sys.version_info >= (3, 11)
    chosen = random.Random(20261125)
    kept: list[tuple[bytes, int]] = []

    def act() -> None:
        kept.append((bytes(1000), sys._getframe(1).f_lineno))
        if chosen.random() < 0.5:
            raise KeyError

    heapsight.set_traceback_limit(2)
    heapsight.enable()
    for _ in range(30):
        with pytest.raises(KeyError):
            call_for_ever(function, act)
    assert len(kept) > 400
    for block, line in kept:
        trace = heapsight.get_object_trace(block)
        assert trace is not None
        assert (trace.traceback[1].filename, trace.traceback[1].lineno) == ("huge.py", line)
