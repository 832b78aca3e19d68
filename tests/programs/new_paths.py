"""Makes new call paths for ever, keeps some of what it allocates there, and goes back to paths that it had forgotten.

usage: new_paths.py SEED ROUNDS [DISTURB] [BUDGET]

DISTURB is what happens now and then: nothing, clear, switch, fork, threads, subinterpreter, exit_of_threads. BUDGET is what
`heapsight.set_budget()` is called with. The last line says what does not add up; nothing else is printed.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Callable
from types import FunctionType

import heapsight
from heapsight import _testing

SOURCE = """
def leaf(size):
    return bytearray(size)

def left(depth, choices, size):
    return step(depth - 1, choices, size) if depth else leaf(size)

def right(depth, choices, size):
    return step(depth - 1, choices, size) if depth else leaf(size)

def step(depth, choices, size):
    if choices >> depth & 1:
        return left(depth, choices, size)
    return right(depth, choices, size)
"""


def module(number: int) -> FunctionType:
    """Return a function that is new, in a file that is not there."""
    names: dict[str, FunctionType] = {}
    exec(compile(SOURCE, f"/generated/template_{number}.py", "exec"), names)
    return names["step"]


def in_child() -> None:
    """Allocate in a forked child, whose tables must be whole."""
    child = os.fork()
    if child == 0:
        step = module(-1)
        kept = [step(9, choices, 100) for choices in range(400)]
        os._exit(1 if _testing.audit() or not kept else 0)
    _, status = os.waitpid(child, 0)
    assert status == 0, status


def in_threads() -> None:
    """Allocate in threads that end."""
    step = module(-2)

    def work() -> None:
        for choices in range(300):
            step(9, choices, 3000)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def in_subinterpreter() -> None:
    """Allocate in another interpreter."""
    try:
        import _interpreters as interpreters  # type: ignore[import-not-found]
    except ImportError:
        try:
            import _xxsubinterpreters as interpreters  # type: ignore[import-not-found]
        except ImportError:
            return
    interpreter = interpreters.create()
    code = (
        f"namespace = {{}}\nexec({SOURCE!r}, namespace)\nfor choices in range(300): namespace['step'](9, choices, 700)"
    )
    getattr(interpreters, "run_string", None) and interpreters.run_string(interpreter, code)
    interpreters.destroy(interpreter)


def switch() -> None:
    """Switch tracing off and on."""
    heapsight.disable()
    heapsight.enable()


DISTURBANCES: dict[str, Callable[[], None]] = {
    "nothing": lambda: None,
    "clear": lambda: heapsight.clear_traces(),
    "switch": switch,
    "fork": in_child,
    "threads": in_threads,
    "subinterpreter": in_subinterpreter,
    "peak": lambda: heapsight.reset_peak(),
}


def main() -> None:
    """Do it."""
    seed, rounds = int(sys.argv[1]), int(sys.argv[2])
    disturb = DISTURBANCES[sys.argv[3] if len(sys.argv) > 3 else "nothing"]
    if len(sys.argv) > 4:
        heapsight.set_budget(int(sys.argv[4]))
    chance = random.Random(seed)
    old = [module(number) for number in range(3)]
    kept: list[bytearray] = []
    for number in range(rounds):
        step = module(number) if chance.random() < 0.5 else chance.choice(old)
        for _ in range(60):
            block = step(9, chance.getrandbits(10), chance.randrange(1, 2000))
            if chance.random() < 0.1:
                kept.append(block)
        while len(kept) > 200:
            kept.pop(chance.randrange(len(kept)))
        if number % 20 == 7:
            disturb()
    problems = _testing.audit()
    sys.stdout.write("\n".join(problems) or "all adds up")


main()
