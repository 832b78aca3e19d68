"""What heapsight remembers of call paths stays within a budget, and no figure is wrong for that."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
from harness import Outcome, Start, heapsight, program

import heapsight as package

#: The smallest budget there is: room for some hundred paths.
SMALLEST = "65536"

DISTURBANCES = ["nothing", "clear", "switch", "fork", "threads", "subinterpreter", "peak"]


def run(code: str, **environment: str) -> Outcome:
    preface = "import sys, heapsight\nfrom heapsight import _testing\n"
    return Start(["-c", preface + textwrap.dedent(code)], environment=environment).plain()


def test_the_default_is_32_mib_or_more() -> None:
    assert package.get_budget() >= 32 << 20


def test_a_budget_can_be_set_and_taken_back() -> None:
    try:
        package.set_budget(1 << 20)
        assert package.get_budget() == 1 << 20
    finally:
        package.set_budget(None)
    assert package.get_budget() >= 32 << 20


@pytest.mark.parametrize("value", [0, 65_535, -1, 1 << 64, "8M", 1.5, True])
def test_what_is_no_budget_is_refused_and_named(value: object) -> None:
    with pytest.raises((ValueError, TypeError)) as raised:
        package.set_budget(value)  # type: ignore[arg-type]
    assert repr(value) in str(raised.value)
    assert package.get_budget() >= 32 << 20


def test_the_environment_sets_it_unless_it_is_to_be_ignored() -> None:
    code = "heapsight.enable(); print(heapsight.get_budget())"
    assert run(code, PYTHONHEAPSIGHT_BUDGET="8M").text == f"{8 << 20}\n"
    ignored = Start(["-c", "import heapsight; print(heapsight.get_budget())"], flags=["-E"])
    ignored = Start(ignored.arguments, ignored.flags, environment={"PYTHONHEAPSIGHT_BUDGET": "8M"})
    assert int(ignored.plain().text) >= 32 << 20


def test_a_wrong_value_in_the_environment_is_one_warning() -> None:
    outcome = run("heapsight.enable(); print(heapsight.get_budget())", PYTHONHEAPSIGHT_BUDGET="much")
    assert outcome.status == 0
    assert int(outcome.text) >= 32 << 20
    assert outcome.errors.count("RuntimeWarning") == 1
    assert 'PYTHONHEAPSIGHT_BUDGET: invalid budget "much": give a number of bytes from 64K on' in outcome.errors


def test_heapsight_run_refuses_a_wrong_value_before_anything_runs(capture: Path) -> None:
    start = Start(["-c", "print('ran')"], environment={"PYTHONHEAPSIGHT_BUDGET": "63K"})
    outcome = start.traced(capture)
    assert (outcome.status, outcome.stdout) == (2, b"")
    assert "invalid value '63K' for PYTHONHEAPSIGHT_BUDGET: give a number of bytes from 64K on" in outcome.errors
    assert not capture.exists()


@pytest.mark.parametrize("disturbance", DISTURBANCES)
@pytest.mark.parametrize("limit", [1, 65_535])
def test_without_a_recording_everything_adds_up(limit: int, disturbance: str) -> None:
    start = program("new_paths.py", "1", "300", disturbance, SMALLEST, flags=["-X", f"heapsight={limit}"])
    outcome = start.plain()
    assert (outcome.status, outcome.text, outcome.errors) == (0, "all adds up", "")


@pytest.mark.parametrize("disturbance", DISTURBANCES)
@pytest.mark.parametrize("mode", ["--frames=1", "--frames=all", "--sample=64", "--threads", "--follow"])
def test_in_a_recording_everything_adds_up(mode: str, disturbance: str, capture: Path) -> None:
    start = program("new_paths.py", "2", "300", disturbance)
    outcome = start.traced(capture, "-q", mode, "--tick=5", "--budget=256K")
    assert (outcome.status, outcome.text, outcome.errors) == (0, "all adds up", "")
    stats = json.loads(heapsight("stats", "--json", capture).text)
    assert stats["lost_events"] == 0


#: Allocates once on each of many paths, then on each once more: by then they were given back.
TWICE = """
import heapsight
SOURCE = "def allocate(size):\\n    return bytearray(size)\\n"
def page(number):
    names = {}
    exec(compile(SOURCE, f"/generated/page_{number}.py", "exec"), names)
    names["allocate"](1000 + number)
    names.clear()  # A cycle would live until the next collection, which versions do at different times.
for turn in range(2):
    for number in range(3000):
        page(number)
