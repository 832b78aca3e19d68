"""The process is traced once, from its main interpreter's start: what runs site again changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from harness import PROGRAMS, Start, heapsight

WAYS = ["legacy", "isolated", "in_c", "on_a_thread", "site_again", "read_again", "forgotten"]

PROGRAM = PROGRAMS / "subinterpreters.py"
KEPT, LATER = (
    number
    for number, line in enumerate(PROGRAM.read_text().splitlines(), 1)
    if line.startswith(("kept = ", "later = "))
)

#: Runs the program and then tells what is traced, without a name of its own that the program may see.
FIGURES = f"""
import runpy, sys
sys.argv[0] = {str(PROGRAM)!r}
names = runpy.run_path(sys.argv[0], run_name="__main__")
import heapsight
sizes = [heapsight.get_object_trace(each).size for name in ("kept", "later") for each in names[name]]
print(heapsight.is_enabled(), heapsight.get_traceback_limit(), len(sizes), len(heapsight.get_filters()))
"""


def said(way: str, outcome: Any) -> str:
    """Return what the program says, which must have ended well and silently."""
    assert (outcome.status, outcome.errors) == (0, "")
    first, _, rest = str(outcome.text).partition("\n")
    assert first in (way, f"without {way}")
    return rest


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("switch", ["option", "variable"])
def test_nothing_traced_is_lost_and_the_limit_stays(way: str, switch: str) -> None:
    start = Start(
        ["-c", FIGURES, way],
        flags=["-X", "heapsight=7"] if switch == "option" else [],
        environment={} if switch == "option" else {"PYTHONHEAPSIGHT": "7"},
    )
    assert said(way, start.plain()) == "True 7 5000 1\n"


@pytest.mark.parametrize("options", [(), ("--follow",)], ids=["alone", "followed"])
@pytest.mark.parametrize("way", WAYS)
def test_a_recording_is_whole(way: str, options: tuple[str, ...], capture: Path) -> None:
    outcome = Start([PROGRAM, way]).traced(capture, "--quiet", *options)
    assert said(way, outcome) == ""
    assert list(capture.parent.glob("*.heapsight")) == [capture]
    for line, blocks in ((KEPT, 3000), (LATER, 2000)):
        done = heapsight("stats", "--json", "-i", f"*subinterpreters.py:{line}", capture)
        told = json.loads(done.text)
        assert told["is_complete"] is True
        assert told["metrics"]["live"]["bytes"] > blocks * 1000


def test_what_a_subinterpreter_allocates_is_traced(capture: Path) -> None:
    outcome = Start([PROGRAM, "legacy"]).traced(capture, "--quiet")
    assert said("legacy", outcome) == ""
    done = heapsight("stats", "--json", "-i", "inside.py:1", capture)
    assert json.loads(done.text)["metrics"]["allocated"]["bytes"] > 100_000


def test_children_of_a_followed_program_with_subinterpreters_are_followed(capture: Path) -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, {str(PROGRAM)!r}, 'legacy'], check=True)"
    code = f"import runpy, sys; runpy.run_path({str(PROGRAM)!r}, run_name='__main__'); exec({child!r})"
    outcome = Start(["-c", code, "legacy"]).traced(capture, "--quiet", "--follow")
    assert (outcome.status, outcome.errors) == (0, "")
    assert sorted(outcome.text.split()) == ["legacy", "legacy"]
    assert len(list(capture.parent.glob("run-*.heapsight"))) == 1


@pytest.mark.parametrize("site", ["import site; site.main()", "import site; site.main(); site.main()"])
def test_site_that_the_program_runs_itself_switches_on(site: str) -> None:
    code = f"{site}; import heapsight; print(heapsight.is_enabled(), heapsight.get_traceback_limit())"
    outcome = Start(["-c", code], flags=["-S", "-X", "heapsight=7"]).plain()
    assert (outcome.status, outcome.text, outcome.errors) == (0, "True 7\n", "")


def test_a_variable_that_the_program_sets_is_for_its_children_and_not_for_its_subinterpreters() -> None:
    code = (
        "import os, runpy, heapsight\n"
        "os.environ['PYTHONHEAPSIGHT'] = '7'\n"
        f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__')\n"
        "print(heapsight.is_enabled(), heapsight.get_traceback_limit())"
    )
    assert said("legacy", Start(["-c", code, "legacy"]).plain()) == "False 1\n"


def test_a_subinterpreter_that_uses_heapsight_leaves_the_filters_as_they_are() -> None:
    code = (
        "import runpy, sys, heapsight\n"
        "heapsight.clear_filters()\n"
        f"names = runpy.run_path({str(PROGRAM)!r})\n"
        "names['low_level'].__globals__['CODE'] = 'import heapsight'\n"
        "names['legacy']()\n"
        "print(len(heapsight.get_filters()))"
    )
    outcome = Start(["-c", code]).plain()
    assert (outcome.status, outcome.text, outcome.errors) == (0, "0\n", "")
