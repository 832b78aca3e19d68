"""An interpreter whose version heapsight does not know is refused everywhere, in one line; the program goes on.

There is no such interpreter to run, so one that runs is made to say that it is another version: `Py_GetVersion` returns the address of
a buffer, which the test overwrites before heapsight is imported.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness import clean_environment

#: Before 3.12 the interpreter writes the text anew whenever it is asked.
pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="the version cannot be overwritten before 3.12")

DISGUISE = """
import ctypes, sys

def disguise(version):
    function = ctypes.pythonapi.Py_GetVersion
    function.restype = ctypes.c_void_p
    text = version + b" (a version that does not exist yet)\\0"
    ctypes.memmove(function(), text, len(text))
"""

PROGRAM = (
    DISGUISE
    + """
disguise(sys.argv[1].encode())
import heapsight
import heapsight.tracemalloc
from heapsight import _heapsight

def refusal(function, *arguments):
    try:
        function(*arguments)
    except RuntimeError as error:
        print(f"{function.__name__}: {error}")
    else:
        print(f"{function.__name__}: not refused")

refusal(heapsight.enable)
refusal(heapsight.tracemalloc.start)
refusal(heapsight.get_object_address, refusal)
print(heapsight.get_object_trace(refusal), heapsight.is_enabled(), heapsight.tracemalloc.is_tracing())
print(heapsight.get_traced_memory(), len([{"a": n} for n in range(1000)]))
"""
)


@pytest.mark.parametrize("version", ["3.16.0", "3.99.1", "4.0.0", "3.8.18"])
def test_every_entry_point_refuses_a_version_that_is_not_known(version: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, version],
        capture_output=True,
        text=True,
        env=clean_environment(),
        check=False,
    )
    assert done.stderr == ""
    *refusals, states, memory = done.stdout.splitlines()
    reason = (
        "cannot trace this interpreter: its frame layout is not known "
        f"(Python {version} (a version that does not exist yet)); supported are CPython 3.9 to 3."
    )
    functions = ["enable", "start", "get_object_address"]
    assert len(refusals) == len(functions)
    for line, function in zip(refusals, functions):
        assert line.startswith(f"{function}: {reason}")
    assert states == "None False False"
    assert memory == "0 1000"


def test_a_program_that_is_to_be_traced_on_an_unknown_version_runs_untraced(tmp_path: Path) -> None:
    """Start-up of `-X heapsight`, which `site` calls, in an interpreter that was disguised before."""
    (tmp_path / "disguised.py").write_text(
        DISGUISE
        + """
disguise(b"3.16.0")
import os
os.environ["PYTHONHEAPSIGHT"] = "1"
import _heapsight_startup
print("the program runs")
""",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "disguised.py"],
        capture_output=True,
        text=True,
        env=clean_environment(),
        check=False,
    )
    assert done.stdout == "the program runs\n"
    assert done.stderr.startswith(
        "heapsight: cannot trace this interpreter: its frame layout is not known (Python 3.16.0 "
    )
    assert done.stderr.endswith("; the program runs untraced\n")
    assert done.stderr.count("\n") == 1
    assert done.returncode == 0
