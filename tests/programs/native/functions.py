"""Call every function that gives or takes memory, and say where what is traced is not exactly that.

Run under `heapsight run --native`, with or without `--sample=1`.
"""

import ctypes
import mmap
import os
import tempfile

from heapsight import _testing

libc = ctypes.CDLL(None, use_errno=True)
POINTER, SIZE, INT, LONG = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_long
FAILED = ctypes.c_void_p(-1).value
ENOMEM, EINVAL = 12, 22
PAGE = mmap.PAGESIZE
#: Largest request that no allocator can grant.
TOO_MUCH = 1 << 62

MALLOC, MMAP, SHARED = 3, 4, 5


def function(name, result, *arguments):
    try:
        found = getattr(libc, name)
    except AttributeError:
        return None  # not in this C library, nor in heapsight's
    found.restype, found.argtypes = result, arguments
    return found


malloc = function("malloc", POINTER, SIZE)
calloc = function("calloc", POINTER, SIZE, SIZE)
realloc = function("realloc", POINTER, POINTER, SIZE)
reallocarray = function("reallocarray", POINTER, POINTER, SIZE, SIZE)
free = function("free", None, POINTER)
free_sized = function("free_sized", None, POINTER, SIZE)
free_aligned_sized = function("free_aligned_sized", None, POINTER, SIZE, SIZE)
posix_memalign = function("posix_memalign", INT, ctypes.POINTER(POINTER), SIZE, SIZE)
aligned_alloc = function("aligned_alloc", POINTER, SIZE, SIZE)
memalign = function("memalign", POINTER, SIZE, SIZE)
valloc = function("valloc", POINTER, SIZE)
pvalloc = function("pvalloc", POINTER, SIZE)
strdup = function("strdup", POINTER, ctypes.c_char_p)
c_mmap = function("mmap", POINTER, POINTER, SIZE, INT, INT, INT, LONG)
c_mmap64 = function("mmap64", POINTER, POINTER, SIZE, INT, INT, INT, LONG)
munmap = function("munmap", INT, POINTER, SIZE)
mremap = function("mremap", POINTER, POINTER, SIZE, SIZE, INT, POINTER)
mprotect = function("mprotect", INT, POINTER, SIZE, INT)

READ_WRITE, NONE = mmap.PROT_READ | mmap.PROT_WRITE, 0
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
FIXED, MAY_MOVE, REMAP_FIXED, DONT_UNMAP = 0x10, 1, 2, 4

problems = []


def size_at(address):
    found = _testing.trace_of_address(address)
    return None if found is None else found[0]


def check(what, found, expected):
    if found != expected:
        problems.append(f"{what}: {found}, not {expected}")


def live(domain):
    """Return bytes and blocks that are live in a domain."""
    return _testing.get_live_by_domain().get(domain, (0, 0))


def test_blocks():
    def by_posix_memalign(size):
        place = POINTER()
        check("posix_memalign", posix_memalign(ctypes.byref(place), 4096, size), 0)
        return place.value

    makers = [
        ("malloc", malloc, 1000, 1000),
        ("malloc of nothing", malloc, 0, 0),
        ("calloc", lambda size: calloc(10, size), 77, 770),
        ("realloc of null", lambda size: realloc(None, size), 123, 123),
        ("posix_memalign", by_posix_memalign, 1001, 1001),
        ("aligned_alloc", lambda size: aligned_alloc(64, size), 640, 640),
        ("memalign", lambda size: memalign(256, size), 33, 33),
        ("strdup", strdup, b"x" * 500, 501),
        ("a huge block", malloc, 5 << 30, 5 << 30),
    ]
    if reallocarray:
        makers.append(("reallocarray", lambda size: reallocarray(None, 3, size), 50, 150))
    if valloc and pvalloc:
        makers += [("valloc", valloc, 10, 10), ("pvalloc", pvalloc, 10, 10)]
    for name, make, argument, expected in makers:
        block = make(argument)
        check(f"{name}: not null", bool(block), True)
        check(name, size_at(block), expected)
        check(f"{name}: domain", _testing.domain_of_address(block), MALLOC)
        free(block)
        check(f"{name}, freed", size_at(block), None)
    for name, end in (
        ("free_sized", free_sized and (lambda block: free_sized(block, 99))),
        ("free_aligned_sized", free_aligned_sized and (lambda block: free_aligned_sized(block, 16, 99))),
    ):
        if end:
            block = malloc(99)
            end(block)
            check(name, size_at(block), None)
    free(None)


