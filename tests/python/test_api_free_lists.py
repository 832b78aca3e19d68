"""Objects that get memory from before tracing began, and how to have none."""

from __future__ import annotations

import subprocess
import sys

from harness import clean_environment

#: Fills CPython's free lists before tracing begins, then makes one object of each type that has such a list in some version.
PROGRAM = """
import contextvars, sys
import heapsight

value = 1.5

class C:
    def method(self):
        pass

instance = C()

def generator():
    yield

async def asynchronous():
    yield

MAKERS = {
    "list": lambda: [],
    "float": lambda: value * 2.25,
    "complex": lambda: complex(value, value),
    "int": lambda: 10**9 + id(value),
    "dict": lambda: {},
    "dict of one": lambda: {"a": value},
    "set": lambda: {value},
    "range": lambda: range(7, len(sys.argv) + 9),
    "iterator": lambda: iter([1]),
    "tuple iterator": lambda: iter((1,)),
    "method": lambda: instance.method,
    "native method": lambda: [].append,
    "context": contextvars.Context,
    "generator": generator,
    "asynchronous generator": asynchronous,
    "asend": lambda: asynchronous().asend(None),
    "instance": C,
}
for size in range(2, 22):  # one of 1 is what the question below is called with
    MAKERS[f"tuple of {size}"] = lambda size=size: tuple([None] * size)
if sys.version_info >= (3, 14):
    MAKERS["slice"] = lambda: slice(value)

for make in MAKERS.values():
    kept = [make() for _ in range(300)]
    del kept
heapsight.enable(ARGUMENTS)
found = {name: heapsight.get_object_trace(make()) is not None for name, make in MAKERS.items()}
print(*[name for name, is_found in found.items() if not is_found], sep=", ")
"""


def without_trace(arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM.replace("ARGUMENTS", arguments)],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_objects_from_free_lists_have_no_trace_unless_the_lists_are_cleared() -> None:
    assert "list, float" in without_trace("")
    assert without_trace("clear_free_lists=True") == ""


def test_lists_are_cleared_when_tracing_is_on_already_too() -> None:
    assert without_trace("); heapsight.enable(clear_free_lists=True") == ""


def test_they_are_cleared_though_the_collector_is_disabled() -> None:
    assert without_trace("); import gc; gc.disable(); heapsight.enable(clear_free_lists=True") == ""
