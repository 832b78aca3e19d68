"""`process_report`: every resident byte of a process has a name, and the sentence says what most of it is."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from harness import PROGRAMS, Start, heapsight

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what malloc keeps is asked of glibc")

MIB = 1 << 20

#: What every planted case can use, and how it reports.
PROLOGUE = """
import ctypes, json, os, sys, threading, time
import heapsight
MIB = 1 << 20
c = ctypes.CDLL(None)
POINTER, SIZE, LONG, INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long, ctypes.c_int
c.malloc.restype, c.malloc.argtypes = POINTER, [SIZE]
c.free.argtypes = [POINTER]
c.memset.argtypes = [POINTER, INT, SIZE]
c.mmap.restype, c.mmap.argtypes = POINTER, [POINTER, SIZE, INT, INT, INT, LONG]
ANONYMOUS, PRIVATE, SHARED = 0x20, 2, 1
def block(size):
    address = c.malloc(size)
    c.memset(address, 1, size)
    return address
def mapping(size, flags, file=-1):
    address = c.mmap(None, size, 3, flags, file, 0)
    c.memset(address, 1, size)
    return address
before = heapsight.process_report()
def tell():
    report = heapsight.process_report()
    print(json.dumps({**report._asdict(), "before": before.parts, "text": str(report)}))