print(heapsight.get_tracemalloc_size())
"""


def test_a_recording_has_every_path_exactly_once_however_small_the_budget(capture: Path) -> None:
    outcome = Start(["-c", TWICE]).traced(capture, "-q", "--tick=5", "--budget=512K")
    assert outcome.status == 0, outcome.errors
    stats = json.loads(heapsight("stats", "--json", capture).text)
    assert stats["bounds"]["gone_paths"] > 3000
    assert stats["bounds"]["folded_bytes"] == 0
    shown = heapsight("export", "--to", "json", "-o", capture.with_suffix(".json"), capture)
    assert shown.status == 0, shown.errors
    told = json.loads(capture.with_suffix(".json").read_text())
    names = [function["filename"] for function in told["functions"] if function["function"] == "allocate"]
    assert len(names) == len(set(names)) == 3000
    allocated = allocated_by_file(told)
    for number in (0, 1, 1500, 2999):
        bytes_, blocks = allocated[f"/generated/page_{number}.py"]
        assert blocks >= 2
        assert bytes_ >= 2 * (1000 + number)
        assert blocks % 2 == 0, "what is done twice is told twice"


def allocated_by_file(told: dict[str, object]) -> dict[str, tuple[int, int]]:
    """Add up an exported capture by the most recent file."""
    paths, sites, functions = told["call_paths"], told["sites"], told["functions"]
    assert isinstance(paths, dict)
    assert isinstance(sites, dict)
    assert isinstance(functions, list)
    sums: dict[str, tuple[int, int]] = {}
    columns = zip(sites["call_path"], sites["allocated_bytes"], sites["allocated_blocks"])
    for path, bytes_, blocks in columns:
        function = paths["function"][path]
        if function is not None:
            name = functions[function]["filename"]
            known = sums.get(name, (0, 0))
            sums[name] = (known[0] + bytes_, known[1] + blocks)
    return sums


def test_a_program_that_makes_new_code_for_ever_is_bounded(capture: Path) -> None:
    code = TWICE.replace("3000", "20_000")
    for outcome in (
        Start(["-c", code]).traced(capture, "-q", "--budget=4M"),
        Start(["-c", code], flags=["-X", "heapsight"], environment={"PYTHONHEAPSIGHT_BUDGET": "4M"}).plain(),
    ):
        assert outcome.status == 0, outcome.errors
        assert int(outcome.text) < 16 << 20


#: Keeps a block on each of many paths: more than there is room for.
LIVE = """
import heapsight
def down(depth, choices, kept):
    if depth == 0:
        kept.append(bytearray(100))
    elif choices & 1:
        down(depth - 1, choices >> 1, kept)
    else:
        down(depth - 1, choices >> 1, kept)
kept = []
for choices in range(1 << 13):
    down(13, choices, kept)
print(heapsight.get_tracemalloc_size())
"""


def test_every_report_says_that_paths_were_cut(capture: Path) -> None:
    outcome = Start(["-c", LIVE]).traced(capture, "--budget=256K")
    assert outcome.status == 0, outcome.errors
    assert int(outcome.text) < 12 << 20
    words = "call paths were cut"
    assert words in " ".join(outcome.errors.split())
    for command in (["top"], ["stats"], ["diff", "--range", "start..end"]):
        shown = heapsight(*command, capture)
        assert shown.status == 0, shown.errors
        assert words in " ".join(shown.text.split()), command
        assert "full call paths" not in shown.text
    stats = json.loads(heapsight("stats", "--json", capture).text)
    assert stats["bounds"]["cuts"] > 0
    live = stats["metrics"]["live"]
    assert live["blocks"] > 1 << 13
    assert live["bytes"] > 100 << 13


def test_what_was_folded_is_said(tmp_path: Path) -> None:
    file = tmp_path / "folded.heapsight"
    code = TWICE.replace("print(", f"heapsight.Snapshot.create().write({str(file)!r})\nprint(")
    start = Start(["-c", code], flags=["-X", "heapsight"], environment={"PYTHONHEAPSIGHT_BUDGET": "512K"})
    outcome = start.plain()
    assert outcome.status == 0, outcome.errors
    shown = heapsight("stats", file)
    assert "only the nearest caller is known" in " ".join(shown.text.split())


def test_memory_without_a_file_name_is_in_every_sum_whatever_the_reason() -> None:
    outcome = program("folded_and_unnamed.py").plain()
    assert (outcome.status, outcome.errors) == (0, "")
    assert int(outcome.text) > 0, "there was never memory of both kinds"
