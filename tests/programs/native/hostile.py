"""Have a library of C do what native code does, and say what of it is not traced as it should be.

Arguments: the library, and a copy of it that is loaded and unloaded.
"""

import _ctypes
import ctypes
import os
import sys

library, unloadable = sys.argv[1:]
LONG, POINTER, SIZE = ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t

traced = "heapsight" in sys.modules
if traced:
    from heapsight import _testing

problems = []


def check(what, found, expected):
    if found != expected:
        problems.append(f"{what}: {found}, not {expected}")


def expect_block(what, address, expected):
    """Check the size of a block, and the line that it is on, if this program is traced."""
    if traced:
        found = _testing.trace_of_address(address)
        check(what, found and found[0], expected)
        if expected is not None and found is not None:
            check(f"{what}: its frame", found[1][:1] and found[1][0][2], "main" if found[1] else [])


def live(domain):
    return _testing.get_live_by_domain().get(domain, (0, 0))[0] if traced else 0


def main():
    c = ctypes.CDLL(library)
    for name in ("move_break", "block_of_constructor", "signal_that_allocates", "jump"):
        getattr(c, name).restype = POINTER
    c.run_threads.argtypes = [ctypes.c_int, SIZE]
    c.free_elsewhere.argtypes = [POINTER]
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = POINTER, [SIZE], [POINTER]

    before = live(3)
    check("threads", c.run_threads(8, 100_000), 0)
    kept = live(3) - before
    if traced:
        check("what threads left behind", kept // 100_000, 8)
    block = libc.malloc(5000)
    expect_block("a block", block, 5000)
    check("a thread that frees", c.free_elsewhere(block), 0)
    expect_block("a block that another thread freed", block, None)
    expect_block("a block of a signal handler", c.signal_that_allocates(), 2222)
    expect_block("a page of the break", c.move_break(), 4096)
    mapped = live(4)
    check("interrupted mappings", c.interrupted_mappings(100) >= 100, True)
    check("mappings that were left", live(4), mapped)
    expect_block("a block of a frame that was left", c.jump(), 3333)

    for _ in range(3):
        other = ctypes.CDLL(unloadable)
        other.block_of_constructor.restype = POINTER
        block = other.block_of_constructor()
        if traced:
            check("a block of a constructor", _testing.trace_of_address(block)[0], 4321)
        _ctypes.dlclose(other._handle)
        if traced:
            found = _testing.trace_of_address(block)
            check("a block of a destructor", found is None or found[0] != 4321, True)

    check("handlers of fork", c.register_fork_handlers(), 0)
    check("a thread that forks", c.fork_in_thread(), 7)
    child = os.fork()
    if child == 0:
        block = libc.malloc(1234)
        expect_block("a block of a child", block, 1234)
        check("a child that forks", c.fork_in_thread(), 7)
        check("threads of a child", c.run_threads(4, 10), 0)
        os._exit(len(problems))
    check("a child", os.waitpid(child, 0)[1], 0)
    print("\n".join(problems) or "as it should be")


main()
