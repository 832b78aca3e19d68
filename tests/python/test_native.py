"""`heapsight run --native`: what goes past Python's allocators is traced exactly, whatever native code does."""

from __future__ import annotations

import csv
import io
import json
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import PROGRAMS, Outcome, Start, heapsight, program
from test_run_is_transparent import PROGRAMS_AS_THEY_ARE, name_of, reports

NATIVE = PROGRAMS / "native"
FUNCTIONS = Start([NATIVE / "functions.py"])

#: Ways of tracing that count in other ways.
MODES = pytest.mark.parametrize(
    "mode",
    [["--frames=all"], ["--frames=1"], ["--sample=1"], ["--sample=1", "--frames=1"], ["--threads"]],
    ids=" ".join,
)


def build(source: str, target: Path) -> Path:
    """Compile a program of tests/programs/native into a shared library."""
    compiler = shutil.which("cc")
    assert compiler is not None, "heapsight cannot be built without a C compiler either"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-pthread"]
    subprocess.run([compiler, *flags, "-o", target, NATIVE / source, "-lrt"], check=True)
    return target


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Return the start of the program that does everything native code does."""
    folder = tmp_path_factory.mktemp("hostile")
    library = build("hostile.c", folder / "hostile.so")
    return Start([NATIVE / "hostile.py", library, shutil.copy(library, folder / "unloadable.so")])


def traced(start: Start, capture: Path, *options: str) -> Outcome:
    return start.traced(capture, "--native", *options)


def live_by_domain(capture: Path) -> dict[str, int]:
    """Return the live bytes of each domain at the end."""
    stats = json.loads(heapsight("stats", "--json", capture).text)
    return {name: figures["live"]["bytes"] for name, figures in stats["domains"].items()}


@MODES
def test_every_function_is_traced_exactly(mode: list[str], capture: Path) -> None:
    outcome = traced(FUNCTIONS, capture, "--quiet", *mode)
    assert (outcome.errors, outcome.text, outcome.status) == ("", "exact\n", 0)


@MODES
def test_native_code_of_all_sorts_is_traced_and_runs_as_ever(mode: list[str], hostile: Start, capture: Path) -> None:
    outcome = traced(hostile, capture, "--quiet", *mode)
    assert (outcome.errors, outcome.text, outcome.status) == ("", "as it should be\n", 0)
    assert hostile.plain().text == "as it should be\n"


@pytest.mark.parametrize("start", PROGRAMS_AS_THEY_ARE, ids=name_of)
def test_status_and_both_streams_are_those_of_plain_python(start: Start, capture: Path) -> None:
    assert traced(start, capture, "--quiet") == start.plain()


def test_program_and_its_children_do_not_find_the_library_in_their_environment(capture: Path) -> None:
    code = (
        "import os, posix, subprocess, sys\n"
        "print('LD_PRELOAD' in os.environ, b'LD_PRELOAD' in posix.environ)\n"
        "print(subprocess.run(['env'], capture_output=True, text=True).stdout.count('heapsight_preload'))\n"
    )
    assert traced(Start(["-c", code]), capture, "--quiet").text == "False False\n0\n"


def test_program_finds_the_start_of_plain_python(capture: Path) -> None:
    plain, other = reports(program("report_environment.py", "x"), capture, "--native")
    assert other == plain


def test_other_libraries_that_are_preloaded_stay(tmp_path: Path, capture: Path) -> None:
    own = build("own_malloc.c", tmp_path / "own_malloc.so")
    code = (
        "import ctypes, os\n"
        "print(os.environ['LD_PRELOAD'], ctypes.CDLL(None).own_malloc_served() > 0)\n"
        "kept = ctypes.create_string_buffer(1 << 20), bytes(1 << 20)\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]\n"
        "other = libc.malloc(5_000_000)\n"
    )
    start = Start(["-c", code], environment={"LD_PRELOAD": str(own)})
    outcome = traced(start, capture, "--quiet")
    assert (outcome.errors, outcome.text) == ("", f"{own} True\n")
    live = live_by_domain(capture)
    # Its mappings are what it cuts its blocks of, and not counted beside them.
    assert 5_000_000 <= live["native.malloc"] < 6_000_000
    assert live.get("native.mmap", 0) < 1_000_000


@pytest.mark.parametrize("mode", [["--frames=all"], ["--sample=64K"]], ids=" ".join)
def test_an_allocator_that_unmaps_may_lie_below_while_the_tracer_reads_its_tables(
    mode: list[str], tmp_path: Path, capture: Path
) -> None:
    own = build("own_malloc.c", tmp_path / "own_malloc.so")
    code = (
        "import ctypes\n"
        "from heapsight import _testing\n"
        "c = ctypes.CDLL(None)\n"
        "c.mmap.restype = c.malloc.restype = ctypes.c_void_p\n"
        "c.free.argtypes = [ctypes.c_void_p]\n"
        "c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]\n"
        "kept = [c.mmap(None, 4096, 3, 0x22, -1, 0) for _ in range(20_000)]\n"
        "for _ in range(5):\n"
        "    c.free(c.malloc(1 << 20))\n"
        "    _testing.get_blocks()\n"
        "print(_testing.get_live_by_domain()[4])\n"
    )
    start = Start(["-c", code], environment={"LD_PRELOAD": str(own)})
    outcome = traced(start, capture, "--quiet", "--tick=5", *mode)
    assert (outcome.errors, outcome.text) == ("", f"{(20_000 * 4096, 20_000)}\n")


def test_followed_children_are_traced_with_it_and_others_run_as_ever(tmp_path: Path) -> None:
    child = "import ctypes; m = ctypes.CDLL(None).malloc; m.restype = ctypes.c_void_p; kept = m(3_000_000)"
    code = (
        "import os, subprocess, sys\n"
        f"subprocess.run(['sh', '-c', 'exec \"$0\" -c \"$1\"', sys.executable, {child!r}], check=True)\n"
        f"if os.fork() == 0:\n    exec({child!r})\n    sys.exit(0)\n"
        "os.wait()\n"
    )
    outcome = traced(Start(["-c", code]), tmp_path / "run.heapsight", "--quiet", "--follow")
    assert (outcome.errors, outcome.status) == ("", 0)
    children = sorted(tmp_path.glob("run-*.heapsight"))
    assert len(children) == 2
    for capture in children:
        assert 3_000_000 <= live_by_domain(capture)["native.malloc"] < 3_500_000


def test_memory_of_a_child_that_is_not_followed_is_not_in_the_recording(capture: Path) -> None:
    code = (
        "import ctypes, os\n"
        "m = ctypes.CDLL(None).malloc\n"
        "if os.fork() == 0:\n    kept = m(100_000_000)\n    os._exit(0)\n"
        "os.wait()\n"
    )
    assert traced(Start(["-c", code]), capture, "--quiet").errors == ""
    assert live_by_domain(capture)["native.malloc"] < 1_000_000


def test_program_that_clears_its_view_sees_nothing_of_before_and_the_recording_all(capture: Path) -> None:
    code = (
        "import ctypes, mmap, heapsight\n"
        "m = ctypes.CDLL(None).malloc\n"
        "m.restype = ctypes.c_void_p\n"
        "first = m(2_000_000), mmap.mmap(-1, 1 << 20)\n"
        "heapsight.clear_traces()\n"
        "print(heapsight.get_traced_memory() < 100_000)\n"
        "second = m(3_000_000), mmap.mmap(-1, 1 << 21)\n"
        "print(5_000_000 < heapsight.get_traced_memory() < 5_200_000)\n"
        "heapsight.disable(); heapsight.enable()\n"
        "third = m(4_000_000)\n"
        "print(4_000_000 < heapsight.get_traced_memory() < 4_100_000)\n"
    )
    outcome = traced(Start(["-c", code]), capture, "--quiet")
    assert (outcome.errors, outcome.text) == ("", "True\nTrue\nTrue\n")
    live = live_by_domain(capture)
    assert 9_000_000 < live["native.malloc"] < 9_500_000
    assert live["native.shared"] == 3 << 20


#: Says what is live of native memory, after 3 MB of it were asked for.
LIVE = """
import ctypes, os, sys
import heapsight
from heapsight import _testing
c = ctypes.CDLL(None)
c.malloc.restype, c.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
block = c.malloc(3_000_000)
print(_testing.get_live_by_domain().get(3, (0, 0))[0] // 1_000_000, _testing.trace_of_address(block) is not None)
print("LD_PRELOAD" in os.environ)
"""


def preloaded_library() -> Path:
    import heapsight as package

    return Path(package.__file__).parent / "libheapsight_preload.so"


@pytest.mark.parametrize("flag", ["-Xheapsight-native", "-Xheapsight-native=10"])
def test_a_program_that_was_started_with_the_library_may_be_traced_from_its_start(flag: str) -> None:
    start = Start(["-c", LIVE], flags=[flag], environment={"LD_PRELOAD": str(preloaded_library())})
    assert (start.plain().errors, start.plain().text) == ("", "3 True\nFalse\n")


@pytest.mark.parametrize("options", ["", "sample_bytes=1, "])
def test_a_program_that_was_started_with_the_library_may_switch_it_on_and_off(options: str) -> None:
    code = (
        "import heapsight\n"
        "for _ in range(3):\n"
        f"    heapsight.enable({options}native=True)\n"
        "    heapsight.enable(native=True)\n"
        "    heapsight.set_traceback_limit(5)\n"
        f"    exec({LIVE!r})\n"
        "    heapsight.disable()\n"
        "    c.free(block)\n"
        "heapsight.enable()\n"
        "try:\n    heapsight.enable(native=True)\n"
        "except RuntimeError as error:\n    print(error)\n"
    )
    outcome = Start(["-c", code], environment={"LD_PRELOAD": str(preloaded_library())}).plain()
    assert outcome.errors == ""
    assert outcome.text == "3 True\nFalse\n" * 3 + (
        "tracing is on already, without native memory: call disable() first, or 'heapsight run --native'\n"
    )


def test_a_program_that_was_started_without_the_library_is_told_what_works() -> None:
    needed = (
        "native memory is seen only in a process that was started with libheapsight_preload.so: "
        "use 'heapsight run --native', or name that file of this package in LD_PRELOAD"
    )
    outcome = Start(["-c", "import heapsight; print(heapsight.is_enabled())"], flags=["-Xheapsight-native"]).plain()
    assert (outcome.text, outcome.errors) == ("False\n", f"heapsight: {needed}; the program runs untraced\n")
    code = (
        "import heapsight\ntry:\n    heapsight.enable(native=True)\nexcept RuntimeError as error:\n    print(error)\n"
    )
    assert Start(["-c", code]).plain().text == f"{needed}\n"


def test_thread_that_python_does_not_know_is_kept_apart_by_its_name(hostile: Start, capture: Path) -> None:
    assert traced(hostile, capture, "--quiet", "--threads").status == 0
    by_thread = heapsight("top", "--group-by=thread", "--metric=allocated", "-n=100", capture).text
    # Eight, and their kin in the child are not in this recording.
    assert len(re.findall(r"\(native thread \d+\)", by_thread)) >= 8


def test_a_sample_estimates_what_is_live(capture: Path) -> None:
    code = (
        "import ctypes\n"
        "m = ctypes.CDLL(None).malloc\n"
        "m.restype = ctypes.c_void_p\n"
        "kept = [m(10_000) for _ in range(5000)]\n"
    )
    assert traced(Start(["-c", code]), capture, "--quiet", "--sample=64K").errors == ""
    # 50 MB in some 760 samples: five standard errors are 18 %.
    assert 41e6 < live_by_domain(capture)["native.malloc"] < 59e6


#: Blocks and mappings on thousands of call paths, most of which end at once. Prints what is left.
PATHS = """
import ctypes, random
from heapsight import _testing
c = ctypes.CDLL(None)
c.malloc.restype = ctypes.c_void_p
c.free.argtypes = [ctypes.c_void_p]
c.mmap.restype, c.mmap.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]
c.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
def malloc(): return c.malloc(1000)
def map(): return c.mmap(None, 8192, 3, 0x22, -1, 0)
def left(deeper): return deeper()
def right(deeper): return deeper()
def other(deeper): return deeper()
def on_a_path(turn, bottom):
    for _ in range(9):
        turn, way = divmod(turn, 3)
        bottom = [left, right, other][way].__get__(bottom)
    return bottom()
