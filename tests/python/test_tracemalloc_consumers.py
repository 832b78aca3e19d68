"""What uses `tracemalloc` works on heapsight's: warnings, asyncio, unittest and pytest, each the real thing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness import Start, clean_environment

REPLACED = ["-X", "heapsight-replace", "-X", "heapsight=25"]
TRACEMALLOC = ["-X", "tracemalloc=25"]
BOTH = pytest.mark.parametrize("flags", [TRACEMALLOC, REPLACED], ids=["tracemalloc", "heapsight"])

FILE = """
import warnings
warnings.simplefilter("always")
def opens():
    return open(__file__)
file = opens()
del file
"""

ASYNCIO = """
import asyncio, gc, socket, warnings
warnings.simplefilter("always")
def connect(loop, server):
    transport, _ = loop.run_until_complete(loop.create_connection(asyncio.Protocol, *server.getsockname()))
with socket.create_server(("127.0.0.1", 0)) as server:
    loop = asyncio.new_event_loop()
    connect(loop, server)
    loop.close()
    del loop
    gc.collect()
"""

UNITTEST = """
import unittest
class Leaks(unittest.TestCase):
    def test_leak(self):
        file = open(__file__)
        del file
unittest.main()
"""


def allocated_at(text: str) -> list[str]:
    """Return what stands under the first "Object allocated at", as the warning's lines have it."""
    lines = text.splitlines()
    begin = next(index for index, line in enumerate(lines) if line.startswith("Object allocated at"))
    return [line for line in lines[begin : begin + 40] if line.startswith(("Object", "  "))]


@BOTH
@pytest.mark.parametrize("code", [FILE, ASYNCIO, UNITTEST], ids=["warnings", "asyncio", "unittest"])
def test_resource_warning_says_where_the_object_was_allocated(flags: list[str], code: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(code)
    outcome = Start([script], flags=flags).plain()
    assert outcome.status == 0, outcome.errors
    assert "ResourceWarning: unclosed" in outcome.errors
    assert any("script.py" in line for line in allocated_at(outcome.errors)), outcome.errors


@pytest.mark.parametrize("code", [FILE, UNITTEST], ids=["warnings", "unittest"])
def test_the_warning_is_that_of_tracemalloc_to_the_letter(code: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(code)
    texts = [allocated_at(Start([script], flags=flags).plain().errors) for flags in (TRACEMALLOC, REPLACED)]
    assert texts[0] == texts[1]
    assert len(texts[0]) >= 3


LEAKING_TEST = """
def opens():
    return open(__file__)

def test_leak():
    file = opens()
    del file
"""


def pytest_says(folder: Path, *command: str) -> list[str]:
    """Return the frames that pytest shows for the file that its test leaks."""
    done = subprocess.run(
        [
            sys.executable,
            *command,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-W",
            "always::ResourceWarning",
            "test_leak.py",
        ],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Object allocated at:" in done.stdout, done.stdout
    assert "Enable tracemalloc" not in done.stdout
    return [line.strip() for line in done.stdout.splitlines() if line.startswith('    File "')]


def test_pytest_says_where_a_leaked_file_was_opened(tmp_path: Path) -> None:
    (tmp_path / "test_leak.py").write_text(LEAKING_TEST)
    expected = pytest_says(tmp_path, *TRACEMALLOC)
    assert len(expected) == 25
    assert 'test_leak.py", line ' in expected[-1]
    replaced = pytest_says(tmp_path, *REPLACED)
    if sys.version_info >= (3, 13):
        assert replaced == expected
    else:
        # A file that says good-bye is a new object for a moment, of which the interpreter tells its own tracer only: so
        # `tracemalloc` shows the line of the `del`, and heapsight that of the `open`.
        assert replaced[-1].endswith('test_leak.py", line 3')
    run = ["-m", "heapsight", "run", "-q", "-o", "run.heapsight", "--frames", "25", "--replace-tracemalloc"]
    assert pytest_says(tmp_path, *run) == replaced


def test_without_tracing_the_warning_says_how_to_switch_it_on(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(FILE)
    outcome = Start([script], flags=["-X", "heapsight-replace"]).plain()
    assert "Enable tracemalloc to get the object allocation traceback" in outcome.errors


@pytest.mark.skipif(sys.version_info < (3, 13), reason="the interpreter tells of objects from free lists since 3.13")
@pytest.mark.parametrize("limit", [1, 5])
def test_an_object_from_a_free_list_has_its_own_traceback(limit: int) -> None:
    code = (
        "import gc, sys\n"
        "import heapsight.tracemalloc as tracemalloc\n"
        f"tracemalloc.start({limit})\n"
        "gc.collect(); gc.disable()\n"
        "gone = []\n"
        "del gone\n"
        "kept = []\n"
        "print(tracemalloc.get_object_traceback(kept)[-1])"
    )
    outcome = Start(["-c", code]).plain()
    assert (outcome.text, outcome.errors) == ("<string>:7\n", "")


def test_a_forked_child_goes_on_tracing() -> None:
    code = (
        "import os, heapsight.tracemalloc as tracemalloc\n"
        "tracemalloc.start(3)\n"
        "child = os.fork()\n"
        "kept = bytes(7777)\n"
        "found = tracemalloc.get_object_traceback(kept)\n"
        "if child == 0: os._exit(0 if found[-1].lineno == 4 else 1)\n"
        "assert found[-1].lineno == 4 and os.waitpid(child, 0)[1] == 0"
    )
    outcome = Start(["-W", "ignore", "-c", code]).plain()
    assert (outcome.status, outcome.errors) == (0, "")
