"""heapsight's tracemalloc in the place of `tracemalloc`, for a whole program: switches, install() and uninstall()."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from harness import Start, program

STATE = "import tracemalloc; print(tracemalloc.__name__, tracemalloc.is_tracing(), tracemalloc.get_traceback_limit())"


def state(*flags: str, **environment: str) -> str:
    """Return what a program finds that imports tracemalloc."""
    outcome = Start(["-c", STATE], flags=flags, environment=environment).plain()
    assert outcome.errors == ""
    return outcome.text.strip()


@pytest.mark.parametrize(
    ("flags", "environment", "expected"),
    [
        ([], {}, "tracemalloc False 1"),
        (["-X", "heapsight"], {}, "tracemalloc False 1"),
        (["-X", "heapsight-replace"], {}, "heapsight.tracemalloc False 1"),
        (["-X", "heapsight-replace", "-X", "heapsight"], {}, "heapsight.tracemalloc True 1"),
        (["-X", "heapsight-replace", "-X", "heapsight=7"], {}, "heapsight.tracemalloc True 7"),
        (["-X", "heapsight-replace"], {"PYTHONHEAPSIGHT": "25"}, "heapsight.tracemalloc True 25"),
        (["-X", "heapsight-replace", "-X", "tracemalloc"], {}, "heapsight.tracemalloc True 1"),
        (["-X", "heapsight-replace", "-X", "tracemalloc=15"], {}, "heapsight.tracemalloc True 15"),
        (["-X", "heapsight-replace"], {"PYTHONTRACEMALLOC": "10"}, "heapsight.tracemalloc True 10"),
        (["-X", "heapsight-replace"], {"PYTHONTRACEMALLOC": "0"}, "heapsight.tracemalloc False 1"),
        (["-E", "-X", "heapsight-replace"], {"PYTHONTRACEMALLOC": "10"}, "heapsight.tracemalloc False 1"),
    ],
)
def test_switches_say_which_module_answers_and_whether_it_traces(
    flags: list[str], environment: dict[str, str], expected: str
) -> None:
    assert state(*flags, **environment) == expected


def test_a_value_that_the_switch_does_not_take_is_a_warning() -> None:
    outcome = Start(["-c", STATE], flags=["-X", "heapsight-replace=7"]).plain()
    assert outcome.text == "heapsight.tracemalloc False 1\n"
    [line] = outcome.errors.splitlines()
    assert "RuntimeWarning: -X heapsight-replace takes no value" in line


def test_the_interpreters_own_tracer_is_off_when_its_tracing_was_taken_over() -> None:
    code = (
        "import heapsight.tracemalloc, sys\n"
        "heapsight.tracemalloc.uninstall()\n"
        "import tracemalloc; print(tracemalloc.__name__, tracemalloc.is_tracing(), heapsight.is_enabled())"
    )
    outcome = Start(["-c", code], flags=["-X", "heapsight-replace", "-X", "tracemalloc=3"]).plain()
    assert (outcome.text, outcome.errors) == ("tracemalloc False True\n", "")


def test_a_recording_answers_for_tracemalloc(capture: Path) -> None:
    code = (
        "import tracemalloc\n"
        "kept = [bytes(1000) for _ in range(100)]\n"
        "mine = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, '<string>')])\n"
        "first = mine.statistics('lineno')[0]\n"
        "print(tracemalloc.__name__, first.traceback[0].lineno, first.count >= 100)\n"
        "print(tracemalloc.get_object_traceback(kept[0])[-1])"
    )
    outcome = Start(["-c", code]).traced(capture, "--quiet", "--replace-tracemalloc")
    assert outcome.errors == ""
    assert outcome.text == "heapsight.tracemalloc 2 True\n<string>:2\n"


def test_a_program_that_stops_tracing_does_not_stop_its_recording(capture: Path) -> None:
    code = (
        "import heapsight, tracemalloc\n"
        "tracemalloc.clear_traces(); tracemalloc.stop()\n"
        "kept = bytes(5_000_000)\n"
        "print(tracemalloc.is_tracing(), tracemalloc._get_traces(), tracemalloc.get_traced_memory())\n"
        "print(tracemalloc.get_object_traceback(kept), heapsight.is_enabled())\n"
        "tracemalloc.start()\n"
        "after = bytes(10)\n"
        "print(tracemalloc.get_object_traceback(kept), tracemalloc.get_object_traceback(after)[-1])\n"
        "print(tracemalloc.get_traceback_limit())"
    )
    outcome = Start(["-c", code]).traced(capture, "--quiet", "--replace-tracemalloc")
    assert outcome.errors == ""
    assert outcome.text == "False [] (0, 0)\nNone False\nNone <string>:7\n1\n"
    top = Start(["-m", "heapsight", "top", str(capture)]).plain()
    line, *_at_peak = (line for line in top.text.splitlines() if re.match(r" +\d+ +4\.8 MiB .*<string>:3", line))
    assert line.split()[0] == "1"


def test_a_sample_cannot_answer_for_tracemalloc(capture: Path) -> None:
    outcome = program("warn.py").traced(capture, "--sample", "--replace-tracemalloc")
    assert outcome.status == 2
    assert "--replace-tracemalloc" in outcome.errors


INSTALL = """
import sys, _tracemalloc as c_module, tracemalloc as before
import heapsight.tracemalloc as mine
mine.install(); mine.install()
import tracemalloc, _tracemalloc
assert tracemalloc is mine and _tracemalloc is not c_module
from _tracemalloc import *
from _tracemalloc import _get_traces, _get_object_traceback
assert start is mine.start and _get_traces is mine._get_traces
assert {name for name in vars(c_module) if name[0] != "_"} == {name for name in vars(_tracemalloc) if name[0] != "_"}
assert repr(tracemalloc.Snapshot) == repr(before.Snapshot) == "<class 'tracemalloc.Snapshot'>"
mine.uninstall(); mine.uninstall()
import tracemalloc, _tracemalloc
assert tracemalloc is before and _tracemalloc is c_module
assert mine.Snapshot.__module__ == "heapsight.tracemalloc"
mine.install()
assert sys.modules["tracemalloc"] is mine
"""


def test_install_puts_both_modules_in_place_and_uninstall_undoes_it() -> None:
    outcome = Start(["-c", INSTALL]).plain()
    assert (outcome.status, outcome.errors) == (0, "")


def test_uninstall_without_tracemalloc_leaves_none() -> None:
    code = (
        "import sys, heapsight.tracemalloc as mine\n"
        "assert 'tracemalloc' not in sys.modules\n"
        "mine.install(); mine.uninstall()\n"
        "assert 'tracemalloc' not in sys.modules\n"
        "import tracemalloc; assert tracemalloc is not mine"
    )
    outcome = Start(["-c", code]).plain()
    assert (outcome.status, outcome.errors) == (0, "")


PICKLES = """
import pickle, sys
import heapsight.tracemalloc as mine
mine.install()
import tracemalloc
mine.start(2)
kept = bytes(1000)
snapshot = tracemalloc.take_snapshot()
statistic = snapshot.statistics("lineno")[0]
with open(sys.argv[1], "wb") as file:
    pickle.dump((snapshot, statistic, str(statistic), tracemalloc.Filter(True, "x")), file)
"""

READS = """
import pickle, sys, tracemalloc
with open(sys.argv[1], "rb") as file:
    snapshot, statistic, text, kept = pickle.load(file)
assert type(snapshot) is tracemalloc.Snapshot and "heapsight" not in sys.modules
assert str(statistic) == text and kept.filename_pattern == "x"
assert statistic in snapshot.statistics("lineno")
"""


def test_what_an_installed_module_pickles_tracemalloc_reads(tmp_path: Path) -> None:
    for code in (PICKLES, READS):
        outcome = Start(["-c", code, tmp_path / "pickle"]).plain()
        assert (outcome.status, outcome.errors) == (0, "")