def test_reallocation():
    block = malloc(100)
    for size in (120, 10_000, 50, 3_000_000, 17):
        block = realloc(block, size)
        check(f"realloc to {size}", size_at(block), size)
    ctypes.set_errno(0)
    check("realloc to too much", realloc(block, TOO_MUCH), None)
    check("its errno", ctypes.get_errno(), ENOMEM)
    check("after a realloc that failed", size_at(block), 17)
    if reallocarray:
        ctypes.set_errno(0)
        check("reallocarray of too much", reallocarray(block, TOO_MUCH, 8), None)
        check("its errno", ctypes.get_errno(), ENOMEM)
        check("after a reallocarray that failed", size_at(block), 17)
    moved = realloc(block, 0)
    if moved is None:
        check("after a realloc to nothing", size_at(block), None)
    else:  # musl
        check("after a realloc to nothing", size_at(moved), 0)
        free(moved)


def test_failures():
    before = live(MALLOC)
    for name, make in (
        ("malloc", lambda: malloc(TOO_MUCH)),
        ("calloc", lambda: calloc(TOO_MUCH, 16)),
        ("memalign", lambda: memalign(16, TOO_MUCH)),
    ):
        ctypes.set_errno(0)
        check(f"{name} of too much", make(), None)
        check(f"errno of {name}", ctypes.get_errno(), ENOMEM)
    place = POINTER()
    check("posix_memalign of too much", posix_memalign(ctypes.byref(place), 16, TOO_MUCH), ENOMEM)
    check("posix_memalign to 3 bytes", posix_memalign(ctypes.byref(place), 3, 10), EINVAL)
    ctypes.set_errno(0)
    check("mmap of nothing", c_mmap(None, 0, READ_WRITE, PRIVATE, -1, 0), FAILED)
    check("its errno", ctypes.get_errno(), EINVAL)
    check("munmap of no page", munmap(1, 10), -1)
    check("what failed counts", live(MALLOC), before)


def test_mappings():
    room = c_mmap(None, 30 * PAGE, NONE, PRIVATE, -1, 0)
    start = c_mmap(room + 10 * PAGE, 10 * PAGE - 5, READ_WRITE, PRIVATE | FIXED, -1, 0)
    check("mmap", (start, size_at(start)), (room + 10 * PAGE, 10 * PAGE))
    check("mmap: domain", _testing.domain_of_address(start), MMAP)
    bytes_, blocks = live(MMAP)
    munmap(start + 3 * PAGE, 2 * PAGE)
    check("munmap in the middle", size_at(start), 8 * PAGE)
    munmap(start, PAGE)
    check("munmap of the first page", size_at(start), None)
    check("what is left then", size_at(start + PAGE), 7 * PAGE)
    check("the domain then", live(MMAP), (bytes_ - 3 * PAGE, blocks))
    other = c_mmap64(start + 6 * PAGE, 2 * PAGE, READ_WRITE, PRIVATE | FIXED, -1, 0)
    check("MAP_FIXED over a part", size_at(other), 2 * PAGE)
    check("what is left of it", size_at(start + PAGE), 5 * PAGE)
    check("munmap beyond both ends", munmap(room, 30 * PAGE), 0)
    check("all of it", (size_at(start + PAGE), size_at(other)), (None, None))
    check("the domain at the end", live(MMAP), (bytes_ - 10 * PAGE, blocks - 1))