before = _testing.get_live_by_domain()
kept = []
for turn in range(3**9):
    block, mapping = on_a_path(turn, malloc), on_a_path(turn, map)
    if turn % 500:
        on_a_path(turn, lambda: c.free(block))
        on_a_path(turn, lambda: c.munmap(mapping, 8192))
    else:
        kept.append((block, mapping))
after = _testing.get_live_by_domain()
for domain in 3, 4:
    (bytes, blocks), (bytes_before, blocks_before) = after[domain], before.get(domain, (0, 0))
    print(bytes - bytes_before, blocks - blocks_before)
print(len(kept))
"""


@pytest.mark.parametrize("mode", [["--frames=all"], ["--sample=1"], ["--threads"]], ids=" ".join)
def test_memory_on_many_paths_is_counted_exactly_within_a_small_budget(mode: list[str], capture: Path) -> None:
    outcome = traced(Start(["-c", PATHS]), capture, "--quiet", "--budget=128K", "--tick=5", *mode)
    assert (outcome.errors, outcome.text) == ("", f"{40 * 1000} 40\n{40 * 8192} 40\n40\n")
    assert live_by_domain(capture)["native.mmap"] == 40 * 8192


def test_array_of_numpy_is_on_the_line_that_made_it(capture: Path, tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    script = tmp_path / "arrays.py"
    script.write_text(
        "import numpy\n"
        "large = numpy.arange(10_000_000.0)\n"
        "view, part = large[::2], large[5:900_000]\n"
        "grown = numpy.arange(1000.0)\n"
        "grown.resize(1_000_000, refcheck=False)\n"
        "temporary = (large * 2 + large).sum()\n"
    )
    assert traced(Start([script]), capture, "--quiet").errors == ""
    rows = csv.DictReader(io.StringIO(heapsight("export", "--to=csv", "--output=-", capture).text))
    live: dict[int, int] = {}
    for row in rows:
        if row["filename"] == str(script):
            live[int(row["line"])] = live.get(int(row["line"]), 0) + int(row["live_bytes"])
    assert 80_000_000 <= live[2] <= 80_800_000
    assert live[3] < 1000, "views have no memory of their own"
    assert 8_000_000 <= live[5] <= 8_080_000, "it grew there"
    assert live.get(6, 0) < 100_000, "a temporary is gone"


def test_what_is_missing_is_said_in_one_line_and_the_program_runs_on(tmp_path: Path, capture: Path) -> None:
    wrapper = tmp_path / "python"
    # An interpreter that the loader does not preload anything into.
    wrapper.write_text(f'#!/bin/sh\nunset LD_PRELOAD\nexec "{sys.executable}" "$@"\n')
    wrapper.chmod(0o755)
    command = tmp_path / "command.py"
    command.write_text(
        f"import sys; sys.executable = {str(wrapper)!r}; from heapsight._cli import main; sys.exit(main())"
    )
    start = Start([command, "run", "--native", "--quiet", "-o", capture, "-c", "print(5)"])
    outcome = start.plain()
    assert (outcome.text, outcome.status) == ("5\n", 0)
    assert outcome.errors == (
        "heapsight: libheapsight_preload.so was not loaded (see LD_PRELOAD): native memory is not traced\n"
    )


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc's tool")
def test_library_needs_nothing_but_the_c_library_and_leaves_no_file_behind(capture: Path) -> None:
    import heapsight as package

    library = Path(package.__file__).parent / "libheapsight_preload.so"
    assert library.stat().st_size < 40_000
    needed = subprocess.run(["ldd", library], capture_output=True, text=True, check=True).stdout
    names = {line.split()[0].rpartition("/")[2] for line in needed.splitlines()}
    assert names <= {"linux-vdso.so.1", "libc.so.6", "libdl.so.2", "ld-linux-x86-64.so.2"}
    code = "import os; print(sorted(os.listdir('/proc/self/fd'), key=int))"
    start = Start(["-c", code])
    own = [number for number in eval(traced(start, capture, "--quiet").text) if int(number) < 700]
    assert own == eval(start.plain().text)
    assert list(capture.parent.iterdir()) == [capture]