"""


@dataclass(frozen=True)
class Planted:
    """A program that has so much memory of one part, and what its report must say."""

    code: str
    part: str
    mib: int
    meaning: str
    #: Options of `heapsight run`; None: plain Python.
    run: tuple[str, ...] | None = None
    #: How far the figure may be from what was planted, as a share of the resident memory.
    within: float = 0.02


CASES = {
    "nothing": Planted("heapsight.enable(); tell()", "native_malloc", 0, "ordinary"),
    "leak in Python": Planted(
        "heapsight.enable(); kept = [bytes(958) for _ in range(64 << 10)]; tell()", "python", 62, "live"
    ),
    "small objects in Python": Planted(
        "heapsight.enable(); kept = [[[]] for _ in range(400_000)]; tell()", "python", 49, "live"
    ),
    "one large block of Python": Planted("heapsight.enable(); kept = b'x' * (64 * MIB); tell()", "python", 64, "live"),
    "a block that was never touched": Planted(
        "heapsight.enable(); kept = bytes(MIB << 10), b'x' * (32 * MIB); tell()", "python", 32, "live"
    ),
    "objects older than tracing": Planted(
        "kept = [str(n).zfill(200) for n in range(250_000)]; heapsight.enable(); tell()", "python_untraced", 61, "older"
    ),
    "without tracing": Planted(
        "kept = [str(n).zfill(200) for n in range(250_000)]; tell()", "python_untraced", 61, "older"
    ),
    "leak in C": Planted(
        "heapsight.enable(); kept = [block(MIB - 16) for _ in range(64)]; tell()", "malloc_untraced", 64, "native"
    ),
    "leak in C, in small blocks": Planted(
        "heapsight.enable()\nfor _ in range(64 << 10): block(1000)\ntell()", "malloc_untraced", 63, "native"
    ),
    "leak in C, traced": Planted(
        "kept = [block(MIB - 16) for _ in range(64)]; tell()", "native_malloc", 64, "live", ("--native",)
    ),
    "leak in C, in small blocks, traced": Planted(
        "for _ in range(64 << 10): block(1000)\ntell()", "native_malloc", 62, "live", ("--native",)
    ),
    "mapping of nobody": Planted(
        "heapsight.enable(); mapping(64 * MIB, PRIVATE | ANONYMOUS); tell()", "other", 64, "native"
    ),
    "mapping, traced": Planted(
        "mapping(64 * MIB, PRIVATE | ANONYMOUS); tell()", "native_mmap", 64, "live", ("--native",)
    ),
    "shared mapping, traced": Planted(
        "mapping(64 * MIB, SHARED | ANONYMOUS); tell()", "native_shared", 64, "shared", ("--native",)
    ),
    "shared memory": Planted(
        "heapsight.enable(); mapping(64 * MIB, SHARED | ANONYMOUS); tell()", "shared_untraced", 64, "shared"
    ),
    "pinned heap top": Planted(
        """
        heapsight.enable()
        blocks = [block(100_000) for _ in range(640)]
        for address in blocks[:-1]:
            c.free(address)
        tell()
        """,
        "malloc_free",
        61,
        "retention",
    ),
    "pinned heap top, traced": Planted(
        """
        blocks = [block(100_000) for _ in range(640)]
        for address in blocks[:-1]:
            c.free(address)
        tell()
        """,
        "malloc_free",
        61,
        "retention",
        ("--native",),
    ),
    "heap of another thread": Planted(
        """
        heapsight.enable()
        def work():
            for _ in range(4096):
                block(10_000)
        thread = threading.Thread(target=work)
        thread.start(); thread.join()
        tell()
        """,
        "malloc_untraced",
        39,
        "native",
    ),
    "pinned arenas": Planted(
        """
        heapsight.enable()
        strings = [str(n).zfill(200) for n in range(250_000)]
        kept = strings[::1000]
        del strings
        tell()
        """,
        "arenas_free",
        61,
        "retention",
    ),
    "pinned arenas, older than tracing": Planted(
        """
        strings = [str(n).zfill(200) for n in range(250_000)]
        kept = strings[::1000]
        del strings
        heapsight.enable()
        tell()
        """,
        "arenas_free",
        61,
        "retention",
    ),
    "big free after peak": Planted(
        "heapsight.enable(); gone = b'x' * (200 * MIB); del gone; kept = b'x' * (32 * MIB); tell()",
        "python",
        32,
        "live",
    ),
    "file map": Planted(
        """
        heapsight.enable()
        import mmap, tempfile
        with tempfile.NamedTemporaryFile(dir="/var/tmp") as file:
            file.write(b"x" * (64 * MIB))
            file.flush()
            kept = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
            sum(kept[::4096])
            tell()
        """,
        "files",
        64,
        "files",
    ),
    "thread stacks": Planted(
        """
        heapsight.enable()
        stack = ctypes.CDLL(sys.argv[1])
        stack.touch_stack.argtypes = [SIZE, INT]
        threading.stack_size(20 * MIB)
        reader, writer = os.pipe()
        threads = [threading.Thread(target=stack.touch_stack, args=(16 * MIB, reader)) for _ in range(4)]
        for thread in threads:
            thread.start()
        def waits(task):
            with open(f"/proc/self/task/{task}/syscall") as file:
                return file.read().startswith(f"0 {reader:#x} ")
        while sum(map(waits, os.listdir("/proc/self/task"))) < 4:
            pass
        tell()
        os.write(writer, b"1234")
        """,
        "stacks",
        64,
        "stacks",
    ),
    "fork": Planted(
        """
        heapsight.enable()
        kept = [b'x' * (MIB + n) for n in range(100)]
        sys.stdout.flush()
        if os.fork() == 0:
            tell()
            sys.stdout.flush()
            os._exit(0)
        os.wait()
        """,
        "python",
        100,
        "copy-on-write",
    ),
    "fork and touch": Planted(
        """
        heapsight.enable()
        kept = [bytearray(b'x') * (MIB + n) for n in range(100)]
        sys.stdout.flush()
        if os.fork() == 0:
            for one in kept:
                one[::4096] = b'y' * len(one[::4096])
            tell()
            sys.stdout.flush()
            os._exit(0)
        os.wait()
        """,
        "python",
        100,
        "live",
    ),
    "sampled": Planted(
        "heapsight.enable(sample_bytes=64 << 10); kept = [bytes(958) for _ in range(64 << 10)]; tell()",
        "python",
        62,
        "live",
        within=0.25,
    ),
    "sampled, native": Planted(
        "kept = [block(10_000) for _ in range(6400)]; tell()",
        "native_malloc",
        61,
        "live",
        ("--native", "--sample=64K"),
        0.25,
    ),
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    assert compiler is not None
    target = tmp_path_factory.mktemp("stack") / "stack.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", target, PROGRAMS / "native" / "stack.c"], check=True)
    return target


def report_of(case: Planted, stack: Path, capture: Path) -> dict[str, Any]:
    start = Start(["-c", PROLOGUE + textwrap.dedent(case.code), stack])
    outcome = start.plain() if case.run is None else start.traced(capture, "--quiet", *case.run)
    assert (outcome.errors, outcome.status) == ("", 0)
    found: dict[str, Any] = json.loads(outcome.text)
    return found


@pytest.mark.parametrize("name", CASES)
def test_planted_memory_is_in_its_part_and_the_sentence_is_right(name: str, stack: Path, capture: Path) -> None:
    case = CASES[name]
    report = report_of(case, stack, capture)
    parts, resident = report["parts"], report["resident"]
    assert sum(parts.values()) == pytest.approx(resident, rel=0.02), report["text"]
    grown = parts[case.part] - report["before"][case.part]
    assert grown == pytest.approx(case.mib * MIB, abs=case.within * resident), report["text"]
    assert report["meaning"] == case.meaning, report["text"]
    assert report["sentence"] in " ".join(report["text"].split())


def test_parts_are_all_of_what_is_resident_when_a_thread_has_just_ended() -> None:
    code = """
    import sys, threading, heapsight
    threading.stack_size(512 << 20)
    sys.setrecursionlimit(10**6)
    # Since 3.12 an interpreter counts its calls in C, which alone take stack.
    depth = 2000 if sys.version_info >= (3, 12) else 20_000

    def touch(depth):
        return max([depth], key=lambda number: touch(number - 1) if number else 0)

    for _ in range(20):
        thread = threading.Thread(target=touch, args=(depth,))
        thread.start()
        thread.join()
        report = heapsight.process_report()
        assert abs(sum(report.parts.values()) - report.resident) < report.resident / 50, report
    """
    outcome = Start(["-c", textwrap.dedent(code)]).plain()
    assert (outcome.status, outcome.errors) == (0, "")


def test_a_recording_has_the_account_of_its_end(capture: Path) -> None:
    code = PROLOGUE + "blocks = [block(100_000) for _ in range(640)]\nfor one in blocks[:-1]: c.free(one)\n"
    outcome = Start(["-c", code]).traced(capture)
    assert "Retention: 6" in outcome.errors
    process = json.loads(heapsight("stats", "--json", capture).text)["process"]
    assert process["meaning"] == "retention"
    assert process["parts"]["malloc_free"] == pytest.approx(61 * MIB, abs=2 * MIB)
    assert sum(process["parts"].values()) == pytest.approx(process["resident_bytes"], rel=0.02)
    stats = heapsight("stats", capture).text
    assert "freed memory that malloc keeps" in stats
    assert process["sentence"] in " ".join(stats.split())


def test_a_report_is_a_value_and_a_table() -> None:
    import heapsight as package

    report = package.process_report()
    assert isinstance(report, package.ProcessReport)
    assert str(report).startswith("Resident memory: ")
    assert 0 < report.private <= report.resident * 1.02