def test_growing():
    start = c_mmap(None, 2 * PAGE, READ_WRITE, PRIVATE, -1, 0)
    before = live(MMAP)
    grown = mremap(start, 2 * PAGE, 500 * PAGE, MAY_MOVE, None)
    check("mremap", size_at(grown), 500 * PAGE)
    if grown != start:
        check("where it was", size_at(start), None)
    check("the domain", live(MMAP), (before[0] + 498 * PAGE, before[1]))
    check("mremap to less", mremap(grown, 500 * PAGE, PAGE, 0, None), grown)
    check("what is left", size_at(grown), PAGE)
    blocked = c_mmap(None, 20 * PAGE, READ_WRITE, PRIVATE, -1, 0)
    check("mremap without a place", mremap(blocked, PAGE, 1 << 46, 0, None), FAILED)
    check("after an mremap that failed", size_at(blocked), 20 * PAGE)
    moved = mremap(grown, PAGE, PAGE, MAY_MOVE | REMAP_FIXED, blocked + 2 * PAGE)
    check("mremap to a fixed place", (moved, size_at(moved)), (blocked + 2 * PAGE, PAGE))
    check("what was there", size_at(blocked), 19 * PAGE)
    munmap(blocked, 20 * PAGE)
    check("all of it", live(MMAP), (before[0] - 2 * PAGE, before[1] - 1))


def test_reserved():
    before = live(MMAP)
    start = c_mmap(None, 1000 * PAGE, NONE, PRIVATE, -1, 0)
    check("PROT_NONE", (size_at(start), live(MMAP)), (None, before))
    mprotect(start + 10 * PAGE, 5 * PAGE, READ_WRITE)
    check("mprotect", size_at(start + 10 * PAGE), 5 * PAGE)
    mprotect(start + 8 * PAGE, 5 * PAGE, READ_WRITE)
    check("mprotect once more", size_at(start + 8 * PAGE), 2 * PAGE)
    mprotect(start + 8 * PAGE, 5 * PAGE, NONE)
    check("no right to touch it any more", live(MMAP), (before[0] + 7 * PAGE, before[1] + 2))
    munmap(start, 1000 * PAGE)
    check("munmap", live(MMAP), before)


def test_files_and_shared_memory():
    before = live(MMAP), live(SHARED)
    shared = mmap.mmap(-1, 3 * PAGE)
    check("anonymous, shared", live(SHARED), (before[1][0] + 3 * PAGE, before[1][1] + 1))
    shared.close()
    with tempfile.TemporaryFile(dir=os.path.dirname(os.path.abspath(__file__))) as file:
        file.truncate(4 * PAGE)
        mapped = mmap.mmap(file.fileno(), 4 * PAGE)
        check("a file's pages", (live(MMAP), live(SHARED)), before)
        mapped.close()
    if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK):
        with tempfile.TemporaryFile(dir="/dev/shm") as file:
            file.truncate(4 * PAGE)
            mapped = mmap.mmap(file.fileno(), 4 * PAGE)
            check("a file in memory", live(SHARED), (before[1][0] + 4 * PAGE, before[1][1] + 1))
            mapped.close()
    with open("/dev/zero", "r+b") as zeroes:
        start = c_mmap(None, PAGE, READ_WRITE, mmap.MAP_PRIVATE, zeroes.fileno(), 0)
        check("/dev/zero", _testing.domain_of_address(start), MMAP)
        munmap(start, PAGE)
    check("in the end", (live(MMAP), live(SHARED)), before)


def test_python_counts_once():
    before = live(MALLOC), live(MMAP)
    kept = [bytes(1 << 20) for _ in range(3)], [bytearray(300) for _ in range(20_000)]
    names = [str(number) * 20 for number in range(50_000)]
    check("blocks of Python", (live(MALLOC), live(MMAP)), before)
    del kept, names
    check("blocks of Python, freed", (live(MALLOC), live(MMAP)), before)


def main():
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            test()
    print("\n".join(problems) or "exact")


main()
